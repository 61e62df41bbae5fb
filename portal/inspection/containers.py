"""Whether a scanner could look into everything that a file contains: clamd answers "OK" for what it can't unpack.

What a daemon can unpack depends on how it was built: Debian's has no RAR, and none knows every method of ZIP and 7-Zip.
So each daemon is asked about an EICAR file in every form (`probe_archives`), and a file that it called clean is looked
through for forms in which it did not find it: in ZIP (office documents, too), TAR, gzip, bzip2, xz and 7-Zip, and in
archives inside of them. Only beginnings are unpacked, but for archives in archives.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import struct
import tarfile
import tempfile
import zipfile
import zlib
from typing import BinaryIO, Literal, Protocol

from portal.inspection import seven_zip, zip_directory

Obstacle = Literal["encrypted", "unscannable", "too_large"]

ZIP_METHODS = {0: "zip-stored", 8: "zip-deflate", 9: "zip-deflate64", 12: "zip-bzip2", 14: "zip-lzma", 98: "zip-ppmd"}
_PYTHON_UNPACKS = (0, 8, 12, 14)
SEVEN_ZIP_CODERS = {
    seven_zip.COPY: "7z-copy",
    seven_zip.LZMA: "7z-lzma",
    seven_zip.LZMA2: "7z-lzma2",
    seven_zip.PPMD: "7z-ppmd",
    seven_zip.BZIP2: "7z-bzip2",
    seven_zip.DEFLATE: "7z-deflate",
    seven_zip.BCJ: "7z-bcj",
    seven_zip.BCJ2: "7z-bcj2",
}
RAR_MAGIC = {b"Rar!\x1a\x07\0": "rar4", b"Rar!\x1a\x07\x01\0": "rar5"}
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
# Archives that no clamd of today unpacks: Zstandard, compress, WIM, ACE at its usual place.
_NEVER = (b"\x28\xb5\x2f\xfd", b"\x1f\x9d", b"MSWIM\0\0\0")
_PROGRAM = b"MZ"
_HEAD = 600  # bytes; a TAR's first header has 512
_CHUNK = 1024 * 1024
_MAX_DEPTH = 16
_MAX_BYTES = 1024 * 1024 * 1024
"""Bytes to unpack in all for archives in archives; more is "too large to scan"."""


class _FoundError(Exception):
    """The first obstacle: nothing more of the file is read."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle)
        self.obstacle = obstacle


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


def obstacle_in(file: BinaryIO, readable: frozenset[str]) -> Obstacle | None:
    """Why a daemon that unpacks ``readable`` forms alone can't have looked into all of a file; None where it can.

    An archive that is damaged is an obstacle, too: another program may read it differently. Raises OSError where the
    local disk fails.
    """
    try:
        _Walk(readable).look(file, 0)
    except _FoundError as found:
        return found.obstacle
    except (
        struct.error, ValueError, OverflowError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError,
        zipfile.BadZipFile, NotImplementedError, seven_zip.DamagedError, gzip.BadGzipFile, MemoryError,
    ):  # fmt: skip
        return "unscannable"
    except OSError as error:
        if error.errno is not None:
            raise
        return "unscannable"  # bz2 says so of damaged data
    return None


class _Part:
    """So many bytes of a file, read in order."""

    def __init__(self, file: BinaryIO, at: int, length: int) -> None:
        self.file, self.at, self.left = file, at, length

    def read(self, size: int, /) -> bytes:
        self.file.seek(self.at)
        data = self.file.read(min(size, self.left))
        self.at, self.left = self.at + len(data), self.left - len(data)
        return data


