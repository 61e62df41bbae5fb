"""What the bytes are: libmagic's opinion of a file's beginning, corrected where a container has to be opened.

Answers one canonical media type. Containers are listed, never extracted, and no more than ``MOST_OF_A_LIST`` is read of
them: memory does not depend on the file. The file's name plays no part here.
"""

from __future__ import annotations

import functools
import struct
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO
from xml.parsers import expat

if TYPE_CHECKING:
    import magic

HEAD = 256 * 1024
"""Bytes of the beginning that are looked at; libmagic needs at least 64 KiB to see through office files."""
MOST_OF_A_LIST = 2 * 1024 * 1024
"""Bytes of a container's list of contents; a longer one is not an office document's."""

ZIP, OLE, UNKNOWN, SVG, TEXT, PDF = (
    "application/zip",
    "application/x-ole-storage",
    "application/octet-stream",
    "image/svg+xml",
    "text/plain",
    "application/pdf",
)
ENCRYPTED_OFFICE = "application/x-encrypted-office"
"""A docx, xlsx or pptx with a password: an OLE container that says no more."""

_OOXML = "application/vnd.openxmlformats-officedocument."
_OFFICE_FOLDERS = {
    b"word/": _OOXML + "wordprocessingml.document",
    b"xl/": _OOXML + "spreadsheetml.sheet",
    b"ppt/": _OOXML + "presentationml.presentation",
}
_OLE_STREAMS = {
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "EncryptedPackage": ENCRYPTED_OFFICE,
}
# What libmagic's versions call the same thing.
_ALIASES = {
    "application/x-gzip": "application/gzip",
    "application/x-rar": "application/vnd.rar",
    "application/x-rar-compressed": "application/vnd.rar",
    "application/x-dosexec": "application/vnd.microsoft.portable-executable",
    "application/csv": "text/csv",
    "application/x-empty": UNKNOWN,
    "image/apng": "image/png",
    "image/vnd.mozilla.apng": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "text/rtf": "application/rtf",
    "video/avi": "video/x-msvideo",
    "video/msvideo": "video/x-msvideo",
    "video/vnd.avi": "video/x-msvideo",
    "video/x-ms-asf": "video/x-ms-wmv",
}
# Beginnings that libmagic leaves at octet-stream: cameras' RAW formats.
_RAW = {
    b"IIU\0": "image/x-panasonic-rw2",
    b"\0MRM": "image/x-minolta-mrw",
    b"FUJIFILMCCD-RAW": "image/x-fuji-raf",
    b"FOVb": "image/x-x3f",
}
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "image/heic"),
    **dict.fromkeys((b"mif1", b"msf1", b"mif2"), "image/heif"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), "audio/mp4"),
    b"crx ": "image/x-canon-cr3",
    b"jp2 ": "image/jp2",
    b"jpx ": "image/jpx",
    b"qt  ": "video/quicktime",
}
_MOST_SECTORS = 128  # of an OLE directory: 512 entries and more
_QUICKTIME_ATOMS = (b"moov", b"mdat", b"wide", b"pnot", b"skip", b"free")
PDF_MARK = b"%PDF-"  # readers accept it anywhere in the first kilobyte
_BINARY_BYTES = bytes([*range(7), *range(14, 26), *range(28, 32), 127])


def detect(head: bytes, file: BinaryIO) -> str:
    """The media type of a whole file whose first ``HEAD`` bytes are given; moves the file's position."""
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _inside_zip(file)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _inside_ole(file)
    guess = next((name for beginning, name in _RAW.items() if head.startswith(beginning)), None) or _guess(head)
    if guess == UNKNOWN and head[4:8] in _QUICKTIME_ATOMS:
        return "video/quicktime"
    if guess in (UNKNOWN, SVG) or guess.startswith("text/"):
        return _by_words(head, guess)
    return guess


def looks_like_text(head: bytes) -> bool:
    """Whether people could read it: no byte that no text encoding uses. UTF-16 and UTF-32 need their mark."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        return True
    return bool(head) and len(head.translate(None, _BINARY_BYTES)) == len(head)


@functools.cache
def _magic() -> magic.Magic:
    try:
        import magic
    except ImportError:  # no libmagic on this system: the wheel brings an older one, and puts it where magic looks
        import_module("pylibmagic")
        import magic
    return magic.Magic(mime=True)


def _guess(head: bytes) -> str:
    name: str = _magic().from_buffer(head) if head else UNKNOWN
    return _ALIASES.get(name, name)


def _by_brand(head: bytes) -> str:
    """ISO media files name their family: HEIC, AVIF, Canon's RAW, QuickTime; whatever else is MP4."""
    length = min(struct.unpack(">I", head[:4])[0], 1024)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length, 4))]
    first = _BRANDS.get(brands[0], "video/mp4")
    if first == "image/heif":  # the general brand; a compatible one says what is inside
        return next((_BRANDS[brand] for brand in brands if _BRANDS.get(brand) in ("image/avif", "image/heic")), first)
    return first


