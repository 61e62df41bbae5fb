"""Counting pixels and frames before anything is decoded, and no further than the cap."""

import struct
from pathlib import Path
from typing import Literal

from PIL import Image

from portal.previews import iso_boxes
from portal.previews.types import DecodingFailed

_HEAD_BYTES = 30
_EXTENSION, _PICTURE, _TRAILER = 0x21, 0x2C, 0x3B


def check_pixels(size: tuple[int, int], most: int) -> None:
    """Raises DecodingFailed(too_many_pixels) above `most`."""
    pixels = size[0] * size[1]
    if pixels > most:
        raise DecodingFailed("too_many_pixels", pixels=pixels, most=most)


def webp_size(source: Path) -> tuple[int, int]:
    """Width and height from a WebP's first bytes; (0, 0) when they say none.

    Its decoder reserves two whole canvases on opening: 2 GB for a bomb of 34 bytes.
    """
    with source.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    kind = head[12:16] if len(head) == _HEAD_BYTES and head[8:12] == b"WEBP" else b""
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":
        sides = int.from_bytes(head[21:25], "little")
        return (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return 0, 0


def heif_size(source: Path) -> tuple[int, int]:
    """Width and height of the largest picture that a HEIC or AVIF describes; (0, 0) when it describes none.

    Its decoders have limits of their own and call a file above them damaged, or short of memory.
    """
    with source.open("rb") as file:
        head = file.read(iso_boxes.MAX_META_BYTES)
    sizes = [(0, 0)]
    for at, length in iso_boxes.find(head, (b"meta", b"iprp", b"ipco", b"ispe")):
        if length >= 20:
            sizes.append(struct.unpack_from(">II", head, at + 12))
    return max(sizes, key=lambda size: size[0] * size[1])


def count_frames(image: Image.Image, source: Path, most: int) -> int:
    """Frames of an animation or pages of a TIFF.

    Raises DecodingFailed(too_many_frames) above `most`.
    """
    if image.format == "GIF":
        found = gif_frames(source.read_bytes(), most)
    elif image.format == "TIFF":
        found = tiff_pages(source, most)
    else:  # these formats keep the number in a header
        found = int(getattr(image, "n_frames", 1))
    if found > most:
        raise DecodingFailed("too_many_frames", most=most)
    return found


def gif_frames(data: bytes, most: int) -> int:
    """Picture blocks of a GIF, at most `most` + 1; a file that ends early counts as far as it goes.

    Pillow's own count has no cap: five million empty frames fit in an upload.
    """
    found, place = 0, 13 + _palette(data[10:11])
    while place < len(data) and data[place] != _TRAILER and found <= most:
        if data[place] == _PICTURE:
            found += 1
            place += 11 + _palette(data[place + 9 : place + 10])  # descriptor, palette, code size
        elif data[place] == _EXTENSION:
            place += 2
        else:
            break
        while place < len(data) and data[place]:  # data comes in pieces, each with its length before it
            place += data[place] + 1
        place += 1
    return found


def _palette(flags: bytes) -> int:
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def tiff_pages(source: Path, most: int) -> int:
    """Directories of a TIFF (or BigTIFF), at most `most` + 1; a chain that breaks or leaves the file ends there.

    Pillow's own count has no cap and reads every page's tags, so that one odd page would cost the whole preview.
    """
    with source.open("rb") as file:
        head = file.read(16)
        order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
        big = int.from_bytes(head[2:4], order) == 43
        counter, entry, pointer = (8, 20, 8) if big else (2, 12, 4)
        place = int.from_bytes(head[8:16] if big else head[4:8], order)
        seen: set[int] = set()  # a chain may lead back into itself
        size = source.stat().st_size
        while 0 < place < size and place not in seen and len(seen) <= most:
            file.seek(place)
            entries = file.read(counter)
            if len(entries) < counter:
                break
            seen.add(place)
            file.seek(place + counter + entry * int.from_bytes(entries, order))
            place = int.from_bytes(file.read(pointer), order)
    return len(seen)
