"""How a 7-Zip archive is packed: its header lists the coders of each part (7zFormat.txt of the LZMA SDK).

Only what says how the bytes are packed is read: names, dates and attributes are skipped.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

MAGIC = b"7z\xbc\xaf'\x1c"
COPY, LZMA, LZMA2, PPMD, BZIP2, DEFLATE, BCJ, BCJ2, AES = (
    b"\x00",
    b"\x03\x01\x01",
    b"\x21",
    b"\x03\x04\x01",
    b"\x04\x02\x02",
    b"\x04\x01\x08",
    b"\x03\x03\x01\x03",
    b"\x03\x03\x01\x1b",
    b"\x06\xf1\x07\x01",
)
_END, _HEADER, _ARCHIVE_PROPERTIES, _ADDITIONAL_STREAMS, _MAIN_STREAMS = 0x00, 0x01, 0x02, 0x03, 0x04
_PACK_INFO, _UNPACK_INFO, _SIZES, _CRC, _FOLDERS, _UNPACK_SIZES, _ENCODED = 0x06, 0x07, 0x09, 0x0A, 0x0B, 0x0C, 0x17
_MAX_HEADER_BYTES = 16 * 1024 * 1024
_MAX_FOLDERS = 100_000
_CHUNK = 256 * 1024


class DamagedError(Exception):
    """It is no 7-Zip archive that can be read."""


@dataclass
class Folder:
    """One packed stream and its coders, each an id with its properties, the outermost first."""

    coders: list[tuple[bytes, bytes]]
    packed_streams: int = 1
    at: int = 0
    length: int = 0
    sizes: list[int] = field(default_factory=list)

    def unpacked(self, file: BinaryIO) -> Iterator[bytes] | None:
        """Its content in chunks; None where it is packed in a way that Python can't unpack."""
        decoder = _decoder(self.coders) if self.packed_streams == 1 else None
        return None if decoder is None else _decoded(file, self.at, self.length, decoder)


def folders(file: BinaryIO) -> list[Folder]:
    """The packed parts of an archive, those of its packed header included. Raises DamagedError."""
    try:
        return _folders(file)
    except (struct.error, IndexError, ValueError, lzma.LZMAError, zlib.error, OSError, EOFError) as error:
        raise DamagedError(str(error)) from error


def _folders(file: BinaryIO) -> list[Folder]:
    file.seek(0)
    start = file.read(32)
    offset, size = struct.unpack_from("<QQ", start, 12)
    if size == 0:
        return []
    if not start.startswith(MAGIC) or size > _MAX_HEADER_BYTES:
        raise ValueError("no header, or one that is too long")
    if offset > file.seek(0, 2):
        raise ValueError("the header lies behind the end")
    file.seek(32 + offset)
    header = file.read(size)
    if len(header) < size:
        raise ValueError("the header is cut off")
    found: list[Folder] = []
    while header[:1] == bytes([_ENCODED]):
        (packing,) = _Reader(header[1:]).streams()
        found.append(packing)
        if len(found) > 4 or any(coder == AES for coder, _ in packing.coders):
            return found
        header = _whole(packing, file)
    reader = _Reader(header)
    reader.expect(_HEADER)
    kind = reader.byte()
    if kind == _ARCHIVE_PROPERTIES:
        while reader.byte() != _END:
            reader.bytes(reader.number())
        kind = reader.byte()
    if kind == _ADDITIONAL_STREAMS:
        found += reader.streams()
        kind = reader.byte()
    return found + reader.streams() if kind == _MAIN_STREAMS else found


def _whole(packing: Folder, file: BinaryIO) -> bytes:
    chunks = packing.unpacked(file)
    if chunks is None:
        raise ValueError("the header is packed in an unusual way")
    header = b""
    for chunk in chunks:
        header += chunk
        if len(header) > _MAX_HEADER_BYTES:
            raise ValueError("the header is too long")
    return header[: packing.sizes[-1]] if packing.sizes else header


