"""What the bytes are: libmagic's opinion of a file's beginning, corrected where a container has to be opened.

Answers one canonical media type. Containers are listed, never extracted, and no more than ``MOST_OF_A_LIST`` is read of
them: memory does not depend on the file. The file's name plays no part here.
"""

from __future__ import annotations

import codecs
import functools
import re
import struct
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO
from xml.parsers import expat

from portal.inspection import ole

if TYPE_CHECKING:
    import magic

HEAD = 256 * 1024
"""Bytes of the beginning that are looked at; libmagic needs at least 64 KiB to see through office files."""
MOST_OF_A_LIST = 2 * 1024 * 1024
"""Bytes of a container's list of contents; a longer one is not an office document's."""

ZIP, UNKNOWN, SVG, TEXT, PDF = (
    "application/zip",
    "application/octet-stream",
    "image/svg+xml",
    "text/plain",
    "application/pdf",
)

_OOXML = "application/vnd.openxmlformats-officedocument."
_OFFICE_FOLDERS = {
    b"word/": _OOXML + "wordprocessingml.document",
    b"xl/": _OOXML + "spreadsheetml.sheet",
    b"ppt/": _OOXML + "presentationml.presentation",
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
# Beginnings that libmagic leaves at octet-stream: cameras' RAW formats, and Excel's before there were containers.
_BEGINNINGS = {
    b"IIU\0": "image/x-panasonic-rw2",
    b"\0MRM": "image/x-minolta-mrw",
    b"FUJIFILMCCD-RAW": "image/x-fuji-raf",
    b"FOVb": "image/x-x3f",
    b"\x09\0\x04\0": ole.EXCEL,
    b"\x09\x02\x06\0": ole.EXCEL,
    b"\x09\x04\x06\0": ole.EXCEL,
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
_QUICKTIME_ATOMS = (b"moov", b"mdat", b"wide", b"pnot", b"skip", b"free")
PDF_MARK = b"%PDF-"  # readers accept it anywhere in the first kilobyte
_BINARY_BYTES = bytes([*range(7), *range(14, 26), *range(28, 32), 127])
_BINARY_CHARACTERS = re.compile(f"[{re.escape(_BINARY_BYTES.decode('ascii'))}]")
_MARKS = {  # of byte order; the longer ones first
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# Formats that begin with letters, which a text may begin with, too; their files hold bytes that no text does.
_PERHAPS_WORDS = ("text/", "image/", "video/", "audio/", UNKNOWN, PDF)


def detect(head: bytes, file: BinaryIO) -> str:
    """The media type of a whole file whose first ``HEAD`` bytes are given; moves the file's position."""
    if head[4:8] == b"ftyp" and head[:1] == b"\0":  # a length below 16 MB
        return _by_brand(head)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _inside_zip(file)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return ole.detect(file)
    guess = next((name for beginning, name in _BEGINNINGS.items() if head.startswith(beginning)), None) or _guess(head)
    if guess == UNKNOWN and head[4:8] in _QUICKTIME_ATOMS:
        return "video/quicktime"
    if guess.startswith(_PERHAPS_WORDS):
        guess = _by_words(head, guess)
    # What stands before an archive matters to nobody, unless it is a program.
    return ZIP if guess == UNKNOWN and _names_in_zip(file) else guess


def looks_like_text(head: bytes) -> bool:
    """Whether people could read it: nothing that no text encoding uses. UTF-32 needs its mark."""
    encoding = _wide_encoding(head)
    if encoding is None:
        return bool(head) and len(head.translate(None, _BINARY_BYTES)) == len(head)
    try:
        words = codecs.getincrementaldecoder(encoding)().decode(head)  # the head may end within a character
    except UnicodeDecodeError:
        return False
    return _BINARY_CHARACTERS.search(words) is None


def _wide_encoding(head: bytes) -> str | None:
    """Of more than one byte for each letter: by its mark, or UTF-16 without one, where most letters are Latin."""
    marked = next((encoding for mark, encoding in _MARKS.items() if head.startswith(mark)), None)
    if marked is not None or len(head) < 4:
        return marked
    even, odd = (head[start:4096:2].count(0) for start in (0, 1))
    most = min(len(head), 4096) // 4
    if even == 0 and odd > most:
        return "utf-16-le"
    return "utf-16-be" if odd == 0 and even > most else None


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
    first = _BRANDS.get(brands[0])
    if first in (None, "image/heif"):  # unknown, or the general brand; a compatible one says what is inside
        inside = (_BRANDS[brand] for brand in brands if _BRANDS.get(brand) in ("image/avif", "image/heic"))
        return next(inside, first or "video/mp4")
    return first


def _by_words(head: bytes, guess: str) -> str:
    if not looks_like_text(head):
        if guess == UNKNOWN and PDF_MARK in head[:1024]:
            return PDF
        return UNKNOWN if guess.startswith(("text/", SVG)) else guess
    if guess == PDF and head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(PDF_MARK) and b" obj" in head:
        return PDF
    if _root_is_svg(head):
        return SVG
    if guess == SVG:
        return "text/xml"
    return guess if guess.startswith("text/") else TEXT


class _EnoughError(Exception):
    """The root element's name is known: nothing more of the document is parsed."""


def _root_is_svg(head: bytes) -> bool:
    """Whether it is XML whose root is ``svg``. Expat itself refuses entities that grow beyond reason.

    Without namespaces: drawings that were copied out of a page use prefixes that nobody declared.
    """
    names: list[str] = []

    def start(name: str, _attributes: dict[str, str]) -> None:
        names.append(name)
        raise _EnoughError

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    with suppress(_EnoughError, expat.ExpatError):
        parser.Parse(head.lstrip(), False)
    return bool(names) and names[0].rpartition(":")[2] == "svg"


def _inside_zip(file: BinaryIO) -> str:
    names = [name.replace(b"\\", b"/").lstrip(b"/").lower() for name in _names_in_zip(file)]
    if b"[content_types].xml" in names:
        for folder, name in _OFFICE_FOLDERS.items():
            if any(entry.startswith(folder) for entry in names):
                return name
    return ZIP


def _names_in_zip(file: BinaryIO) -> list[bytes]:
    """Names of the central directory; none where it is damaged, or longer than we read.

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
    if at >= 76 and tail[at - 76 : at - 72] == b"PK\x06\x06" and tail[at - 20 : at - 16] == b"PK\x06\x07":
        at -= 76  # its 64-bit form stands before it; some office programs write it for the smallest file
        length = struct.unpack_from("<Q", tail, at + 40)[0]
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
