"""Bringing any colour mode and profile to plain sRGB."""

import io

from PIL import Image, ImageCms

_KEPT = ("L", "LA", "RGB", "RGBA", "CMYK", "LAB", "YCbCr")
_BAND_ROWS = 256
_TRANSFORMED = ("L", "RGB", "RGBA", "CMYK", "LAB")


def white_of(image: Image.Image) -> float | None:
    """The sample that is white in a picture of more than eight bits a channel; None where it is 255 anyway.

    Of the whole picture, before it is cut into bands. Instruments keep 12 bits in 16, and 32 bits have no fixed white:
    it is the smallest usual one that no sample exceeds.
    """
    wide = image.mode.startswith("I;16")
    if not wide and image.mode not in ("I", "F"):
        return None
    highest = _highest(image)
    usual = (4095.0, 65535.0) if wide else (1.0, 255.0, 4095.0, 65535.0)
    white = next((top for top in usual if highest <= top), 4294967295.0)
    return 255.0 if image.mode == "I" and white == 1.0 else white


def _highest(image: Image.Image) -> float:
    """Pillow knows no extrema of 16 bits in the other order of bytes: those are looked at in bands."""
    if image.mode not in ("I;16B", "I;16L"):
        highest = image.getextrema()[1]
        assert isinstance(highest, int | float)
        return highest
    width, height = image.size
    bands = (image.crop((0, top, width, min(top + _BAND_ROWS, height))) for top in range(0, height, _BAND_ROWS))
    return max(_highest(band.convert("I")) for band in bands)


def plain(image: Image.Image, white: float | None = None) -> Image.Image:
    """The picture in a mode of eight bits a channel that can be averaged: no palette, no 16 or 32 bits, no bitmap."""
    if "transparency" in image.info and image.mode in ("1", "L", "P", "RGB"):
        return image.convert("RGBA")
    if image.mode in _KEPT:
        return image
    if white is not None:
        # Pillow's own conversion clips at 255, which turns a 16-bit picture white.
        samples = image if image.mode == "F" else image.convert("I")
        return samples.point(lambda value: value * (255.0 / white)).convert("L")
    return image.convert({"1": "L", "P": "RGB", "RGBX": "RGB"}.get(image.mode, "RGBA"))


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture as RGB, or RGBA where something is transparent, in sRGB.

    A profile that is missing, broken or made for another mode is taken as the mode's default.
    """
    image = _without_profile(image, profile)
    if image.mode in ("LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGB")
    return image


def _without_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode == "LAB":
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    elif profile and image.mode in _TRANSFORMED:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        except (OSError, ImageCms.PyCMSError):
            return image
    else:
        return image
    if _is_srgb(source):
        return image
    try:
        return _transformed(image, source)
    except ImageCms.PyCMSError:  # a profile for another colour space than the picture's
        return image


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    return str(profile.profile.profile_description or "").startswith("sRGB")


def _transformed(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    target_mode = "RGBA" if image.mode == "RGBA" else "RGB"
    transform = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        image.mode,
        target_mode,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    turned = ImageCms.applyTransform(image, transform)
    assert turned is not None  # only None when done in place
    return turned
