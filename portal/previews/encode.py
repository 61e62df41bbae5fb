"""Every variant from one picture: each size from the one above it, and the placeholder from the smallest."""

import io
from pathlib import Path
from typing import Any

from PIL import Image, WebPImagePlugin

from portal.previews.types import VARIANTS, fit

# Effort of the WebP encoder, 0 to 6: 2 takes less than half of the CPU of 4 and gives about 3 % more bytes.
_METHOD = 2
# Naming the plugin itself spares the import of all forty that Pillow tries when it does not know a format.
_FORMAT = WebPImagePlugin.WebPImageFile.format
_LOWEST_QUALITY = 20
_QUALITY_STEP = 5
# Bytes of a photograph at qualities 85, 80, ... 20, as parts of those at 85: the median of the demo's pictures.
_TYPICAL = (1.0, 0.81, 0.66, 0.62, 0.58, 0.55, 0.52, 0.49, 0.46, 0.42, 0.37, 0.34, 0.31, 0.27)

# Behind transparent pictures. Both are seen against anything up to, and from, the middle grey of the eye (sRGB 118).
_LIGHT_GROUND, _DARK_GROUND, _BRIGHT = "#f1f3f4", "#2b3138", 118
_OPAQUE = 250  # average alpha of 255: rounded corners do not count


def write(picture: Image.Image, original: tuple[int, int], out_dir: Path, web_bytes: int) -> dict[str, Any]:
    """Writes `{name}.webp` for every variant; returns variants[{name, width, height}] and placeholder.

    picture: upright sRGB at the largest variant's size, or smaller when `original` (the size of the source, upright)
    is. A source smaller than a variant gives that variant at the source's own size.
    """
    picture.info = {}  # so that the encoder finds no EXIF, no XMP and no profile to pass on
    written: list[dict[str, Any]] = []
    packed: dict[tuple[tuple[int, int], int], bytes] = {}
    for variant in VARIANTS:
        size = fit(original, variant.longest)
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        key = (size, variant.quality)
        if key not in packed:  # a small source has one size for several names
            packed[key] = _web(picture, web_bytes) if variant.name == "web" else _packed(picture, variant.quality)
        (out_dir / f"{variant.name}.webp").write_bytes(packed[key])
        written.append({"name": variant.name, "width": size[0], "height": size[1]})
    return {"variants": written, "placeholder": placeholder(picture)}


def _packed(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, _FORMAT, quality=quality, method=_METHOD)
    return out.getvalue()


def _web(picture: Image.Image, most: int) -> bytes:
    """The highest quality, in steps, that keeps within `most` bytes; the lowest where none does.

    Instead of trying every step, the next one is foreseen from how photographs usually shrink.
    """
    best, step, last = VARIANTS[0].quality, 0, len(_TYPICAL) - 1
    assert best - last * _QUALITY_STEP == _LOWEST_QUALITY
    while True:
        data = _packed(picture, best - step * _QUALITY_STEP)
        if len(data) <= most or step == last:
            return data
        wanted = _TYPICAL[step] * most / len(data)
        step = next((later for later in range(step + 1, last) if _TYPICAL[later] <= wanted), last)


def placeholder(picture: Image.Image) -> str:
    """The colour behind the picture, `#rrggbb`: the average of what is visible.

    Behind a picture that lets it through, for good, that colour would swallow a logo: there it is a light ground where
    what is visible is dark, and a dark one where it is light.
    """
    pixel = picture.convert("RGBA").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    red, green, blue, alpha = pixel
    if alpha >= _OPAQUE:
        return f"#{red:02x}{green:02x}{blue:02x}"
    brightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue  # of the eye, ITU-R BT.709
    return _DARK_GROUND if alpha and brightness > _BRIGHT else _LIGHT_GROUND
