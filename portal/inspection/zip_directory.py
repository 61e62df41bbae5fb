"""The list of contents at the end of a ZIP archive (APPNOTE 4.3.12 to 4.3.16).

Not read by ``zipfile``, which keeps an object of every entry in memory, and a file may list a million.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_LOCAL, _ENTRY, _END, _END64, _LOCATOR64 = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"


@dataclass(frozen=True)
class Directory:
    """Where the list begins in the file, its length, and by how many bytes places in it are shifted.

    Bytes before an archive, such as a program that unpacks it, shift every offset in it.
    """

    at: int
    length: int
    shift: int


@dataclass(frozen=True)
class Entry:
    """One file of an archive. at: where its own header begins. method: of packing, APPNOTE 4.4.5."""

    name: bytes
    flags: int
    method: int
    packed: int
    unpacked: int
    at: int

    @property
    def is_encrypted(self) -> bool:
        """Whether a password is needed."""
        return bool(self.flags & 1)


def find(file: BinaryIO) -> Directory | None:
    """The directory of an archive; None where there is none."""
    size = file.seek(0, io.SEEK_END)
    start = max(0, size - 22 - 0xFFFF)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < 22:
        return None
    length, offset = struct.unpack_from("<II", tail, at + 12)
    if at >= 76 and tail[at - 76 : at - 72] == _END64 and tail[at - 20 : at - 16] == _LOCATOR64:
        at -= 76  # its 64-bit form stands before it; some office programs write it for the smallest file
        length, offset = struct.unpack_from("<QQ", tail, at + 40)
    begin = start + at - length
    return None if begin < 0 else Directory(begin, length, begin - offset)


def is_behind(file: BinaryIO) -> bool:
    """Whether a file that begins with something else ends with an archive."""
    directory = find(file)
    if directory is None or directory.length == 0:
        return False
    file.seek(directory.at)
    return file.read(4) == _ENTRY


def entries(file: BinaryIO, directory: Directory) -> Iterator[Entry]:
    """What it lists, in order. Raises BadZipFile where it is damaged."""
    at, end = directory.at, directory.at + directory.length
    while at + 46 <= end:
        file.seek(at)
        fixed = file.read(46)
        if len(fixed) < 46 or fixed[:4] != _ENTRY:
            raise zipfile.BadZipFile("the directory is damaged")
        flags, method = struct.unpack_from("<HH", fixed, 8)
        packed, unpacked, name, extra, comment = struct.unpack_from("<IIHHH", fixed, 20)
        offset = struct.unpack_from("<I", fixed, 42)[0]
        more = file.read(name + extra)
        at += 46 + name + extra + comment
        unpacked, packed, offset = _wide(more[name:], unpacked, packed, offset)
        yield Entry(more[:name], flags, method, packed, unpacked, directory.shift + offset)


def opened(file: BinaryIO, entry: Entry) -> zipfile.ZipExtFile:
    """The unpacked content of an entry, to be read before the file is used for anything else.

    Raises BadZipFile where the header before the content says something else than the directory: programs differ in
    which of the two they follow. NotImplementedError for methods that Python does not know.
    """
    file.seek(max(0, entry.at))
    local = file.read(30)
    if len(local) < 30 or local[:4] != _LOCAL:
        raise zipfile.BadZipFile("an entry is not where the directory says")
    if struct.unpack_from("<H", local, 8)[0] != entry.method:
        raise zipfile.BadZipFile("an entry is packed in another way than the directory says")
    file.seek(sum(struct.unpack_from("<HH", local, 26)), io.SEEK_CUR)
    info = zipfile.ZipInfo()
    info.compress_type, info.compress_size, info.file_size = entry.method, entry.packed, entry.unpacked
    # Without a checksum in it none is compared: only beginnings are read.
    return zipfile.ZipExtFile(file, "r", info)


def _wide(extra: bytes, unpacked: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Sizes and place from the field for 64 bits (APPNOTE 4.5.3), where 32 bits are not enough."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            values = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
            unpacked, packed, offset = (
                next(values, value) if value == 0xFFFFFFFF else value for value in (unpacked, packed, offset)
            )
        at += 4 + length
    return unpacked, packed, offset
