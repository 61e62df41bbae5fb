"""Bringing any colour mode and profile to plain sRGB."""

import io

from PIL import Image, ImageChops, ImageCms

_KEPT = ("L", "LA", "RGB", "RGBA", "CMYK", "LAB", "YCbCr")
_MAX_SAMPLE_VALUE = 281  # a tag of TIFF 6.0
_TRANSFORMED = ("L", "RGB", "RGBA", "CMYK", "LAB")


def white_of(image: Image.Image) -> float | None:
    """The sample that is white in a picture of more than eight bits a channel; None where it is 255 anyway.

    Of 16 bits it is the highest possible one, so that a dark picture stays dark; a TIFF of an instrument that keeps 12
    bits in 16 says so in MaxSampleValue. 32 bits have no fixed white: it is the smallest usual one that no sample of
    the whole picture exceeds.
    """
    if image.mode.startswith("I;16"):
        stated = getattr(image, "tag_v2", {}).get(_MAX_SAMPLE_VALUE)
        highest = stated[0] if isinstance(stated, tuple) else stated
        return float(highest) if isinstance(highest, int) and 255 <= highest <= 65535 else 65535.0
    if image.mode not in ("I", "F"):
        return None
    highest = image.getextrema()[1]
    assert isinstance(highest, int | float)
    white = next((top for top in (1.0, 255.0, 4095.0, 65535.0) if highest <= top), 4294967295.0)
    return 255.0 if image.mode == "I" and white == 1.0 else white


def gamma_of(image: Image.Image) -> float | None:
    """The exponent of a PNG whose samples are not sRGB's (gAMA, PNG 11.3.2.2); None where nothing is to be done.

    A profile or sRGB's own chunk outweighs it, and 1/2.2 is written for sRGB by most programs.
    """
    gamma = image.info.get("gamma")
    if image.format != "PNG" or not gamma or "srgb" in image.info or image.info.get("icc_profile"):
        return None
    return None if abs(gamma - 1 / 2.2) < 0.01 or not 0.1 <= gamma <= 10 else float(gamma)


def scale_transparency(image: Image.Image, depth: int) -> None:
    """The transparent sample of a grey PNG of two or four bits, as it is after decoding: Pillow leaves it as it was."""
    sample = image.info.get("transparency")
    if depth in (2, 4) and image.mode == "L" and isinstance(sample, int):
        image.info["transparency"] = sample * 255 // (2**depth - 1)


def plain(image: Image.Image, white: float | None = None) -> Image.Image:
    """The picture in a mode of eight bits a channel that can be averaged: no palette, no 16 or 32 bits, no bitmap."""
    if "transparency" in image.info and image.mode in ("1", "L", "P", "RGB"):
        return image.convert("RGBA")
    if image.mode in _KEPT:
        return image
    sample = image.info.get("transparency")
    if image.mode.startswith("I;16") and isinstance(sample, int):
        grey = image.convert("I").point(lambda value: value * (255.0 / (white or 65535.0))).convert("L")
        return Image.merge("LA", (grey, _where_not(image, sample)))
    if white is not None:
        # Pillow's own conversion clips at 255, which turns a 16-bit picture white.
        samples = image if image.mode == "F" else image.convert("I")
        return samples.point(lambda value: value * (255.0 / white)).convert("L")
    return image.convert({"1": "L", "P": "RGB", "RGBX": "RGB"}.get(image.mode, "RGBA"))


def _where_not(image: Image.Image, sample: int) -> Image.Image:
    """255 where a pixel of 16 bits is another than ``sample``, 0 where it is that one."""
    data = image.tobytes()
    little = image.mode != "I;16B"
    parts = sample.to_bytes(2, "little" if little else "big")
    same = [
        Image.frombytes("L", image.size, data[half::2]).point([255 * (value == parts[half]) for value in range(256)])
        for half in (0, 1)
    ]
    return ImageChops.invert(ImageChops.darker(*same))


def to_srgb(image: Image.Image, profile: bytes | None, gamma: float | None = None) -> Image.Image:
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
    return image if gamma is None else _without_gamma(image, gamma)


def _without_gamma(image: Image.Image, gamma: float) -> Image.Image:
    """Samples that are light to the power of ``gamma``, as sRGB (IEC 61966-2-1)."""
    light = [(value / 255) ** (1 / gamma) for value in range(256)]
    curve = [12.92 * each if each <= 0.0031308 else 1.055 * each ** (1 / 2.4) - 0.055 for each in light]
    samples = [round(255 * each) for each in curve]
    return image.point(samples * 3 + (list(range(256)) if image.mode == "RGBA" else []))


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
