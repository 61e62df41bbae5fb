"""Files of every kind that may be uploaded, and of some that may not: each function gives the bytes of one."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib

from PIL import Image

OOXML = "application/vnd.openxmlformats-officedocument."
_NOISE = Image.effect_noise((96, 64), 60).convert("RGB")


def picture(form: str) -> bytes:
    """A small picture in one of Pillow's formats, HEIF among them."""
    if form == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    _NOISE.save(buffer, form)
    return buffer.getvalue()


def zipped(*names: str, content: bytes = b"<x/>") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return buffer.getvalue()


def office(folder: str, *, types_first: bool = True) -> bytes:
    """A docx (``word``), xlsx (``xl``) or pptx (``ppt``), its parts in the usual or in another order."""
    parts = ["[Content_Types].xml", "_rels/.rels", "docProps/app.xml", f"{folder}/main.xml"]
    return zipped(*(parts if types_first else reversed(parts)))


def office_elsewhere(kind: str) -> bytes:
    """An office document whose main part lies at the archive's root, as some libraries write it."""
    types = f'<Types><Override PartName="/document.xml" ContentType="{OOXML}{kind}.main+xml"/></Types>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("[Content_Types].xml", types), ("_rels/.rels", "<x/>"), ("document.xml", "<x/>")):
            archive.writestr(name, content)
    return buffer.getvalue()


def with_64_bit_end(archive: bytes) -> bytes:
    """The same zip with the 64-bit end of its directory, too, as exports of spreadsheets have it (APPNOTE 4.3.14)."""
    at = archive.rindex(b"PK\x05\x06")
    entries, size, offset = struct.unpack_from("<HII", archive, at + 10)
    end = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, offset)
    return archive[:at] + end + struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1) + archive[at:]


def compound(*streams: str, directory_sector: int = 1, first: bytes = b"") -> bytes:
    """An OLE container ([MS-CFB]) with these streams under its root: empty, but that the first may have a beginning."""
    none, end = 0xFFFFFFFF, 0xFFFFFFFE

    def entry(name: str, kind: int, right: int = none, child: int = none) -> bytes:
        wide = name.encode("utf-16-le") + b"\0\0"
        links = struct.pack("<III", none, right, child)
        place = struct.pack("<IQ", directory_sector + 1, 4096) if first and name == streams[0] else None
        return (
            wide.ljust(64, b"\0")
            + struct.pack("<HBB", len(wide), kind, 1)
            + links
            + bytes(36)
            + (place or struct.pack("<IQ", end, 0))
        )

    entries = [entry("Root Entry", 5, child=1)]
    entries += [entry(name, 2, right=at + 2 if at + 1 < len(streams) else none) for at, name in enumerate(streams)]
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(10)
    header += struct.pack("<IIIIIIIII", 1, directory_sector, 0, 4096, end, 0, end, 0, 0)
    sectors = [struct.pack("<128I", 0xFFFFFFFD, *[end] * 127)]
    sectors += [bytes(512)] * (directory_sector - 1) + [b"".join(entries).ljust(512, b"\0")]
    return header.ljust(512, b"\xff") + b"".join(sectors) + (first.ljust(4096, b"\0") if first else b"")


def large_compound(stream: str) -> bytes:
    """A container so large that its allocation table has a list of its own; the stream's entry is found through it."""
    end, far = 0xFFFFFFFE, 109 * 128  # the first sector that the header's tables don't cover
    small = compound("a", "b", "c", stream)
    header, directory = bytearray(small[:512]), small[1024:].ljust(1024, b"\0")
    struct.pack_into("<I", header, 48, far)
    struct.pack_into("<I", header, 44, 110)
    struct.pack_into("<II", header, 68, 1, 1)
    header[76:] = struct.pack("<109I", *[0] * 109)
    table, more = struct.pack("<128I", *[end] * 128), struct.pack("<128I", 2, *[0xFFFFFFFF] * 126, end)
    last = struct.pack("<128I", far + 1, *[end] * 127)
    return bytes(header) + (table + more + last).ljust(far * 512, b"\0") + directory


def old_document(*, encrypted: bool) -> bytes:
    """A Word document of the old form, with or without a password ([MS-DOC] 2.5.2)."""
    return compound(
        "WordDocument", "1Table", first=struct.pack("<5HH", 0xA5EC, 193, 0, 0, 0, 0x1100 if encrypted else 0x1000)
    )


def old_workbook(*, encrypted: bool) -> bytes:
    """An Excel workbook of the old form, with or without a password ([MS-XLS] 2.4.117)."""
    beginning, password = struct.pack("<HH16x", 0x809, 16), struct.pack("<HH4x", 0x2F, 4)
    return compound("Workbook", first=beginning + (password if encrypted else b"") + struct.pack("<HH8x", 0x85, 8))


