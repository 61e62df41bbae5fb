"""Facts of a picture: format, dimensions, and what its EXIF says, made safe for JSON and for a page.

EXIF is written by anything and trusted by nothing here: every value is checked, cut to a length and left out when it
makes no sense. Binary values (maker notes, thumbnails) are never read.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from PIL import Image

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_TEXT_LENGTH = 120
_DATE = re.compile(
    r"(\d{4})[:/-](\d\d)[:/-](\d\d)[ T]\s*(\d\d):(\d\d):(\d\d)(?:[.,:]\d+)?\s*(?P<zone>Z|[+-]\d\d:\d\d)?"
)
_FORMAT_NAMES = {"MPO": "JPEG", "HEIF": "HEIC"}


def facts(image: Image.Image, frames: int) -> dict[str, Any]:
    """format, frames and exif{} of an opened picture."""
    name = str(image.format)
    return {"format": _FORMAT_NAMES.get(name, name), "frames": frames, "exif": exif_of(image)}


def dimensions(size: tuple[int, int]) -> dict[str, Any]:
    """width, height and aspect_ratio as a person sees the picture: after the orientation was applied."""
    return {"width": size[0], "height": size[1], "aspect_ratio": round(size[0] / size[1], 4)}


def exif_of(image: Image.Image) -> dict[str, Any]:
    """camera_make, camera_model, lens, exposure ("1/250"), f_number, iso, focal_length_mm, taken_at (ISO 8601, with
    an offset only when the camera knew it), orientation (1 to 8), software, gps{lat, lon, altitude_m}; only what is
    there and makes sense.
    """
    try:
        exif = image.getexif()
        main, camera, place = dict(exif), exif.get_ifd(_EXIF_IFD), exif.get_ifd(_GPS_IFD)
    except Exception:  # a damaged EXIF block may raise anything; it must not cost the preview
        return {}
    orientation = image.info.get("original_orientation") or main.get(0x0112)
    found = {
        "camera_make": _text(main.get(0x010F)),
        "camera_model": _text(main.get(0x0110)),
        "lens": _text(camera.get(0xA434)),
        "exposure": _exposure(_number(camera.get(0x829A))),
        "f_number": _rounded(_number(camera.get(0x829D), 0.1, 1000), 1),
        "iso": _whole(camera.get(0x8827), 1, 10_000_000),
        "focal_length_mm": _rounded(_number(camera.get(0x920A), 0.1, 100_000), 1),
        "taken_at": _taken_at(
            (camera.get(0x9003), camera.get(0x9011)),  # DateTimeOriginal and its offset from UTC
            (camera.get(0x9004), camera.get(0x9012)),  # DateTimeDigitized
            (main.get(0x0132), camera.get(0x9010)),  # DateTime, which programs change
        ),
        "orientation": _whole(orientation, 1, 8),
        "software": _text(main.get(0x0131)),
        "gps": _place(place),
    }
    return {name: value for name, value in found.items() if value is not None}


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    words = "".join(sign for sign in value[: 4 * _TEXT_LENGTH].split("\0")[0] if sign.isprintable()).strip()
    return words[:_TEXT_LENGTH].encode("utf-8", "replace").decode() or None


def _number(value: object, least: float = 1e-9, most: float = 1e9) -> float | None:
    if isinstance(value, tuple) and value:
        value = value[0]
    try:
        number = float(value)  # type: ignore[arg-type]  # rationals, numbers, or anything: that is the question
    except (TypeError, ValueError, ArithmeticError):
        return None
    return number if math.isfinite(number) and least <= number <= most else None


def _whole(value: object, least: int, most: int) -> int | None:
    number = _number(value, least, most)
    return None if number is None else int(number)


def _rounded(number: float | None, digits: int) -> float | None:
    return None if number is None else round(number, digits)


def _exposure(seconds: float | None) -> str | None:
    """Seconds as photographers write them: 1/250 below a third of a second, else 0.5 or 30."""
    if seconds is None:
        return None
    return f"1/{round(1 / seconds)}" if seconds < 0.3 else f"{seconds:.3g}"


def _taken_at(*dates: tuple[object, object]) -> str | None:
    """The first of these dates that is one: cameras leave blanks or zeros where they do not know it.

    Besides EXIF's own form, ``2021:06:01 10:00:00``, programs write that of ISO 8601, and fractions of a second.
    """
    for value, offset in dates:
        found = _DATE.fullmatch(_text(value) or "")
        if found is None:
            continue
        try:
            moment = datetime(*(int(part) for part in found.groups()[:6]))  # type: ignore[arg-type]  # noqa: DTZ001
        except ValueError:
            continue
        zone = (found["zone"] or _text(offset) or "").replace("Z", "+00:00")
        return moment.isoformat() + (zone if re.fullmatch(r"[+-]\d\d:\d\d", zone) else "")
    return None


def _place(gps: Mapping[int, Any]) -> dict[str, float] | None:
    lat, lon = _degrees(gps.get(2), gps.get(1), "S", 90), _degrees(gps.get(4), gps.get(3), "W", 180)
    if lat is None or lon is None or (lat == 0 and lon == 0):  # cameras without a fix write zeros
        return None
    place = {"lat": lat, "lon": lon}
    altitude = _number(gps.get(6), 0, 100_000)
    if altitude is not None:
        place["altitude_m"] = round(-altitude if gps.get(5) in (1, b"\x01") else altitude, 1)
    return place


def _degrees(parts: object, side: object, negative: str, most: float) -> float | None:
    if not isinstance(parts, tuple | list) or len(parts) != 3:
        return None
    numbers = [_number(part, 0, 10_000) for part in parts]
    if any(number is None for number in numbers):
        return None
    whole, minutes, seconds = (number or 0.0 for number in numbers)
    value = whole + minutes / 60 + seconds / 3600
    if value > most:
        return None
    return round(-value if _text(side) == negative else value, 6)
