"""The files that the browser uploads: real photographs and every edge case, written to a folder."""

from __future__ import annotations

from pathlib import Path

from tests.support import pictures
from tests.support.engines import EICAR


def good() -> dict[str, bytes]:
    """Thirty files that must all become available, by name."""
    return {
        **{f"{name}.jpg": pictures.photo(name) for name in pictures.PHOTOS},
        **{f"turned-{number}.jpg": pictures.exif_orientation(number) for number in range(1, 9)},
        "camera.jpg": pictures.gps_jpeg(),
        "plain.png": pictures.png(),
        "alpha.png": pictures.png_alpha(),
        "palette.png": pictures.png_palette(),
        "deep.png": pictures.png_16bit(),
        "moving.gif": pictures.gif_animated(),
        "ink.jpg": pictures.cmyk_jpeg(),
        "wide-gamut.jpg": pictures.display_p3_jpeg(),
        "coffee.webp": pictures.webp(),
        "dahlia.avif": pictures.avif(),
        "rocket.heic": pictures.heic(),
        "astronaut.tiff": pictures.tiff(),
        "report.pdf": pictures.pdf(),
        "archive.zip": pictures.zip_archive(),
    }


def odd() -> dict[str, bytes]:
    """Files that can't all be taken."""
    return {
        "setup.exe": b"MZ" + bytes(100),
        "empty.txt": b"",
        "eicar.txt": EICAR,
        "zip-as.jpg": pictures.zip_archive(),
        "large.txt": b"These are words.\n" * 200_000,
    }


def write_files(folder: Path) -> Path:
    """Write all of them; the good ones also as a tree below ``holiday``."""
    for name, content in {**good(), **odd()}.items():
        (folder / name).write_bytes(content)
    tree = folder / "holiday"
    (tree / "second day").mkdir(parents=True)
    (tree / "cat.jpg").write_bytes(pictures.photo("cat"))
    (tree / "second day" / "coffee.jpg").write_bytes(pictures.photo("coffee"))
    (tree / "second day" / "rocket.jpg").write_bytes(pictures.photo("rocket"))
    return folder