def old_presentation(*, encrypted: bool) -> bytes:
    """A PowerPoint presentation of the old form, with or without a password ([MS-PPT] 2.3.7)."""
    return compound("Current User", "PowerPoint Document", *(["EncryptedSummary"] if encrypted else []))


def tarred(form: int = tarfile.PAX_FORMAT) -> bytes:
    return tar_of([("a.txt", b"hello")], form)


def tar_of(members: list[tuple[str, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content)


def encrypted_zip() -> bytes:
    """The zip of one stored file with its encryption bit set, as any zip with a password has."""
    content = bytearray(zipped("secret.txt", content=os.urandom(64)))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def disagreeing_zip() -> bytes:
    """Its directory says "deflated", the header before the content "LZMA": programs differ in which one they follow."""
    content = bytearray(zipped("a.txt"))
    struct.pack_into("<H", content, 8, zipfile.ZIP_LZMA)
    return bytes(content)


def zip_bomb_of_archives() -> bytes:
    """A zip in a zip, small as a file, of 8 MB."""
    return zipped("inner.zip", content=zipped("zeros", content=os.urandom(1 << 20)) * 8)


def iso_media(brand: bytes, *compatible: bytes) -> bytes:
    """The beginning of an MP4, QuickTime, HEIF or AVIF file."""
    boxes = brand + b"\0\0\2\0" + b"".join(compatible)
    return struct.pack(">I", 8 + len(boxes)) + b"ftyp" + boxes + struct.pack(">I", 16) + b"mdat" + bytes(8)


def boxes(*kinds: bytes) -> bytes:
    """A file of such boxes; ``styp`` has the brand of a segment."""
    content = {b"styp": b"msdh\0\0\0\0msdhmsix"}
    return b"".join(
        struct.pack(">I", 8 + len(body)) + kind + body for kind in kinds for body in [content.get(kind, bytes(24))]
    )


def svg_in(encoding: str, words: str) -> bytes:
    return f'<?xml version="1.0" encoding="{encoding}"?>\n<!-- {words} --><svg><title>{words}</title></svg>'.encode(
        encoding
    )


def quicktime_without_brand() -> bytes:
    return struct.pack(">I4sI4s", 8, b"wide", 64, b"mdat") + bytes(56)


def matroska(document_type: bytes) -> bytes:
    body = b"\x42\x86\x81\x01\x42\xf7\x81\x01\x42\x82" + bytes([0x80 | len(document_type)]) + document_type
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 | len(body)]) + body + b"\x18\x53\x80\x67" + b"\xff" * 8


AVI = b"RIFF" + struct.pack("<I", 200) + b"AVI LIST" + bytes(190)
WMV = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(100)
FLV = b"FLV\x01\x05\0\0\0\x09" + bytes(20)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
RAR = b"Rar!\x1a\x07\x01\x00" + bytes(32)
SEVEN_ZIP = b"7z\xbc\xaf'\x1c\0\x04" + bytes(40)
GZIP = gzip.compress(b"hello")
TIFF_LIKE_RAW = b"MM\0*" + struct.pack(">I", 8) + bytes(600)
CR2 = b"II*\0\x10\0\0\0CR\x02\0" + bytes(600)
RW2 = b"IIU\0\x18\0\0\0" + bytes(200)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><circle r="4"/></svg>'
SVG_WITH_SCRIPT = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
SVG_AFTER_A_LONG_COMMENT = b'<?xml version="1.0"?>\n<!-- ' + b"x" * 9000 + b" -->\n" + SVG
SVG_WITH_PREFIX = b'<s:svg xmlns:s="http://www.w3.org/2000/svg"/>'
SVG_WITH_ENTITIES = (
    b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (ord("b") + n, b"&%c;" % (ord("a") + n) * 10) for n in range(9))
    + b']>\n<svg xmlns="http://www.w3.org/2000/svg" id="&j;"/>'
)
HTML = b"<!doctype html><html><body><svg></svg><script>alert(1)</script></body></html>"
JPEG_HEAD_WITH_HTML = b"\xff\xd8\xff\xe0" + HTML
GIF_HEAD_WITH_PHP = b"GIF89a<?php echo 1; ?>\n"
HTML_WITH_PDF_MARK = b"<html><!-- %PDF-1.4 --><script>alert(1)</script></html>"
SVG_WITH_UNDECLARED_PREFIX = b'<svg xmlns="http://www.w3.org/2000/svg" xlink:href="#a"><g/></svg>'
EMPTY_TAR = bytes(10240)
WINDOWS_PROGRAM = b"MZ" + bytes(58) + b"\x80\0\0\0" + bytes(64) + b"PE\0\0" + bytes(200)
NOISE = zlib.compress(bytes(range(256)) * 64)
