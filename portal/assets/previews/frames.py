"""Counting frames without decoding one, and no further than the cap."""

from pathlib import Path

from PIL import Image

from portal.assets.previews.outcome import PreviewFailed

_EXTENSION, _PICTURE, _TRAILER = 0x21, 0x2C, 0x3B


def count(image: Image.Image, source: Path, most: int) -> int:
    """Frames of an animation or pages of a TIFF.

    Raises PreviewFailed(too_many_frames) above `most`.
    """
    if image.format == "GIF":
        found = gif_frames(source.read_bytes(), most)
    elif image.format == "TIFF":
        found = _tiff_pages(image, most)
    else:  # these formats keep the number in a header
        found = int(getattr(image, "n_frames", 1))
    if found > most:
        raise PreviewFailed("too_many_frames", f"The file has more than {most:,} frames; previews are made up to that.")
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


def _tiff_pages(image: Image.Image, most: int) -> int:
    try:
        image.seek(most)
    except EOFError:
        found = int(getattr(image, "n_frames", 1))
    else:
        found = most + 1
    image.seek(0)
    return found
