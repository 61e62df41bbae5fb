"""Files that other programs show although something in them is wrong: the same bytes with the fault left out.

Nothing is written or copied: a view of the file passes over what is not needed for pixels, or replaces a few bytes.
"""

import bisect
import io
import itertools
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portal.previews import iso_boxes

# Side chunks that the picture depends on; all others (texts, histograms, a program's own) are left out unread.
_PNG_SIDE_CHUNKS = (b"tRNS", b"gAMA", b"sRGB", b"cICP", b"iCCP", b"eXIf", b"acTL", b"fcTL")
_PNG_LENGTHS = {b"gAMA": 4, b"sRGB": 1, b"cICP": 4, b"acTL": 8, b"fcTL": 26}
_PNG_UNCHECKED = (b"IDAT", b"fdAT")
_MAX_SIDE_CHUNK_BYTES = 1024 * 1024  # packed, and of a profile unpacked
_MAX_PNG_CHUNKS = 1_000_000
JPEG_END = b"\xff\xd9"
# Data of a scan that goes on: decoders pass over it where the picture is complete.
JPEG_MORE_DATA = b"\x5a\xa5\x3c\x96" * 64 + JPEG_END


class Pieces(io.RawIOBase):
    """Parts of a file and bytes, one after the other, as one file that can be read and searched."""

    def __init__(self, source: Path, pieces: list[tuple[int, int] | bytes]) -> None:
        """pieces: (offset, length) in the source, or bytes."""
        super().__init__()
        self._file = source.open("rb")
        self._pieces = [piece for piece in pieces if (len(piece) if isinstance(piece, bytes) else piece[1])]
        lengths = [len(piece) if isinstance(piece, bytes) else piece[1] for piece in self._pieces]
        self._starts = [0, *itertools.accumulate(lengths)][:-1]
        self._size, self._position = sum(lengths), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        number = bisect.bisect_right(self._starts, self._position) - 1
        if not 0 <= self._position < self._size:
            return 0
        skipped, piece = self._position - self._starts[number], self._pieces[number]
        if isinstance(piece, bytes):
            data = piece[skipped : skipped + len(buffer)]
        else:
            self._file.seek(piece[0] + skipped)
            data = self._file.read(min(len(buffer), piece[1] - skipped))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def png(source: Path) -> io.BufferedReader:
    """A PNG without the side chunks that are damaged, too large, or not needed for the picture."""
    kept: list[tuple[int, int] | bytes] = []
    start, end = 0, 8
    for kind, at, length in _png_chunks(source):
        if kind in _PNG_UNCHECKED or kind[:1].isupper() or _is_sound(source, kind, at, length):
            end = at + length + 12
            continue
        if end > start:
            kept.append((start, end - start))
        start = end = at + length + 12
    kept.append((start, end - start))
    return io.BufferedReader(Pieces(source, kept))


def _png_chunks(source: Path) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place and length of each chunk, up to the end, or to where the file breaks off."""
    size = source.stat().st_size
    with source.open("rb") as file:
        at = 8
        for _ in range(_MAX_PNG_CHUNKS):
            file.seek(at)
            head = file.read(8)
            if len(head) < 8:
                return
            length, kind = struct.unpack(">I4s", head)
            yield kind, at, min(length, size - at)
            at += length + 12
            if kind == b"IEND":
                return
        yield b"IDAT", at, size - at  # the rest as it is


def _is_sound(source: Path, kind: bytes, at: int, length: int) -> bool:
    if kind not in _PNG_SIDE_CHUNKS or not _PNG_LENGTHS.get(kind, 1) <= length <= _MAX_SIDE_CHUNK_BYTES:
        return False
    with source.open("rb") as file:
        file.seek(25)
        least = {b"\0": 2, b"\2": 6}.get(file.read(1), 1) if kind == b"tRNS" else 0
        if length < least:  # one sample of grey, or of each colour
            return False
        file.seek(at + 4)
        content, check = file.read(length + 4), file.read(4)
    if len(check) < 4 or zlib.crc32(content) != struct.unpack(">I", check)[0]:
        return False
    return kind != b"iCCP" or _unpacks(content[4:])


def _unpacks(profile: bytes) -> bool:
    """Whether a colour profile is one, and of a size that profiles have."""
    packed = profile.partition(b"\0")[2][1:]
    try:
        unpacker = zlib.decompressobj()
        unpacker.decompress(packed, _MAX_SIDE_CHUNK_BYTES)
    except zlib.error:
        return False
    return not unpacker.unconsumed_tail


def jpeg_with(source: Path, tail: bytes) -> io.BufferedReader:
    """A JPEG that breaks off, continued by ``tail``."""
    size = source.stat().st_size
    with source.open("rb") as file:
        file.seek(max(0, size - 64))
        end = file.read()
    size -= len(end) - len(end.rstrip(b"\xff"))  # half of a marker
    return io.BufferedReader(Pieces(source, [(0, size), tail]))


def avif(source: Path) -> io.BufferedReader:
    """An AVIF whose associations of properties lie in one box. Some writers use two, which libavif refuses.

    What the second box took is filled by an empty one behind their parent, so that the pixels stay where they are.
    """
    size = source.stat().st_size
    with source.open("rb") as file:
        head = file.read(iso_boxes.MAX_META_BYTES)
    parents, boxes = (iso_boxes.find(head, path) for path in ((b"meta", b"iprp"), (b"meta", b"iprp", b"ipma")))
    merged = _merged([head[at : at + length] for at, length in boxes])
    if merged is None or len(parents) != 1:
        return source.open("rb")
    (parent, length), (first, first_length), (second, second_length) = parents[0], *boxes
    if first + first_length != second or second + second_length != parent + length:
        return source.open("rb")
    spare = first_length + second_length - len(merged)
    shorter = struct.pack(">I", length - spare)
    filling = struct.pack(">I4s", spare, b"free") + bytes(spare - 8)
    end = parent + length
    pieces: list[tuple[int, int] | bytes] = [(0, parent), shorter, (parent + 4, first - parent - 4), merged, filling]
    return io.BufferedReader(Pieces(source, [*pieces, (end, size - end)]))


def _merged(boxes: list[bytes]) -> bytes | None:
    """Two ``ipma`` boxes of one form as one (ISO 23008-12, 9.3.3)."""
    if len(boxes) != 2 or boxes[0][8:12] != boxes[1][8:12] or min(map(len, boxes)) < 16:
        return None
    count = sum(struct.unpack_from(">I", box, 12)[0] for box in boxes)
    entries = boxes[0][16:] + boxes[1][16:]
    return struct.pack(">I4s", 16 + len(entries), b"ipma") + boxes[0][8:12] + struct.pack(">I", count) + entries
