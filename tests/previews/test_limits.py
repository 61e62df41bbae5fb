"""Bombs, damage and decoders that hang: refused by code, in a process that can harm nobody."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from PIL import Image

from portal.errors import Unavailable
from portal.previews import renderer
from portal.previews.failures import PreviewFailed
from portal.previews.limits import gif_frames, tiff_pages
from portal.previews.raster import FORMATS
from portal.previews.types import MB, PREVIEWABLE, Limits
from portal.sandbox import process
from tests.support import pictures
from tests.support.shown_previews import Render

SMALL = Limits(memory_bytes=128 * MB)  # a refusal must not need the memory of a decoding


def refusal(
    render: Render, content: bytes, mime_type: str = "image/jpeg", limits: Limits | None = None
) -> PreviewFailed:
    with pytest.raises(PreviewFailed) as caught:
        render(content, mime_type, limits)
    return caught.value


@pytest.mark.parametrize(("bomb", "megapixels"), [(pictures.bomb_900, 900), (pictures.bomb_169, 169)])
def test_a_bomb_is_refused_before_decoding(render: Render, bomb: object, megapixels: int) -> None:
    failure = refusal(render, bomb(), "image/png", SMALL)  # type: ignore[operator]
    assert failure.code == "too_many_pixels"
    assert failure.detail == f"The picture has {megapixels} megapixels; previews are made up to 120."


def test_a_jpeg_of_the_largest_sensors_is_drawn_in_little_memory(render: Render) -> None:
    content = pictures._saved(Image.linear_gradient("L").resize((14000, 10500)), "JPEG", quality=50)
    assert render(content, "image/jpeg", SMALL).image("web").size == (1920, 1440)
    assert refusal(render, content, limits=Limits(jpeg_pixels=146_000_000)).code == "too_many_pixels"


def test_a_webp_bomb_is_refused_before_its_decoder_reserves_memory(render: Render) -> None:
    sides = (16383 - 1) | (16383 - 1) << 14
    content = b"RIFF\x1a\0\0\0WEBPVP8L\x0e\0\0\0\x2f" + sides.to_bytes(4, "little") + bytes(9)
    assert refusal(render, content, "image/webp", SMALL).code == "too_many_pixels"


@pytest.mark.parametrize("content", [pictures.gif_animated(40), pictures.multipage_tiff(40)], ids=["gif", "tiff"])
def test_too_many_frames_are_refused(render: Render, content: bytes) -> None:
    mime_type = "image/gif" if content.startswith(b"GIF") else "image/tiff"
    assert render(content, mime_type).rendered.metadata["frames"] == 40
    assert refusal(render, content, mime_type, Limits(frames=39)).code == "too_many_frames"


def test_frames_are_counted_no_further_than_the_cap() -> None:
    empty_frame = b"\x2c" + bytes(4) + b"\1\0\1\0\0" + b"\x02\x01\x00\x00"
    endless = b"GIF89a\1\0\1\0\0\0\0" + empty_frame * 100_000
    assert gif_frames(endless, 50) == 51
    assert gif_frames(endless[:-3], 1_000_000) == 100_000
    assert gif_frames(b"GIF89a", 5) == 0
    assert gif_frames(pictures.gif_animated(7), 100) == 7


def test_a_chain_of_pages_that_bites_its_tail_has_each_page_once(tmp_path: Path) -> None:
    ring, far = tmp_path / "ring.tiff", tmp_path / "far.tiff"
    ring.write_bytes(b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0")
    far.write_bytes(b"MM\0+\0\x08\0\0" + b"\x7f" + bytes(7))
    assert tiff_pages(ring, 50) == 1
    assert tiff_pages(far, 50) == 0


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (pictures.jpeg_with_html(), "image/jpeg"),
        (pictures.jpeg_truncated(), "image/jpeg"),
        (b"", "image/jpeg"),
        (pictures.photo(), "image/png"),
        (pictures.zip_archive(), "image/jpeg"),
        (pictures.png()[:2000], "image/png"),
        (pictures.heic()[:4000], "image/heic"),
        (pictures.avif()[:4000], "image/avif"),
        (pictures.webp()[:4000], "image/webp"),
        (pictures.tiff()[:4000], "image/tiff"),
        (b"GIF89a", "image/gif"),
        (pictures.pdf()[:100], "application/pdf"),
        (b"%PDF-1.4\n", "application/pdf"),
    ],
)
def test_a_damaged_file_is_called_damaged(render: Render, content: bytes, mime_type: str) -> None:
    failure = refusal(render, content, mime_type)
    assert failure.code == "broken"
    assert failure.detail == PreviewFailed("broken").detail


def test_only_the_decoder_of_its_type_looks_at_a_file(render: Render) -> None:
    for mime_type in ("image/svg+xml", "application/postscript", "image/x-icns", "text/html"):
        assert refusal(render, pictures.photo(), mime_type).code == "unsupported"


def test_a_picture_that_needs_too_much_memory_is_stopped(render: Render) -> None:
    content = pictures.png_of_zeros(9000, 6000)
    assert refusal(render, content, "image/png", SMALL).code == "out_of_memory"


def test_what_was_refused_leaves_the_source_alone(render: Render, tmp_path: Path) -> None:
    refusal(render, pictures.bomb_169(), "image/png")
    assert (tmp_path / "source").read_bytes() == pictures.bomb_169()
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_that_cannot_be_written_is_not_the_fault_of_the_file(render: Render, tmp_path: Path) -> None:
    (tmp_path / "out" / "web.webp").mkdir(parents=True)
    with pytest.raises(Unavailable):
        render(pictures.photo())


def test_the_child_starts_light() -> None:
    heavy = "{'flask', 'sqlalchemy', 'boto3', 'rq', 'pypdfium2', 'pillow_heif'}"
    modules = (
        "import portal.sandbox.child, portal.previews.decoder, portal.previews.raster, portal.previews.encode, sys"
    )
    program = f"{modules}; print(sorted({heavy} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], cwd=process.ROOT, check=True, capture_output=True)
    assert answer.stdout.strip() == b"[]"


@contextmanager
def hanging(tmp_path: Path, limits: Limits) -> Iterator[tuple[psutil.Process, list[PreviewFailed]]]:
    """A child that waits for ever on its source, a pipe nobody writes to; and where its failure will stand."""
    source, failures = tmp_path / "pipe", list[PreviewFailed]()
    os.mkfifo(source)

    def run() -> None:
        try:
            renderer.render(source, "image/jpeg", tmp_path, limits)
        except PreviewFailed as failure:
            failures.append(failure)

    before = set(psutil.Process().children())
    thread = threading.Thread(target=run)
    thread.start()
    writer = os.open(source, os.O_WRONLY)  # returns when the child has opened its end: it is confined by then
    try:
        yield (set(psutil.Process().children()) - before).pop(), failures
    finally:
        thread.join()
        os.close(writer)


def test_a_decoder_that_hangs_is_stopped(tmp_path: Path) -> None:
    with hanging(tmp_path, Limits(wall_seconds=2)) as (_, failures):
        pass
    assert [failure.code for failure in failures] == ["timeout"]


def environment_of(child: psutil.Process) -> dict[str, str]:
    """What the kernel shows of it; what it was started with, where a user of its own keeps it from everybody."""
    try:
        return dict(child.environ())
    except psutil.AccessDenied:
        return process.ENVIRONMENT


def soft_limit_of(child: psutil.Process, name: str) -> int:
    """From /proc, which shows it for a process in a user namespace of its own, too (prlimit(2) does not)."""
    lines = Path(f"/proc/{child.pid}/limits").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(name)).removeprefix(name).split()[0])


def test_the_child_is_confined_and_knows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_SECRET_KEYS", "never to be seen")
    limits = Limits(wall_seconds=30)
    with hanging(tmp_path, limits) as (child, failures):
        assert set(environment_of(child)) <= {"PATH", "LC_ALL", "MALLOC_ARENA_MAX", "LC_CTYPE"}
        assert "NoNewPrivs:\t1" in Path(f"/proc/{child.pid}/status").read_text()
        assert soft_limit_of(child, "Max address space") == limits.memory_bytes
        assert soft_limit_of(child, "Max cpu time") == limits.cpu_seconds
        assert soft_limit_of(child, "Max file size") == 16 * MB
        assert soft_limit_of(child, "Max open files") == 32
        child.kill()  # as the kernel does when memory runs out
    assert [failure.code for failure in failures] == ["out_of_memory"]


def test_the_child_ends_by_itself_when_its_parent_is_gone(tmp_path: Path) -> None:
    with hanging(tmp_path, Limits(wall_seconds=30)) as (child, failures):
        child.send_signal(14)  # its own alarm clock
    assert [failure.code for failure in failures] == ["timeout"]


def test_previews_are_promised_for_exactly_what_has_a_decoder() -> None:
    assert {*FORMATS, "application/pdf"} == PREVIEWABLE
