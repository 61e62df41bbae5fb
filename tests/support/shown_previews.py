"""What the tests look at: a result with its files read."""

import io
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from portal.previews.types import Rendered, RenderedVariant


@dataclass(frozen=True)
class Previews:
    rendered: Rendered

    def variant(self, name: str) -> RenderedVariant:
        return next(variant for variant in self.rendered.variants if variant.name == name)

    def content(self, name: str) -> bytes:
        return self.variant(name).path.read_bytes()

    def image(self, name: str) -> Image.Image:
        image = Image.open(io.BytesIO(self.content(name)), formats=["WEBP"])
        image.load()
        return image


# What the `render` fixture is: content, detected type, limits -> previews.
Render = Callable[..., Previews]


def near(found: object, wanted: tuple[int, ...], tolerance: int = 12) -> bool:
    """Two colours that a person can't tell apart after lossy coding."""
    assert isinstance(found, tuple)
    return len(found) == len(wanted) and all(
        abs(one - two) <= tolerance for one, two in zip(found, wanted, strict=True)
    )
