"""Sizes, bytes and what a derived file carries."""

import hashlib
import io

import pytest
from PIL import Image, ImageCms

from portal.previews.types import Limits
from tests.support import pictures
from tests.support.shown_previews import Render

NAMES = ["web", "large", "medium", "small", "thumb"]


def sizes(previews: object) -> dict[str, tuple[int, int]]:
    return {v.name: (v.width, v.height) for v in previews.rendered.variants}  # type: ignore[attr-defined]


def test_a_large_picture_gives_every_size_by_its_longest_side(render: Render) -> None:
    previews = render(pictures.large_jpeg(3000, 2000))
    assert sizes(previews) == {
        "web": (1920, 1280),
        "large": (1200, 800),
        "medium": (600, 400),
        "small": (300, 200),
        "thumb": (150, 100),
    }
    for name in NAMES:
        variant, content = previews.variant(name), previews.content(name)
        assert previews.image(name).size == (variant.width, variant.height)
        assert variant.size_bytes == len(content)
        assert variant.content_hash == hashlib.sha256(content).hexdigest()
        assert variant.mime_type == "image/webp"


def test_a_small_picture_is_never_enlarged_and_still_gives_all_five(render: Render) -> None:
    previews = render(pictures.gif_animated(), "image/gif")
    assert sizes(previews) == dict.fromkeys(NAMES, (120, 80))


def test_a_picture_of_one_pixel_row_keeps_one_pixel(render: Render) -> None:
    previews = render(pictures._saved(Image.new("RGB", (4000, 3), (9, 99, 199)), "PNG"), "image/png")
    assert sizes(previews)["thumb"] == (150, 1)
    assert sizes(previews)["web"] == (1920, 1)


@pytest.mark.parametrize("name", pictures.PHOTOS)
def test_every_photograph_of_the_demo_looks_like_itself(render: Render, name: str) -> None:
    picture = pictures.photo_image(name)
    if profile := picture.info.get("icc_profile"):  # one of them is in Adobe RGB
        srgb = ImageCms.createProfile("sRGB")
        picture = ImageCms.profileToProfile(picture, io.BytesIO(profile), srgb) or picture
    original = picture.convert("RGB").resize((8, 8), Image.Resampling.BOX)
    medium = render(pictures.photo(name)).image("medium").convert("RGB").resize((8, 8), Image.Resampling.BOX)
    differences = [abs(a - b) for a, b in zip(original.tobytes(), medium.tobytes(), strict=True)]
    assert max(differences) <= 10


def test_web_keeps_within_its_bytes_by_lowering_the_quality(render: Render) -> None:
    content = pictures.large_jpeg(3000, 2000)
    free = render(content, limits=Limits(web_bytes=10_000_000)).variant("web").size_bytes
    most = free * 2 // 3
    bound = render(content, limits=Limits(web_bytes=most)).variant("web").size_bytes
    assert most // 2 < bound <= most  # within the bound, and not needlessly far below it


def test_web_stops_at_the_lowest_quality_where_nothing_fits(render: Render) -> None:
    previews = render(pictures.photo(), limits=Limits(web_bytes=1000))
    assert 1000 < previews.variant("web").size_bytes < previews.variant("large").size_bytes


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (pictures.gps_jpeg(), "image/jpeg"),
        (pictures.display_p3_jpeg(), "image/jpeg"),
        (pictures.heic(), "image/heic"),
        (pictures.exif_orientation(6, "PNG"), "image/png"),
        (pictures.exif_orientation(6, "WEBP"), "image/webp"),
    ],
    ids=["gps", "profile", "heic", "png", "webp"],
)
def test_nothing_derived_carries_metadata(render: Render, content: bytes, mime_type: str) -> None:
    previews = render(content, mime_type)
    for name in NAMES:
        image = previews.image(name)
        assert not image.getexif()
        assert not {"exif", "xmp", "icc_profile"} & set(image.info)
        data = previews.content(name)
        assert not any(mark in data for mark in (b"EXIF", b"XMP ", b"ICCP", b"Stowage Optics", b"secret place"))


def test_the_placeholder_is_the_average_colour(render: Render) -> None:
    red = render(pictures._saved(Image.new("RGB", (64, 64), (200, 40, 60)), "PNG"), "image/png")
    assert red.rendered.placeholder == "#c8283c"


@pytest.mark.parametrize(("ink", "ground_is_dark"), [((20, 20, 20), False), ((255, 255, 255), True)])
def test_behind_a_transparent_picture_is_a_ground_that_it_stands_out_from(
    render: Render, ink: tuple[int, int, int], ground_is_dark: bool
) -> None:
    logo = Image.new("RGBA", (60, 40), (*ink, 0))
    logo.paste((*ink, 255), (20, 10, 40, 30))
    ground = render(pictures._saved(logo, "PNG"), "image/png").rendered.placeholder
    assert all((part < 64) == ground_is_dark for part in bytes.fromhex(ground[1:]))
    nothing = pictures._saved(Image.new("RGBA", (8, 8), (1, 2, 3, 0)), "PNG")
    assert render(nothing, "image/png").rendered.placeholder == "#f1f3f4"


def test_rounded_corners_leave_the_average_colour_behind_a_picture(render: Render) -> None:
    window = Image.new("RGBA", (100, 100), (200, 40, 60, 255))
    window.paste((0, 0, 0, 0), (0, 0, 5, 5))
    average = bytes.fromhex(render(pictures._saved(window, "PNG"), "image/png").rendered.placeholder[1:])
    assert all(abs(part - wanted) <= 3 for part, wanted in zip(average, (200, 40, 60), strict=True))
