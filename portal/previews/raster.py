"""Pictures: one careful open, one decode, one upright sRGB picture at the largest size that is wanted."""

import importlib
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from portal.previews import colour, metadata, repair
from portal.previews.limits import check_pixels, count_frames, heif_size, webp_size
from portal.previews.types import VARIANTS, DecodingFailed, Limits, fit

# What libmagic calls it -> the one decoder that may look at it; no other ever sees a byte.
FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/apng": "PNG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
    "image/heif": "HEIF",
    "image/heic-sequence": "HEIF",
    "image/heif-sequence": "HEIF",
    "image/tiff": "TIFF",
}
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What an integer average may leave for the fine filter: less is faster and softer.
_REDUCING_GAP = 1.5
_BAND_PIXELS = 2_000_000


def read(source: Path, mime_type: str, limits: Limits) -> tuple[Image.Image, tuple[int, int], dict[str, Any]]:
    """The picture upright, in sRGB, at most as large as the largest variant; its own size, upright; its facts.

    Raises DecodingFailed, and whatever a decoder raises on a damaged file.
    """
    with _opened(source, mime_type, limits) as image:
        stored, mode = image.size, image.mode
        facts = metadata.facts(image, count_frames(image, source, limits.frames))
        target = fit(stored, VARIANTS[0].longest)
        loaded = _loaded(image, source, target)
        # Asked after load: TIFF turns itself while loading and then no longer says so.
        orientation = loaded.getexif().get(_ORIENTATION, 1)
        profile, gamma = image.info.get("icc_profile"), colour.gamma_of(image)
        small = _shrunk(loaded, target)
    if orientation in _TURNS:
        small = small.transpose(_TURNS[orientation])
        if orientation >= 5:
            stored = stored[::-1]
    facts |= {"mode": mode} | metadata.dimensions(stored)
    return colour.to_srgb(small, profile, gamma), stored, facts


def _opened(source: Path, mime_type: str, limits: Limits) -> Image.Image:
    """Headers read, nothing decoded. Raises DecodingFailed(unsupported, too_many_pixels)."""
    name = FORMATS.get(mime_type)
    if name is None:
        raise DecodingFailed("unsupported")
    most = limits.jpeg_pixels if name == "JPEG" else limits.pixels
    if name == "WEBP":
        check_pixels(webp_size(source), most)
    elif name in ("HEIF", "AVIF"):
        check_pixels(heif_size(source), most)
    _load_decoder(name)
    Image.MAX_IMAGE_PIXELS = None  # its own limit knows no plain words; ours is below
    repaired = {"PNG": repair.png, "AVIF": repair.avif}.get(name)
    image = Image.open(repaired(source) if repaired else source, formats=[name])
    Image.MAX_IMAGE_PIXELS = most  # for what shows later, a frame larger than its file's header
    check_pixels(image.size, most)
    # Browsers and programs for pictures follow the orientation of EXIF alone; Pillow falls back to the one in XMP.
    image.info.pop("xmp", None)
    if name == "PNG":
        colour.scale_transparency(image, _png_depth(source))
    return image


def _loaded(image: Image.Image, source: Path, target: tuple[int, int]) -> Image.Image:
    """The decoded picture. Raises OSError where a part of it is missing.

    A JPEG may lack its end marker: some cameras and programs for the web leave it out. It is complete when more data of
    the scan before the marker changes nothing: where something is missing, the decoder fills it from that data.
    """
    image.draft(None, target)  # a JPEG decodes straight to 1/2, 1/4 or 1/8, never below the target
    try:
        image.load()
    except OSError:
        if image.format not in ("JPEG", "MPO"):
            raise
        ended, continued = (_continued(source, tail, target) for tail in (repair.JPEG_END, repair.JPEG_MORE_DATA))
        if ImageChops.difference(ended, continued).getbbox() is not None:
            raise
        return ended
    return image


def _continued(source: Path, tail: bytes, target: tuple[int, int]) -> Image.Image:
    image = Image.open(repair.jpeg_with(source, tail), formats=["JPEG"])
    image.info.pop("xmp", None)
    image.draft(None, target)
    image.load()
    return image


def _png_depth(source: Path) -> int:
    """Bits of a sample, from the header."""
    with source.open("rb") as file:
        return file.read(25)[-1]


def _load_decoder(name: str) -> None:
    """Imports one plugin, set to one thread: a thread's stack and heap count against the limit of memory."""
    if name == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    elif name == "AVIF":
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    elif name == "TIFF":
        importlib.import_module("PIL.TiffImagePlugin")  # the other formats Pillow finds by itself


def _shrunk(image: Image.Image, target: tuple[int, int]) -> Image.Image:
    """`image` at `target` size in a plain mode.

    A large source is averaged in bands, so that no second copy of it ever exists, whatever its mode.
    """
    width, height = image.size
    factor = max(1, int(min(width / target[0], height / target[1]) / _REDUCING_GAP))
    box = (0.0, 0.0, float(width), float(height))
    white = colour.white_of(image)
    if factor > 1 or colour.plain(image.crop((0, 0, 1, 1)), white).mode != image.mode:
        image = _averaged(image, factor, white)
        box = (0.0, 0.0, width / factor, height / factor)
    if image.size == target:
        return image.copy()
    return image.resize(target, Image.Resampling.BICUBIC, box=box)


def _averaged(image: Image.Image, factor: int, white: float | None) -> Image.Image:
    width, height = image.size
    rows = max(1, _BAND_PIXELS // (width * factor)) * factor
    averaged: Image.Image | None = None
    for top in range(0, height, rows):
        band = colour.plain(image.crop((0, top, width, min(top + rows, height))), white).reduce(factor)
        if averaged is None:
            averaged = Image.new(band.mode, (-(-width // factor), -(-height // factor)))
        averaged.paste(band, (0, top // factor))
    assert averaged is not None  # a picture has at least one row
    return averaged
