"""Inputs whose preview was once wrong or missing, and the class of faults that each stands for."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageStat

from portal.previews.failures import PreviewFailed
from tests.support import pictures
from tests.support.shown_previews import Previews, Render, near

FOLDER = Path(__file__).parents[1] / "support" / "cases"
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".avif": "image/avif", ".pdf": "application/pdf"}
NOT_PICTURES = {"01-xml-encoding-gbk-named.jpg", "15-avif-low-overhead-mif3.avif"}
PICTURES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in TYPES and path.name not in NOT_PICTURES)


@pytest.fixture
def case(render: Render) -> Any:
    def draw(name: str) -> Previews:
        return render((FOLDER / name).read_bytes(), TYPES[Path(name).suffix])

    return draw


def pixel(previews: Previews, place: tuple[int, int], mode: str = "RGBA") -> Any:
    return previews.image("web").convert(mode).getpixel(place)


@pytest.mark.parametrize("name", PICTURES)
def test_every_case_that_is_a_picture_has_previews(case: Any, name: str) -> None:
    assert len(case(name).rendered.variants) == 5


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("02-")])
def test_the_fields_of_a_form_are_drawn(case: Any, name: str) -> None:
    web = case(name).image("web").convert("L")
    scale = web.width / 200
    field = web.crop(tuple(round(scale * place) for place in (10, 200 - 70, 190, 200 - 10)))
    assert field.getextrema()[0] < 100


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("03-")])
def test_the_transparent_sample_of_a_grey_png_is_transparent_at_every_depth(case: Any, name: str) -> None:
    previews = case(name)
    assert pixel(previews, (3, 3))[3] == 0
    assert near(pixel(previews, (32, 32)), (0, 0, 0, 255))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_with(
    *side_chunks: bytes, depth: int = 8, colour: int = 0, samples: bytes = bytes([64]), side: int = 16
) -> bytes:
    """A PNG of one colour with these chunks before its pixels."""
    header = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    data = zlib.compress((b"\0" + samples * side) * side)
    parts = [chunk(b"IHDR", header), *side_chunks, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_the_transparent_sample_of_sixteen_bits_is_compared_with_both_bytes(render: Render) -> None:
    row = b"\0" + struct.pack(">4H", 0x1234, 0x1235, 0x3412, 0x1234) * 4
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 16, 0, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"tRNS", b"\x12\x34") + chunk(b"IDAT", zlib.compress(row * 16))
    alpha = render(content + chunk(b"IEND", b""), "image/png").image("web").getchannel("A")
    values = [alpha.getpixel((x, 8)) for x in range(4)]
    assert [int(value) > 128 for value in values] == [False, True, True, False]  # type: ignore[arg-type]


DAMAGED = chunk(b"tEXt", b"Comment\0words")[:-1] + b"\0"


@pytest.mark.parametrize(
    "side_chunk",
    [
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2_000_000))),
        chunk(b"iCCP", b"profile\0\0no zlib"),
        chunk(b"gAMA", b"\0"),
        chunk(b"zTXt", b"a\0\0broken"),
        chunk(b"prVt", bytes(3_000_000)),
        DAMAGED,
        chunk(b"gAMA", struct.pack(">I", 100_000))[:-1] + b"\0",
    ],
    ids=["text", "profile", "broken profile", "short gamma", "broken text", "private", "checksum", "checksum of gamma"],
)
def test_a_side_chunk_never_costs_the_preview(render: Render, side_chunk: bytes) -> None:
    image = render(png_with(side_chunk), "image/png").image("web").convert("L")
    assert abs(int(image.getpixel((8, 8))) - 64) <= 3  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("05-")])
def test_a_jpeg_that_lacks_its_end_marker_is_drawn_whole(case: Any, name: str) -> None:
    previews = case(name)
    assert previews.image("web").size == (64, 48)
    whole = Image.open(io.BytesIO((FOLDER / "05-jpg-without-end-marker.jpg").read_bytes() + b"\xff\xd9"))
    wanted, found = (ImageStat.Stat(image.convert("RGB")).mean for image in (whole, previews.image("web")))
    assert all(abs(one - two) <= 3 for one, two in zip(wanted, found, strict=True))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_large_jpeg_without_its_end_marker_is_told_from_one_that_is_cut_off(
    render: Render, progressive: bool
) -> None:
    content = pictures._saved(pictures.photo_image(), "JPEG", quality=90, progressive=progressive)
    assert render(content[:-2]).image("web").size == (640, 427)
    for missing in (200, len(content) // 2):
        with pytest.raises(PreviewFailed) as refusal:
            render(content[:-missing])
        assert refusal.value.code == "broken"


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("06-")])
def test_an_orientation_that_only_xmp_states_turns_nothing(case: Any, name: str) -> None:
    previews = case(name)
    assert previews.image("web").size == (320, 200)
    metadata = previews.rendered.metadata
    assert (metadata["width"], metadata["height"]) == (320, 200)
    assert "orientation" not in metadata["exif"]


def test_an_avif_with_its_associations_in_two_boxes_is_drawn(case: Any) -> None:
    previews = case("08-avif-two-ipma-boxes.avif")
    width, height = previews.image("web").size
    assert pixel(previews, (0, 0))[3] <= 3
    red, green, blue, alpha = pixel(previews, (width // 2, height // 2))
    assert alpha == 255 and red > 180 and red > green and blue > green


DATES = {
    "10-exif-blank-date.jpg": "2021-06-01T10:00:00",
    "10-exif-zero-date.jpg": "2021-06-01T10:00:00",
    "10-exif-iso-date.jpg": "2025-01-30T08:59:50+01:00",
    "10-exif-iso-date-space.jpg": "2025-11-12T15:12:01",
    "10-exif-millis.jpg": "2019-11-28T14:38:40",
}


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("10-")])
def test_the_day_of_a_picture_is_read_in_every_form(case: Any, name: str) -> None:
    assert case(name).rendered.metadata["exif"]["taken_at"] == DATES[name]


@pytest.mark.parametrize(
    ("name", "grey"), [("11-png-gamma-1.0-gray64.png", 137), ("11-png-gamma-0.55556-gray64.png", 81)]
)
def test_the_gamma_of_a_png_is_applied_as_browsers_do(case: Any, name: str, grey: int) -> None:
    assert near(pixel(case(name), (32, 32), "RGB"), (grey,) * 3, 2)


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(b"gAMA", struct.pack(">I", 45455))],
        [chunk(b"gAMA", struct.pack(">I", 100_000)), chunk(b"sRGB", b"\0")],
        [chunk(b"gAMA", bytes(4))],
    ],
    ids=["of sRGB", "beside sRGB", "zero"],
)
def test_a_gamma_that_changes_nothing_changes_nothing(render: Render, chunks: list[bytes]) -> None:
    assert near(pixel(render(png_with(*chunks), "image/png"), (8, 8), "RGB"), (64, 64, 64), 2)


def test_a_transparent_png_with_a_gamma_keeps_its_transparency(render: Render) -> None:
    content = png_with(chunk(b"gAMA", struct.pack(">I", 100_000)), colour=6, samples=bytes([64, 64, 64, 128]))
    assert near(pixel(render(content, "image/png"), (8, 8)), (137, 137, 137, 128), 3)


@pytest.mark.parametrize("sample", [500, 4000, 0x2000])
def test_a_dark_grey_of_sixteen_bits_keeps_its_brightness(render: Render, sample: int) -> None:
    content = png_with(depth=16, samples=struct.pack(">H", sample))
    assert near(pixel(render(content, "image/png"), (8, 8), "RGB"), (sample >> 8,) * 3, 2)


@pytest.mark.parametrize(("make", "mime_type"), [(pictures.heic, "image/heic"), (pictures.avif, "image/avif")])
def test_a_picture_beyond_a_decoders_own_limit_is_not_called_damaged(
    render: Render, make: Callable[[], bytes], mime_type: str
) -> None:
    """One that says it has 40,000 pixels a side: libheif and libavif refuse it by themselves."""
    content = make()
    at = content.index(b"ispe") + 8
    content = content[:at] + struct.pack(">II", 40_000, 40_000) + content[at + 8 :]
    with pytest.raises(PreviewFailed) as refusal:
        render(content, mime_type)
    assert refusal.value.code == "too_many_pixels"
    assert refusal.value.detail.startswith("The picture has 1,600 megapixels")
