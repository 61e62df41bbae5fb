"""Small ICC profiles, written by hand: no package ships a Display P3 or a CMYK profile that may be copied here."""

import struct
from functools import cache
from itertools import product

# D50-adapted colorants of Display P3 and the sRGB curve, from the published profile's own numbers.
_P3_COLORANTS = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
    b"wtpt": (0.96420, 1.0, 0.82491),
}
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

# CIE Lab of the paper and of each ink alone at full strength; overprints are mixed by multiplying reflections.
_INKS = ((55.0, -37.0, -50.0), (48.0, 74.0, -3.0), (89.0, -5.0, 93.0), (16.0, 0.0, 0.0))


@cache
def display_p3_profile() -> bytes:
    """A matrix profile, ICC v4."""
    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + b"".join(map(_fixed, _SRGB_CURVE))
    tags = {name: b"XYZ " + bytes(4) + b"".join(map(_fixed, xyz)) for name, xyz in _P3_COLORANTS.items()}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(b"mntr", b"RGB ", b"XYZ ", {b"desc": _text("Display P3"), **tags})


@cache
def ink_profile() -> bytes:
    """A CMYK profile, ICC v4: a table of the sixteen overprints of four dull inks on white paper."""
    table = b"".join(_lab(overprint) for overprint in product((0, 1), repeat=4))
    straight = bytes(range(256))
    identity = b"".join(_fixed(float(row == column)) for row in range(3) for column in range(3))
    lookup = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + straight * 4 + table + straight * 3
    tags = {b"wtpt": b"XYZ " + bytes(4) + b"".join(map(_fixed, _P3_COLORANTS[b"wtpt"])), b"A2B0": lookup}
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"desc": _text("Four dull inks"), **tags})


def _lab(overprint: tuple[int, ...]) -> bytes:
    lightness, a, b = 100.0, 0.0, 0.0
    for used, ink in zip(overprint, _INKS, strict=True):
        if used:
            lightness, a, b = lightness * ink[0] / 100, (a + ink[1]) * 0.7, (b + ink[2]) * 0.7
    if sum(overprint) == 1:  # one ink alone is exactly what its row says
        lightness, a, b = _INKS[overprint.index(1)]
    return bytes(max(0, min(255, round(value))) for value in (lightness * 2.55, a + 128, b + 128))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _text(words: str) -> bytes:
    encoded = words.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _profile(device: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {**tags, b"cprt": _text("No rights reserved")}
    place, index, body = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        index += name + struct.pack(">II", place + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4xI", place + len(body), 0x04300000) + device + space + connection
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _D50 + bytes(48)
    return header + struct.pack(">I", len(tags)) + index + body


_D50 = struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
