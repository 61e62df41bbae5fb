"""What the bytes are: libmagic's opinion of a file's beginning, corrected where a container has to be opened.

Answers one canonical media type, for any bytes. Containers are listed, and no more than ``MAX_LIST_BYTES`` is read of
them: memory does not depend on the file. The file's name plays no part here.
"""

from __future__ import annotations

import codecs
import errno
import functools
import logging
import re
import struct
import zipfile
import zlib
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO
from xml.parsers import expat

from portal.inspection import ole, zip_directory

if TYPE_CHECKING:
    import magic

log = logging.getLogger(__name__)

HEAD = 256 * 1024
"""Bytes at the beginning that are read; libmagic needs at least 64 KiB to see through office files."""
MAX_LIST_BYTES = 2 * 1024 * 1024
"""Bytes of a container's list of contents; a longer one is not an office document's."""
_MAX_PROLOGUE_BYTES = 10 * 1024 * 1024  # before the root of an XML document: licences, an editor's data in comments
_MAX_CONTENT_TYPES_BYTES = 1024 * 1024
_XML_CHUNK = 1024 * 1024

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
# The main part of a document may lie in any folder: then its content type says which kind it is (ECMA-376-2, 10.1.2).
_MAIN_PARTS = {
    b"wordprocessingml.document.main+xml": _OOXML + "wordprocessingml.document",
    b"spreadsheetml.sheet.main+xml": _OOXML + "spreadsheetml.sheet",
    b"presentationml.presentation.main+xml": _OOXML + "presentationml.presentation",
}
# Names that libmagic's versions have for one type.
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
# Boxes that a file without ftyp may begin with: old QuickTime's, and segments of a stream (ISO 14496-12 8.16).
_FIRST_BOXES = {
    **dict.fromkeys((b"moov", b"mdat", b"wide", b"pnot", b"skip", b"free", b"udta"), "video/quicktime"),
    **dict.fromkeys((b"moof", b"sidx", b"emsg", b"prft"), "video/mp4"),
}
_BRAND_BOXES = (b"ftyp", b"styp")
PDF_MARK = b"%PDF-"  # readers accept it anywhere in the first kilobyte
_BINARY_BYTES = bytes([*range(7), *range(14, 26), *range(28, 32), 127])
_BINARY_CHARACTERS = re.compile(f"[{re.escape(_BINARY_BYTES.decode('ascii'))}]")
_SHIFTS = b"\x0e\x0f"  # between alphabets in ISO 2022, which announces them by an escape sequence
_ISO_2022 = re.compile(rb"\x1b[$()*+,\-./][ -~]")
# Of so many characters one may be a control: separators of records, the odd byte of an old program.
_CONTROL_SHARE, _NUL_SHARE = 20, 1024
_MARKS = {  # of byte order; the longer ones first
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# Formats that begin with letters, which a text may begin with, too; their files hold bytes that no text does.
_PERHAPS_WORDS = ("text/", "image/", "video/", "audio/", UNKNOWN, PDF)


def detect(head: bytes, file: BinaryIO) -> str:
    """The media type of a whole file whose first ``HEAD`` bytes are given; moves the file's position.

    Never raises for what the bytes are: where a part of this does not know what to make of them, they are of an
    unknown type. Raises OSError where the local disk fails.
    """
    try:
        return _detect(head, file)
    except OSError as error:
        if error.errno == errno.EIO:
            raise
        log.warning("no type could be detected", exc_info=True)
    except Exception:
        log.warning("no type could be detected", exc_info=True)
    return UNKNOWN


def _detect(head: bytes, file: BinaryIO) -> str:
    if head[4:8] in _BRAND_BOXES and head[:1] == b"\0":  # a length below 16 MB
        return _by_brand(head)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _inside_zip(file)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return ole.detect(file)
    guess = next((name for beginning, name in _BEGINNINGS.items() if head.startswith(beginning)), None) or _guess(head)
    if head[4:8] in _FIRST_BOXES and (guess == UNKNOWN or head[:1] == b"\0"):
        return _FIRST_BOXES[head[4:8]]
    if guess.startswith(_PERHAPS_WORDS):
        guess = _text_or_guess(head, guess, file)
    # Bytes before an archive are harmless, unless they are a program.
    return ZIP if guess == UNKNOWN and _zip_entries(file) else guess


def looks_like_text(head: bytes) -> bool:
    """Whether people could read it: hardly anything that no text encoding uses. UTF-32 needs its mark."""
    encoding = _wide_encoding(head)
    if encoding is None:
        text = head.translate(None, _SHIFTS) if _ISO_2022.search(head) else head
        controls, nuls = len(text) - len(text.translate(None, _BINARY_BYTES)), text.count(0)
        return bool(head) and controls * _CONTROL_SHARE <= len(text) and nuls * _NUL_SHARE <= len(text)
    try:
        words = codecs.getincrementaldecoder(encoding)().decode(head)  # the head may end within a character
    except UnicodeDecodeError:
        return False
    return len(_BINARY_CHARACTERS.findall(words)) * _CONTROL_SHARE <= len(words)


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
    if (
        brands[0] == b"mif3"
    ):  # of one picture, with a short header: the codec stands where a version would (ISO 23008-12)
        brands.append(head[12:16])
    first = _BRANDS.get(brands[0])
    if first in (None, "image/heif"):  # unknown, or the general brand; a compatible one says what is inside
        inside = (_BRANDS[brand] for brand in brands if _BRANDS.get(brand) in ("image/avif", "image/heic"))
        return next(inside, first or "video/mp4")
    return first


def _text_or_guess(head: bytes, guess: str, file: BinaryIO) -> str:
    """libmagic's guess, corrected: it calls bytes a text, an SVG or a PDF by a few words at their beginning."""
    if not looks_like_text(head):
        # Readers take a PDF whose mark stands anywhere in the first 1024 bytes (PDF 1.7, appendix H, note 13).
        if guess == UNKNOWN and PDF_MARK in head[:1024]:
            return PDF
        return UNKNOWN if guess.startswith(("text/", SVG)) else guess
    # A PDF can be all text. A text that only begins like one has no object.
    if guess == PDF and head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(PDF_MARK) and b" obj" in head:
        return PDF
    if _root_is_svg(head, file):
        return SVG
    if guess == SVG:
        return "text/xml"
    return guess if guess.startswith("text/") else TEXT


class _EnoughError(Exception):
    """The root element's name is known: nothing more of the document is parsed."""


def _root_is_svg(head: bytes, file: BinaryIO) -> bool:
    """Whether it is XML whose root is ``svg``, however far behind. Expat itself refuses entities that grow beyond
    reason.

    Without namespaces: drawings that were copied out of a page use prefixes that nobody declared.
    """
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and _wide_encoding(head) is None:
        return False
    try:
        root = _root(head, file, None)
    except (ValueError, LookupError):
        # Expat knows no encoding of several bytes (GBK, Shift JIS). Names of elements that matter here are ASCII, and
        # in all of those encodings "<" and ">" are only that.
        root = _root(head, file, "iso-8859-1")
    return root.rpartition(":")[2] == "svg"


def _root(head: bytes, file: BinaryIO, encoding: str | None) -> str:
    """The name of the root element; "" where there is none. Raises ValueError, LookupError for an unknown encoding."""
    names: list[str] = []

    def start(name: str, _attributes: dict[str, str]) -> None:
        names.append(name)
        raise _EnoughError

    parser = expat.ParserCreate(encoding)
    parser.StartElementHandler = start
    with suppress(_EnoughError, expat.ExpatError):
        parser.Parse(head.lstrip(), False)
        file.seek(len(head))
        left = _MAX_PROLOGUE_BYTES
        while left > 0 and (chunk := file.read(_XML_CHUNK)):
            parser.Parse(chunk, False)
            left -= len(chunk)
    return names[0] if names else ""


def _inside_zip(file: BinaryIO) -> str:
    entries = _zip_entries(file)
    # Some writers use backslashes or a slash in front, and office programs compare names without regard to case.
    names = [entry.name.replace(b"\\", b"/").lstrip(b"/").lower() for entry in entries]
    if b"[content_types].xml" not in names:
        return ZIP
    for folder, media_type in _OFFICE_FOLDERS.items():
        if any(name.startswith(folder) for name in names):
            return media_type
    # The main part may lie in a folder of another name: then the list of parts says what it is (ECMA-376, part 2).
    with suppress(zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError):
        listed = zip_directory.opened(file, entries[names.index(b"[content_types].xml")])
        types = listed.read(_MAX_CONTENT_TYPES_BYTES)
        return next((media_type for part, media_type in _MAIN_PARTS.items() if part in types), ZIP)
    return ZIP


def _zip_entries(file: BinaryIO) -> list[zip_directory.Entry]:
    """What the central directory lists; nothing where it is damaged, or longer than we read."""
    directory = zip_directory.find(file)
    if directory is None or directory.length > MAX_LIST_BYTES:
        return []
    try:
        return list(zip_directory.entries(file, directory))
    except zipfile.BadZipFile:
        return []
