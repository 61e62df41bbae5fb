"""What a picture says about itself, and what is left of lies and rubbish."""

import json

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from tests.support import pictures
from tests.support.shown_previews import Render


@pytest.mark.parametrize(
    ("content", "mime_type", "format_name", "size"),
    [
        (pictures.photo(), "image/jpeg", "JPEG", (640, 427)),
        (pictures.png(), "image/png", "PNG", (451, 300)),
        (pictures.webp(), "image/webp", "WEBP", (600, 400)),
        (pictures.gif_animated(), "image/gif", "GIF", (120, 80)),
        (pictures.avif(), "image/avif", "AVIF", (640, 427)),
        (pictures.heic(), "image/heic", "HEIC", (640, 427)),
        (pictures.tiff(), "image/tiff", "TIFF", (512, 512)),
    ],
    ids=["jpeg", "png", "webp", "gif", "avif", "heic", "tiff"],
)
def test_every_kind_tells_its_format_and_size(
    render: Render, content: bytes, mime_type: str, format_name: str, size: tuple[int, int]
) -> None:
    metadata = render(content, mime_type).rendered.metadata
    assert metadata["format"] == format_name
    assert (metadata["width"], metadata["height"]) == size
    assert metadata["aspect_ratio"] == round(size[0] / size[1], 4)
    assert metadata["mode"] in ("RGB", "P", "L")


def test_camera_exposure_time_and_place_are_read(render: Render) -> None:
    assert render(pictures.gps_jpeg()).rendered.metadata["exif"] == {
        "camera_make": "Stowage Optics",
        "camera_model": "Model 7",
        "lens": "Stowage 50mm f/1.8",
        "exposure": "1/250",
        "f_number": 2.8,
        "iso": 400,
        "focal_length_mm": 50.0,
        "taken_at": "2024-05-17T18:42:07+02:00",
        "gps": {"lat": 48.858333, "lon": -2.294444, "altitude_m": 35.5},
    }


def test_the_camera_of_a_heic_is_read(render: Render) -> None:
    assert render(pictures.heic(), "image/heic").rendered.metadata["exif"] == {"camera_make": "Stowage Optics"}


def test_the_orientation_is_told_though_it_was_applied(render: Render) -> None:
    for kind, mime_type in (("JPEG", "image/jpeg"), ("HEIF", "image/heic"), ("TIFF", "image/tiff")):
        metadata = render(pictures.exif_orientation(6, kind), mime_type).rendered.metadata
        assert metadata["exif"]["orientation"] == 6


def test_rubbish_in_the_exif_is_left_out_and_costs_nothing_else(render: Render) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A" * 5000
    exif[0x0110] = "\x1b[31m<script>\x00hidden"
    exif[0x8769] = {0x829A: IFDRational(1, 0), 0x9003: "yesterday", 0x8827: 0, 0x829D: IFDRational(28, 10)}
    exif[0x8825] = {1: "N", 2: (900.0, 0.0, 0.0), 3: "E", 4: (1.0, 2.0, 3.0)}
    metadata = render(pictures._saved(pictures.photo_image(), "JPEG", exif=exif)).rendered.metadata
    assert metadata["exif"] == {"camera_make": "A" * 120, "camera_model": "[31m<script>", "f_number": 2.8}
    json.dumps(metadata, allow_nan=False)


def test_an_exif_block_cut_in_half_costs_nothing_else(render: Render) -> None:
    broken = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(range(256)) * 20
    metadata = render(pictures._saved(pictures.photo_image(), "JPEG", exif=broken)).rendered.metadata
    assert metadata["width"] == 640
    json.dumps(metadata, allow_nan=False)
