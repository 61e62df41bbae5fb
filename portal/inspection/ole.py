"""OLE containers ([MS-CFB]): what office programs wrote until 2003, and what wraps a newer document with a password.

Read by hand, no further than the directory and the first sector of one stream: memory does not depend on the file.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

OLE = "application/x-ole-storage"
ENCRYPTED_OFFICE = "application/x-encrypted-office"
"""A docx, xlsx or pptx with a password: an OLE container that says no more."""
WORD, EXCEL, POWERPOINT = "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"

_STREAMS = {
    "WordDocument": WORD,
    "Workbook": EXCEL,
    "Book": EXCEL,
    "PowerPoint Document": POWERPOINT,
    "EncryptedPackage": ENCRYPTED_OFFICE,
    "__properties_version1.0": "application/vnd.ms-outlook",
    "VisioDocument": "application/vnd.visio",
}
_INSTALLER = "\u4840"  # every table of a Windows installer package has a name that begins with it
_MOST_SECTORS = 128  # of a directory: 512 entries and more
_MOST_TABLES = 16 * 1024  # of 64 KB each
_SMALLEST = 4096  # bytes; shorter streams lie elsewhere, in sectors of their own
_NO_SECTOR = 0xFFFFFFFA  # and above: the end of a chain, or none
# Records of a workbook ([MS-XLS]); whatever comes before a password does not matter.
_FILE_PASS, _SHEETS = 0x2F, 0x85


def detect(file: BinaryIO) -> str:
    """The media type of an OLE container; ``OLE`` where its streams say nothing, or it is damaged."""
    streams = _streams(file)
    if any(name.startswith(_INSTALLER) for name in streams):
        return "application/x-msi"
    return next((media_type for stream, media_type in _STREAMS.items() if stream in streams), OLE)


def is_locked(file: BinaryIO) -> bool:
    """Whether an office document of the old form is encrypted with a password ([MS-DOC], [MS-XLS], [MS-PPT])."""
    streams = _streams(file)
    if "EncryptedSummary" in streams:  # PowerPoint's copy of what it encrypted
        return True
    if "WordDocument" in streams:
        head = _beginning(file, streams["WordDocument"])
        return len(head) > 12 and bool(struct.unpack_from("<H", head, 10)[0] & 0x100)
    workbook = streams.get("Workbook") or streams.get("Book")
    return workbook is not None and _has_password(_beginning(file, workbook))


def _has_password(head: bytes) -> bool:
    at = 0
    while at + 4 <= len(head):
        record, length = struct.unpack_from("<HH", head, at)
        if record in (_FILE_PASS, _SHEETS):
            return bool(record == _FILE_PASS)
        at += 4 + length
    return False


def _streams(file: BinaryIO) -> dict[str, bytes]:
    """What lies directly under the root, each with its entry of 128 bytes; empty where the container is damaged."""
    entries = _directory(file)
    streams: dict[str, bytes] = {}
    waiting = [struct.unpack_from("<I", entries, 76)[0]] if len(entries) >= 128 else []
    seen: set[int] = set()
    while waiting:
        number = waiting.pop()
        entry = entries[number * 128 : number * 128 + 128]
        if number in seen or len(entry) < 128:
            continue
        seen.add(number)
        waiting += struct.unpack_from("<II", entry, 68)  # the siblings on both sides
        name = entry[: max(0, struct.unpack_from("<H", entry, 64)[0] - 2)].decode("utf-16-le", "replace")
        streams[name] = entry
    return streams


def _sector_size(file: BinaryIO) -> tuple[bytes, int]:
    """The header, and bytes of a sector; 0 where it is none."""
    file.seek(0)
    header = file.read(512)
    return header, 1 << header[30] if len(header) == 512 and header[30] in (9, 12) else 0


def _directory(file: BinaryIO) -> bytes:
    """The directory's entries of 128 bytes, following its chain of sectors through the allocation table."""
    header, sector_size = _sector_size(file)
    if not sector_size:
        return b""
    tables = _tables(file, header, sector_size)
    per_table = sector_size // 4
    number: int = struct.unpack_from("<I", header, 48)[0]
    entries = b""
    for _ in range(_MOST_SECTORS):
        if number >= _NO_SECTOR:
            break
        file.seek((number + 1) * sector_size)
        entries += file.read(sector_size)
        table = tables[number // per_table] if number // per_table < len(tables) else 0xFFFFFFFF
        file.seek((table + 1) * sector_size + number % per_table * 4)
        link = file.read(4)
        number = struct.unpack("<I", link)[0] if len(link) == 4 else 0xFFFFFFFE
    return entries


def _tables(file: BinaryIO, header: bytes, sector_size: int) -> list[int]:
    """Sectors of the allocation table: 109 in the header, those of a container above 7 MB in a chain of sectors."""
    tables = list(struct.unpack_from("<109I", header, 76))
    number: int = struct.unpack_from("<I", header, 68)[0]
    while number < _NO_SECTOR and len(tables) < _MOST_TABLES:
        file.seek((number + 1) * sector_size)
        sector = file.read(sector_size)
        if len(sector) < sector_size:
            break
        *more, number = struct.unpack(f"<{sector_size // 4}I", sector)
        tables += more
    return tables


def _beginning(file: BinaryIO, entry: bytes) -> bytes:
    """The first sector of a stream; nothing of a short one."""
    sector_size = _sector_size(file)[1]
    start, size = struct.unpack_from("<II", entry, 116)
    if size < _SMALLEST or start >= _NO_SECTOR:
        return b""
    file.seek((start + 1) * sector_size)
    return file.read(sector_size)
