"""Office files with a macro, as small as clamd takes them for such: [MS-CFB] around [MS-OVBA]."""

from __future__ import annotations

import io
import struct
import zipfile

from tests.support import specimens

SECTOR, SMALLEST = 512, 4096  # bytes; shorter streams would need a second allocation table
_NONE, _END, _TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def old_office(**more: bytes) -> bytes:
    """An OLE file with one macro, and ``more`` streams by name."""
    project = {"_VBA_PROJECT": b"\xcc\x61", "dir": _packed(_directory()), "Module1": _packed(_SOURCE)}
    return _compound(project | more)


def new_office() -> bytes:
    """A docx that carries the same project, as a docm does."""
    buffer = io.BytesIO(specimens.office("word"))
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/vbaProject.bin", old_office())
    return buffer.getvalue()


_SOURCE = b'Attribute VB_Name = "Module1"\r\nSub AutoOpen()\r\nEnd Sub\r\n'


def _directory() -> bytes:
    """The stream that names modules: records of an id, a length and so many bytes ([MS-OVBA] 2.3.4.2)."""
    name = "Module1".encode("utf-16-le")
    head = [(1, b"\3\0\0\0"), (2, b"\x09\4\0\0"), (0x14, b"\x09\4\0\0"), (3, b"\xe4\4"), (4, b"Project")]
    head += [(5, b""), (0x40, b""), (6, b""), (0x3D, b""), (7, bytes(4)), (8, bytes(4))]
    version = struct.pack("<HIIH", 9, 4, 1, 1)  # its length does not count the last two bytes
    tail = [(0x0C, b""), (0x3C, b""), (0x0F, b"\1\0"), (0x13, b"\xff\xff"), (0x19, b"Module1"), (0x47, name)]
    tail += [(0x1A, b"Module1"), (0x32, name), (0x1C, b""), (0x48, b""), (0x31, bytes(4)), (0x1E, bytes(4))]
    tail += [(0x2C, b"\xff\xff"), (0x21, b""), (0x2B, b""), (0x10, b"")]
    return _records(head) + version + _records(tail)


def _records(pairs: list[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack("<HI", number, len(content)) + content for number, content in pairs)


def _packed(content: bytes) -> bytes:
    """Compressed, as far as the format demands it: flag bytes that say "eight plain bytes follow"."""
    chunk = b"".join(b"\0" + content[at : at + 8] for at in range(0, len(content), 8))
    return b"\1" + struct.pack("<H", 0xB000 | (len(chunk) - 1)) + chunk


def _compound(streams: dict[str, bytes]) -> bytes:
    table, body, entries = [_TABLE, 2, _END], b"", [_entry("Root Entry", 5, _END, 0, child=1)]
    for number, (name, content) in enumerate(streams.items()):
        padded = content.ljust(SMALLEST, b"\0")
        first, count = len(table), len(padded) // SECTOR
        table += [*range(first + 1, first + count), _END]
        right = number + 2 if number + 1 < len(streams) else _NONE
        entries.append(_entry(name, 2, first, len(padded), right=right))
        body += padded
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(10)
    header += struct.pack("<IIIIIIIII", 1, 1, 0, SMALLEST, _END, 0, _END, 0, 0)
    directory = b"".join(entries)
    assert len(table) <= SECTOR // 4
    table += [_NONE] * (SECTOR // 4 - len(table))
    return header.ljust(SECTOR, b"\xff") + struct.pack("<128I", *table) + directory.ljust(2 * SECTOR, b"\0") + body


def _entry(name: str, kind: int, start: int, size: int, *, right: int = _NONE, child: int = _NONE) -> bytes:
    wide = name.encode("utf-16-le") + b"\0\0"
    head = wide.ljust(64, b"\0") + struct.pack("<HBB", len(wide), kind, 1)
    return head + struct.pack("<III", _NONE, right, child) + bytes(36) + struct.pack("<IQ", start, size)