class _Reader:
    """Reads numbers and records in order; the struct, index and value errors of a cut header are its caller's."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def bytes(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise ValueError("cut off")
        self.at += count
        return self.data[self.at - count : self.at]

    def expect(self, kind: int) -> None:
        if self.byte() != kind:
            raise ValueError("an unexpected record")

    def number(self) -> int:
        """Of one to nine bytes: as many more bytes follow as the first one has leading ones."""
        first = self.byte()
        mask, value = 0x80, 0
        for position in range(8):
            if not first & mask:
                return value | (first & (mask - 1)) << (8 * position)
            value |= self.byte() << (8 * position)
            mask >>= 1
        return value

    def streams(self) -> list[Folder]:
        """PackInfo and UnpackInfo; what follows says nothing about the packing."""
        kind, at, sizes, found = self.byte(), 0, list[int](), list[Folder]()
        if kind == _PACK_INFO:
            at, count = self.number() + 32, self.number()
            while (kind := self.byte()) != _END:
                if kind == _SIZES:
                    sizes = [self.number() for _ in range(self._bounded(count))]
                elif kind == _CRC:
                    self._checksums(count)
            kind = self.byte()
        if kind == _UNPACK_INFO:
            found = self._unpack_info()
        for folder in found:
            mine, sizes = sizes[: folder.packed_streams], sizes[folder.packed_streams :]
            folder.at, folder.length = at, mine[0] if mine else 0
            at += sum(mine)
        return found

    def _unpack_info(self) -> list[Folder]:
        self.expect(_FOLDERS)
        count = self._bounded(self.number())
        self.expect(0)  # not in an additional stream
        found, outputs = [], []
        for _ in range(count):
            folder, coder_outputs = self._folder()
            found.append(folder)
            outputs.append(coder_outputs)
        self.expect(_UNPACK_SIZES)
        for folder, coder_outputs in zip(found, outputs, strict=True):
            folder.sizes = [self.number() for _ in range(coder_outputs)]
        while (kind := self.byte()) != _END:
            if kind == _CRC:
                self._checksums(count)
        return found

    def _folder(self) -> tuple[Folder, int]:
        """One packed part, and how many unpacked streams its coders have ("Folder" in 7zFormat.txt).

        Each coder: a byte of flags, its id, the numbers of its streams, its properties. Then the bonds that lead the
        output of one coder into another, and the indices of the inputs that are packed streams of the archive.
        """
        coders, inputs, outputs = [], 0, 0
        for _ in range(self._bounded(self.number(), 32)):
            flags = self.byte()
            coder = self.bytes(flags & 0x0F)  # the low bits: how many bytes its id has
            more_in, more_out = (self.number(), self.number()) if flags & 0x10 else (1, 1)  # else a simple one
            coders.append((coder, self.bytes(self.number()) if flags & 0x20 else b""))
            inputs, outputs = inputs + more_in, outputs + more_out
        bonds = self._bounded(outputs - 1, 32)
        for _ in range(2 * bonds):
            self.number()
        packed = inputs - bonds
        if packed > 1:  # with a single one its index is not written
            for _ in range(self._bounded(packed, 32)):
                self.number()
        return Folder(coders, packed), outputs

    def _checksums(self, count: int) -> None:
        known = self._bounded(count)
        if not self.byte():
            bits = self.bytes((count + 7) // 8)
            known = sum(byte.bit_count() for byte in bits)
        self.bytes(4 * known)

    def _bounded(self, count: int, most: int = _MAX_FOLDERS) -> int:
        if not 0 <= count <= most:
            raise ValueError("a count that can't be")
        return count


class _Copy:
    needs_input, eof = True, False

    def decompress(self, data: bytes, _max_length: int) -> bytes:
        return data


class _Inflate:
    """zlib's object with the interface of the other two."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._inflate.eof


_Decoder = _Copy | _Inflate | bz2.BZ2Decompressor | lzma.LZMADecompressor


def _decoder(coders: list[tuple[bytes, bytes]]) -> _Decoder | None:
    if len(coders) == 1:
        simple: dict[bytes, Callable[[], _Decoder]] = {COPY: _Copy, DEFLATE: _Inflate, BZIP2: bz2.BZ2Decompressor}
        if coders[0][0] in simple:
            return simple[coders[0][0]]()
    chain: list[dict[str, int]] = []
    for coder, properties in coders:
        if coder == BCJ:
            chain.append({"id": lzma.FILTER_X86})
        elif coder == LZMA and len(properties) == 5:
            rest, lc = divmod(properties[0], 9)
            pb, lp = divmod(rest, 5)
            size = struct.unpack_from("<I", properties, 1)[0]
            chain.append({"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb, "dict_size": max(size, 4096)})
        elif coder == LZMA2 and properties:
            bits = properties[0] & 0x3F
            chain.append({"id": lzma.FILTER_LZMA2, "dict_size": (2 | bits & 1) << (bits // 2 + 11)})
        else:
            return None
    # No dictionary above 256 MB: unpacking takes as much memory.
    if not chain or max(each.get("dict_size", 0) for each in chain) > 1 << 28:
        return None
    chain.sort(key=lambda each: each["id"] != lzma.FILTER_X86)  # the filter stands before the compression, or after
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)


def _decoded(file: BinaryIO, at: int, length: int, decoder: _Decoder) -> Iterator[bytes]:
    while not decoder.eof:
        data = b""
        if decoder.needs_input:
            file.seek(at)
            data = file.read(min(_CHUNK, length))
            at, length = at + len(data), length - len(data)
            if not data:
                return
        yield decoder.decompress(data, _CHUNK)
