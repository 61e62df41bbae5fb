"""What both sides of a rendering share: limits, variants, the result and the failure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

MB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """What one rendering may use.

    pixels: 120 megapixels; more is refused unread.
    jpeg_pixels: those are decoded at a fraction of their size, so that the 200 of today's largest phone sensors pass.
    frames: of an animation or pages of a TIFF; only the first is rendered, but all have to be counted.
    memory_bytes: address space of the child. Measured peaks in MB: JPEG of 24 megapixels 65; of 48 megapixels HEIC 350,
    AVIF 440, WebP 770; of 120 megapixels progressive JPEG 400, PNG with alpha 575, CMYK TIFF 760. What does not fit
    (WebP from about 60, AVIF from about 110 megapixels) fails as out_of_memory.
    cpu_seconds, wall_seconds: the slowest above needs 4 s of CPU; cameras' HEIC of 12 megapixels up to 2.
    web_bytes: what the `web` variant aims at.
    """

    pixels: int = 120_000_000
    jpeg_pixels: int = 210_000_000
    frames: int = 10_000
    memory_bytes: int = 1024 * MB
    cpu_seconds: int = 40
    wall_seconds: int = 120
    web_bytes: int = 500 * 1024


@dataclass(frozen=True)
class Variant:
    """A derived picture: its longest side in pixels and its WebP quality."""

    name: str
    longest: int
    quality: int


# Largest first: each is made from the one before it.
VARIANTS = (
    Variant("web", 1920, 85),
    Variant("large", 1200, 80),
    Variant("medium", 600, 80),
    Variant("small", 300, 80),
    Variant("thumb", 150, 80),
)
MIME_TYPE = "image/webp"
# What has a picture: the detected types for which a job is enqueued (`raster` and `pdf` read them).
PREVIEWABLE = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/apng",
        "image/webp",
        "image/gif",
        "image/avif",
        "image/heic",
        "image/heif",
        "image/heic-sequence",
        "image/heif-sequence",
        "image/tiff",
        "application/pdf",
    }
)


@dataclass(frozen=True)
class RenderedVariant:
    """One file in the out folder; `content_hash` is the SHA-256 of its bytes in hex."""

    name: str
    path: Path
    width: int
    height: int
    size_bytes: int
    mime_type: str
    content_hash: str


@dataclass(frozen=True)
class Rendered:
    """metadata: JSON-safe, see `metadata.facts`. placeholder: the colour to stand behind it, `#rrggbb`."""

    metadata: dict[str, Any]
    placeholder: str
    variants: list[RenderedVariant]


# Why there are no previews → the contract's code. The texts for people stand in `failures`, outside of the sandbox.
CODES = {
    "too_many_pixels": "too_many_pixels",
    "too_many_frames": "too_many_frames",
    "broken": "broken",
    "no_pages": "broken",
    "no_size": "broken",
    "timeout": "timeout",
    "out_of_memory": "out_of_memory",
    "unsupported": "unsupported",
    "password": "unsupported",
    "beyond_limits": "unsupported",
}


class DecodingFailed(Exception):
    """Raised inside the sandbox: `reason` is one of CODES, `values` are the numbers of its text."""

    def __init__(self, reason: str, **values: int) -> None:
        self.reason = reason
        self.values = values
        super().__init__(reason)


def fit(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """`size` shrunk so that its longer side is at most `longest`; never enlarged, no side under one pixel."""
    width, height = size
    scale = min(1.0, longest / max(size))
    return max(1, round(width * scale)), max(1, round(height * scale))
