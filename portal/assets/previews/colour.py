"""Bringing any colour mode and profile to plain sRGB."""

import io

from PIL import Image, ImageCms

_KEPT = ("L", "LA", "RGB", "RGBA", "CMYK", "LAB", "YCbCr")
_TRANSFORMED = ("L", "RGB", "RGBA", "CMYK", "LAB")


def plain(image: Image.Image) -> Image.Image:
    """The picture in a mode of eight bits a channel that can be averaged: no palette, no 16 or 32 bits, no bitmap."""
    if "transparency" in image.info and image.mode in ("1", "L", "P", "RGB"):
        return image.convert("RGBA")
    if image.mode in _KEPT:
        return image
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255, which turns a 16-bit picture white: keep the high byte.
        return Image.frombytes("L", image.size, image.tobytes("raw", "I;16B")[::2])
    if image.mode in ("I", "F"):
        return _scaled(image)
    return image.convert({"1": "L", "P": "RGB", "RGBX": "RGB"}.get(image.mode, "RGBA"))


def _scaled(image: Image.Image) -> Image.Image:
    """32-bit samples have no fixed white: 1 for fractions, else the smallest of 255, 65535 and 2**32-1 that fits."""
    _, highest = image.getextrema()
    assert isinstance(highest, int | float)
    white = next((top for top in (1.0, 255.0, 65535.0) if highest <= top), 4294967295.0)
    if image.mode == "I" and white == 1.0:
        white = 255.0
    return image.point(lambda value: value * (255.0 / white)).convert("L")


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