def _by_words(head: bytes, guess: str) -> str:
    if guess == UNKNOWN and PDF_MARK in head[:1024]:
        return PDF
    if not looks_like_text(head):
        return UNKNOWN if guess == SVG else guess
    if _root_is_svg(head):
        return SVG
    return {SVG: "text/xml", UNKNOWN: TEXT}.get(guess, guess)


class _EnoughError(Exception):
    """The root element's name is known: nothing more of the document is parsed."""


def _root_is_svg(head: bytes) -> bool:
    """Whether it is XML whose root is ``svg``. Expat itself refuses entities that grow beyond reason."""
    names: list[str] = []

    def start(name: str, _attributes: dict[str, str]) -> None:
        names.append(name)
        raise _EnoughError

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    with suppress(_EnoughError, expat.ExpatError):
        parser.Parse(head.lstrip(), False)
    return bool(names) and names[0].rpartition(" ")[2] == "svg"


def _inside_zip(file: BinaryIO) -> str:
    names = [name.replace(b"\\", b"/").lstrip(b"/") for name in _names_in_zip(file)]
    if b"[Content_Types].xml" in names:
        for folder, name in _OFFICE_FOLDERS.items():
            if any(entry.startswith(folder) for entry in names):
                return name
    return ZIP


def _names_in_zip(file: BinaryIO) -> list[bytes]:
    """Names of the central directory; none where it is damaged, longer than we read, or in the 64-bit form.

    Read by hand: ``zipfile`` makes an object of every entry, however many there are.
    """
    size = file.seek(0, 2)
    start = max(0, size - 22 - 0xFFFF)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        return []
    length: int = struct.unpack_from("<I", tail, at + 12)[0]
    if length > MOST_OF_A_LIST or length > start + at:
        return []
    file.seek(start + at - length)
    directory = file.read(length)
    names, position = [], 0
    while directory[position : position + 4] == b"PK\x01\x02" and position + 46 <= length:
        name, extra, comment = struct.unpack_from("<HHH", directory, position + 28)
        names.append(directory[position + 46 : position + 46 + name])
        position += 46 + name + extra + comment
    return names


def _inside_ole(file: BinaryIO) -> str:
    names = _names_in_ole(file)
    return next((media_type for stream, media_type in _OLE_STREAMS.items() if stream in names), OLE)


def _names_in_ole(file: BinaryIO) -> set[str]:
    """Names directly under the root of an OLE container ([MS-CFB]); empty where it is damaged."""
    file.seek(0)
    header = file.read(512)
    if len(header) < 512 or header[30] not in (9, 12):
        return set()
    entries = _ole_directory(file, header, sector_size=1 << header[30])
    names: set[str] = set()
    waiting = [struct.unpack_from("<I", entries, 76)[0]] if len(entries) >= 128 else []
    seen: set[int] = set()
    while waiting:
        number = waiting.pop()
        entry = entries[number * 128 : number * 128 + 128]
        if number in seen or len(entry) < 128:
            continue
        seen.add(number)
        waiting += struct.unpack_from("<II", entry, 68)  # the siblings on both sides
        names.add(entry[: max(0, struct.unpack_from("<H", entry, 64)[0] - 2)].decode("utf-16-le", "replace"))
    return names


def _ole_directory(file: BinaryIO, header: bytes, sector_size: int) -> bytes:
    """The directory's entries of 128 bytes, following its chain of sectors through the allocation table."""
    tables = struct.unpack_from("<109I", header, 76)
    per_table = sector_size // 4
    number: int = struct.unpack_from("<I", header, 48)[0]
    entries = b""
    for _ in range(_MOST_SECTORS):
        if number >= 0xFFFFFFFA:  # not a sector: the end of the chain
            break
        file.seek((number + 1) * sector_size)
        entries += file.read(sector_size)
        table = tables[number // per_table] if number // per_table < len(tables) else 0xFFFFFFFF
        file.seek((table + 1) * sector_size + number % per_table * 4)
        link = file.read(4)
        number = struct.unpack("<I", link)[0] if len(link) == 4 else 0xFFFFFFFE
    return entries
