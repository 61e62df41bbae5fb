"""Upright, in the right colours, with what is transparent left transparent."""

import io
import struct
import zlib
from itertools import pairwise

import pytest
from PIL import Image

from tests.support import pictures
from tests.support.icc_profiles import ink_profile
from tests.support.shown_previews import Render, near


@pytest.mark.parametrize(
    ("kind", "mime_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("TIFF", "image/tiff"),
        ("AVIF", "image/avif"),
        ("HEIF", "image/heic"),
    ],
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_give_the_same_upright_picture(
    render: Render, orientation: int, kind: str, mime_type: str
) -> None:
    previews = render(pictures.exif_orientation(orientation, kind), mime_type)
    metadata = previews.rendered.metadata
    assert (metadata["width"], metadata["height"], metadata["aspect_ratio"]) == (480, 320, 1.5)
    for name, (width, height) in {"web": (480, 320), "small": (300, 200)}.items():
        image = previews.image(name).convert("RGB")
        assert image.size == (width, height)
        corners = ((20, 20), (width - 20, 20), (width - 20, height - 20), (20, height - 20))
        for corner, colour in zip(corners, pictures.CORNERS, strict=True):
            assert near(image.getpixel(corner), colour, 20)


def test_a_large_turned_jpeg_swaps_its_sides(render: Render) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = pictures._saved(pictures.marked((2400, 1600)), "JPEG", exif=exif)
    previews = render(content)
    assert previews.rendered.metadata["width"] == 1600
    assert previews.image("web").size == (1280, 1920)
    assert near(previews.image("web").getpixel((1260, 20)), pictures.CORNERS[0], 20)


def test_alpha_is_kept(render: Render) -> None:
    previews = render(pictures.png_alpha(), "image/png")
    for name, middle in {"web": 200, "thumb": 75}.items():
        image = previews.image(name)
        assert image.mode == "RGBA"
        assert image.getpixel((2, 2))[3] == 0  # type: ignore[index]
        assert near(image.getpixel((middle, middle)), (220, 20, 20, 255))


def test_the_edge_of_something_transparent_does_not_darken(render: Render) -> None:
    image = render(pictures.png_alpha(), "image/png").image("thumb")
    reds, alphas = image.getchannel("R").tobytes(), image.getchannel("A").tobytes()
    edge = [red for red, alpha in zip(reds, alphas, strict=True) if 100 < alpha < 200]
    assert edge
    assert min(edge) > 180


def test_a_palette_with_a_transparent_colour_keeps_it(render: Render) -> None:
    image = render(pictures.png_palette(), "image/png").image("web")
    assert image.getpixel((5, 5))[3] == 0  # type: ignore[index]
    assert near(image.getpixel((100, 100)), (20, 200, 20, 255))


def test_an_opaque_alpha_channel_is_dropped(render: Render) -> None:
    content = pictures._saved(pictures.photo_image("cat").convert("RGBA"), "PNG")
    assert render(content, "image/png").image("web").mode == "RGB"


def test_display_p3_becomes_the_right_srgb(render: Render) -> None:
    image = render(pictures.display_p3_jpeg()).image("web")
    assert near(image.getpixel((100, 50)), (217, 42, 52), 4)


def test_a_profile_that_is_rubbish_or_for_another_mode_is_ignored(render: Render) -> None:
    red = Image.new("RGB", (40, 40), (200, 60, 60))
    for profile in (b"rubbish" * 40, ink_profile()):
        content = pictures._saved(red, "JPEG", quality=95, icc_profile=profile)
        assert near(render(content).image("web").getpixel((20, 20)), (200, 60, 60), 6)


def test_cmyk_without_a_profile_has_its_plain_colours(render: Render) -> None:
    image = render(pictures.cmyk_jpeg()).image("web")
    inks = [image.getpixel((place, 40)) for place in (40, 120, 200, 280)]
    for found, wanted in zip(inks, ((0, 255, 255), (255, 0, 255), (255, 255, 0), (0, 0, 0)), strict=True):
        assert near(found, wanted, 16)


def test_cmyk_goes_through_its_profile(render: Render) -> None:
    image = render(pictures.cmyk_jpeg(with_profile=True)).image("web")
    inks = [image.getpixel((place, 40)) for place in (40, 120, 200, 280)]
    cyan, magenta, yellow, black = inks
    assert near(cyan, (0, 150, 217), 20)
    assert near(magenta, (216, 10, 122), 20)
    assert near(yellow, (247, 224, 0), 20)
    assert near(black, (20, 20, 20), 40)


def test_sixteen_bits_are_a_ramp_and_not_all_white(render: Render) -> None:
    image = render(pictures.png_16bit(), "image/png").image("web").convert("L")
    for column in (8, 64, 128, 192, 248):
        assert abs(int(image.getpixel((column, 32))) - column) <= 6  # type: ignore[arg-type]


def test_sixteen_bits_survive_the_averaging_of_a_large_source(render: Render) -> None:
    columns = 6000
    row = b"\x00" + struct.pack(f">{columns}H", *(column * 65535 // (columns - 1) for column in range(columns)))
    content = pictures._png(columns, 500, 16, 0, zlib.compress(row * 500, 1))
    image = render(content, "image/png").image("large").convert("L")
    assert [abs(int(image.getpixel((x, 50))) - x * 255 // 1199) <= 5 for x in (50, 600, 1150)] == [True] * 3  # type: ignore[arg-type]


@pytest.mark.parametrize(("mode", "value"), [("I", 32768), ("F", 0.5), ("1", 1), ("LA", (128, 255)), ("L", 128)])
def test_unusual_tiff_modes_come_out_as_they_look(render: Render, mode: str, value: float | tuple[int, int]) -> None:
    image = Image.new(mode, (60, 40), value)
    if mode in ("I", "F"):
        image.putpixel((0, 0), 65535 if mode == "I" else 1.0)
    found = render(pictures._saved(image, "TIFF"), "image/tiff").image("web").convert("RGB").getpixel((30, 20))
    assert near(found, (255, 255, 255) if mode == "1" else (128, 128, 128), 4)


def grey_tiff(order: str, *more: tuple[int, int, int], step: int) -> bytes:
    """A TIFF by hand: one strip of 16 bits a sample, as scanners and microscopes write it; 64 columns of a ramp."""
    tags = (
        (256, 3, 64),
        (257, 3, 8),
        (258, 3, 16),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 220),
        (278, 3, 8),
        (279, 4, 1024),
        *more,
    )
    entries = (
        struct.pack(f"{order}HHI", tag, kind, 1) + struct.pack(f"{order}I" if kind == 4 else f"{order}Hxx", value)
        for tag, kind, value in tags
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags)) + b"".join(entries)
    samples = struct.pack(f"{order}64H", *(column * step for column in range(64))) * 8
    return head.ljust(220, b"\0") + samples


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_of_a_tiff_are_read_in_either_order(render: Render, order: str) -> None:
    image = render(grey_tiff(order, step=1040), "image/tiff").image("web").convert("L")
    assert near((image.getpixel((2, 4)), image.getpixel((32, 4)), image.getpixel((62, 4))), (8, 129, 251), 8)


@pytest.mark.parametrize("order", ["<", ">"])
def test_twelve_bits_in_sixteen_are_as_bright_as_the_file_says(render: Render, order: str) -> None:
    image = render(grey_tiff(order, (281, 3, 4095), step=65), "image/tiff").image("web").convert("L")
    assert near((image.getpixel((2, 4)), image.getpixel((32, 4)), image.getpixel((62, 4))), (8, 129, 251), 8)
    dark = render(grey_tiff(order, step=65), "image/tiff").image("web").convert("L")
    assert near((dark.getpixel((2, 4)), dark.getpixel((62, 4))), (1, 16), 3)


def test_a_large_picture_of_fractions_has_the_same_white_all_over(render: Render) -> None:
    picture = Image.new("F", (4000, 1200), 0.9)
    picture.paste(200.0, (0, 900, 4000, 1200))
    image = render(pictures._saved(picture, "TIFF"), "image/tiff").image("web").convert("L")
    assert near((image.getpixel((900, 50)), image.getpixel((900, 550))), (1, 200), 4)


def test_a_large_png_with_alpha_is_averaged_without_seams(render: Render) -> None:
    picture = Image.linear_gradient("L").resize((5000, 4000))
    content = pictures._saved(Image.merge("LA", (picture, Image.new("L", picture.size, 200))), "PNG", compress_level=1)
    image = render(content, "image/png").image("web")
    column = [image.getpixel((700, row))[0] for row in range(image.height)]  # type: ignore[index]
    steps = [abs(one - two) for one, two in pairwise(column)]
    assert max(steps) <= 6
    assert abs(image.getpixel((700, 700))[3] - 200) <= 2  # type: ignore[index]


def test_the_first_frame_of_an_animation_is_drawn(render: Render) -> None:
    previews = render(pictures.gif_animated(), "image/gif")
    assert previews.rendered.metadata["frames"] == 3
    assert near(previews.image("web").getpixel((60, 40)), (220, 20, 20))


def test_the_picture_fixtures_are_what_they_say() -> None:
    image = Image.open(io.BytesIO(pictures.png_16bit()))
    assert image.mode == "I;16"
    assert Image.open(io.BytesIO(pictures.cmyk_jpeg())).mode == "CMYK"