class _Walk:
    """One look through a file and the archives in it, with a budget for all of them."""

    def __init__(self, readable: frozenset[str]) -> None:
        self.readable = readable
        self.left = _MAX_BYTES
        self.hidden = {magic for magic, form in RAR_MAGIC.items() if form not in readable}

    def look(self, file: BinaryIO, depth: int) -> None:
        """At a file that can be searched."""
        if depth > _MAX_DEPTH:
            raise _FoundError("too_large")
        file.seek(0)
        head = file.read(_HEAD)
        file.seek(0)
        self._refuse(head)
        if head.startswith(_ZIP):
            self._zip(file, depth)
        elif head.startswith(seven_zip.MAGIC):
            self._seven_zip(file)
        elif _tar_header(head[: tarfile.BLOCKSIZE]) is not None:
            self._tar(file, depth)
        else:
            opened = _decompressed(file, head)
            if opened is not None:
                self._inside(opened, depth + 1)
            elif zip_directory.is_behind(file):  # a program that unpacks itself, or a script
                self._zip(file, depth)

    def _inside(self, stream: _Readable, depth: int) -> None:
        """At what an archive contains, read from its beginning: most of it is no archive, and is left at once."""
        head = _exactly(stream, _HEAD)
        self._refuse(head)
        if head.startswith(_PROGRAM):
            self._program(head, stream)
        elif head.startswith((*_ZIP, seven_zip.MAGIC, *_COMPRESSED)) or _tar_header(head[: tarfile.BLOCKSIZE]):
            with tempfile.TemporaryFile() as copy:
                copy.write(head)
                while chunk := stream.read(_CHUNK):
                    self._spend(len(chunk))
                    copy.write(chunk)
                self.look(copy, depth)

    def _refuse(self, head: bytes) -> None:
        """Forms that are known by their beginning, and hide all that they contain."""
        form = next((name for magic, name in RAR_MAGIC.items() if head.startswith(magic)), None)
        if (form is not None and form not in self.readable) or head.startswith(_NEVER):
            raise _FoundError("unscannable")
        form = next((name for magic, name in _COMPRESSED.items() if head.startswith(magic)), None)
        if form is not None and form not in self.readable:
            raise _FoundError("unscannable")

    def _program(self, head: bytes, stream: _Readable) -> None:
        """A self-extracting archive is a program with a RAR behind it."""
        tail = head
        while True:
            if any(magic in tail for magic in self.hidden):
                raise _FoundError("unscannable")
            chunk = stream.read(_CHUNK)
            if not chunk:
                return
            self._spend(len(chunk))
            tail = tail[-8:] + chunk

    def _zip(self, file: BinaryIO, depth: int) -> None:
        directory = zip_directory.find(file)
        if directory is None:
            raise _FoundError("unscannable")
        for entry in zip_directory.entries(file, directory):
            if entry.is_encrypted:
                raise _FoundError("encrypted")
            if ZIP_METHODS.get(entry.method) not in self.readable:
                raise _FoundError("unscannable")
            if entry.unpacked:
                self._member(file, entry, depth)

    def _member(self, file: BinaryIO, entry: zip_directory.Entry, depth: int) -> None:
        try:
            self._inside(zip_directory.opened(file, entry), depth + 1)
        except (NotImplementedError, zlib.error):
            # The daemon unpacks what Python can't, but not a RAR that may be in it.
            if entry.method in _PYTHON_UNPACKS or self.hidden:
                raise

    def _tar(self, file: BinaryIO, depth: int) -> None:
        """Without ``tarfile``: that reads long names and attributes whole, which may be as long as the file."""
        at, size = 0, None
        while True:
            file.seek(at)
            header = _tar_header(file.read(tarfile.BLOCKSIZE))
            if header is None:  # two blocks of zeros, or what follows an archive
                return
            at += tarfile.BLOCKSIZE
            length, size = (header.size if size is None else size), None
            if header.type == tarfile.XHDTYPE:  # may give the next entry another size
                attributes = file.read(min(length, _CHUNK))
                found = re.search(rb"\d+ size=(\d{1,19})\n", attributes)
                size = int(found[1]) if found else None
            elif header.type in tarfile.REGULAR_TYPES and length:
                self._inside(_Part(file, at, length), depth + 1)
            at += -(-length // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE

    def _seven_zip(self, file: BinaryIO) -> None:
        """Members lie one after the other in what is packed: forms are looked for anywhere in it."""
        for folder in seven_zip.folders(file):
            names = {coder for coder, _ in folder.coders}
            if seven_zip.AES in names:
                raise _FoundError("encrypted")
            if any(SEVEN_ZIP_CODERS.get(name) not in self.readable for name in names):
                raise _FoundError("unscannable")
            chunks = folder.unpacked(file)
            if chunks is None:
                if self.hidden:  # the daemon looks into this one, and not into a RAR that it may contain
                    raise _FoundError("unscannable")
                continue
            tail = b""
            for chunk in chunks:
                self._spend(len(chunk))
                tail = tail[-8:] + chunk
                if any(magic in tail for magic in self.hidden):
                    raise _FoundError("unscannable")

    def _spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise _FoundError("too_large")


def _decompressed(file: BinaryIO, head: bytes) -> _Readable | None:
    form = next((name for magic, name in _COMPRESSED.items() if head.startswith(magic)), None)
    if form == "gzip":
        return gzip.GzipFile(fileobj=file)
    if form == "bzip2":
        return bz2.BZ2File(file)
    return lzma.LZMAFile(file) if form == "xz" else None


def _exactly(stream: _Readable, size: int) -> bytes:
    head = b""
    while len(head) < size and (more := stream.read(size - len(head))):
        head += more
    return head


def _tar_header(block: bytes) -> tarfile.TarInfo | None:
    """The header of a TAR's entry, whatever its dialect: its checksum shows that it is one."""
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
