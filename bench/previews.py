"""The five variants of pictures of 12 megapixels and of a scanned page, against sharp and the usual decoders.

Counted for whole processes, from start to end: CPU (user and system) and peak memory. All take turns and make the same
sizes at the same qualities, without profile; each uses its own encoder effort, at about the same bytes. sharp reads
neither HEIC nor PDF: `heif-convert` and `pdftoppm` decode for it. The start of our child, which confines itself and
does nothing, is measured apart; it is part of the other numbers.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from portal.previews import renderer
from portal.previews.types import VARIANTS, Limits
from portal.sandbox import process
from tests.support import pictures

SHARP = "0.35.5"
ROUNDS = 5
SIZE = (4000, 3000)
_HERE = Path(__file__).parent

# A process of its own between us and what is measured: a child's peak begins with the memory of the one that forks.
_MEASURE = """
import json, os, sys
child = os.fork()
if child == 0:
    os.dup2(os.open(sys.argv[1], os.O_RDONLY), 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execvp(sys.argv[2], sys.argv[2:])
_, status, used = os.wait4(child, 0)
print(json.dumps([status, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024]))
"""


@dataclass(frozen=True)
class Source:
    """A file and its peer: a shell command with {source}, {folder} and {sharp}, and the program that it needs."""

    name: str
    mime_type: str
    target: float
    make: Callable[[], bytes]
    peer: str = "node {sharp} {source} {folder}"
    program: str = "node"


def _photo() -> Image.Image:
    return Image.open(io.BytesIO(pictures.large_jpeg(*SIZE)))


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


SOURCES = (
    Source("JPEG with a colour profile", "image/jpeg", 0.6, lambda: pictures.large_jpeg(*SIZE, profile=True)),
    Source("PNG", "image/png", 0.6, lambda: _saved(_photo(), "PNG")),
    Source("WebP", "image/webp", 0.6, lambda: _saved(_photo(), "WEBP", quality=85)),
    Source(
        "HEIC",
        "image/heic",
        1.0,
        lambda: pictures._heif(_photo(), Image.Exif()),
        "heif-convert -q 95 {source} {folder}/decoded.jpg && node {sharp} {folder}/decoded.jpg {folder}",
        "heif-convert",
    ),
    Source(
        "first page of a scanned PDF",
        "application/pdf",
        1.0,
        lambda: _saved(_photo().rotate(90, expand=True), "PDF", resolution=300),
        "pdftoppm -f 1 -l 1 -singlefile -scale-to 1920 -png {source} {folder}/decoded"
        " && node {sharp} {folder}/decoded.png {folder}",
        "pdftoppm",
    ),
)


@dataclass(frozen=True)
class Cost:
    """Medians: seconds of CPU, bytes of memory."""

    cpu: float
    memory: float


def run() -> list[dict[str, Any]]:
    """Rows for the table; a peer that is not there gives a row that says so."""
    sharp = _install_sharp()
    rows = []
    for source in SOURCES:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "source")
            file.write_bytes(source.make())
            costs = _take_turns(file, source, sharp)
        rows += _rows(source, costs)
    return [*rows, _row("start of the child that makes previews", "CPU, s", _start(), None, "none")]


def _rows(source: Source, costs: dict[str, Cost]) -> list[dict[str, Any]]:
    ours, peer = costs["ours"], costs.get("peer")
    work = f"variants of 12 megapixels, {source.name}"
    name = "sharp" if source.program == "node" else f"{source.program} and sharp"
    rows = [_row(work, f"CPU, s; peer: {name}", ours.cpu, peer.cpu if peer else None, f"≤ {source.target}")]
    if "naive" in costs:
        each = "CPU, s; peer: the original opened for each size"
        rows.append(_row(work, each, ours.cpu, costs["naive"].cpu, "≤ 0.4"))
    mb = 1024 * 1024
    memory, most = f"peak memory, MB; peer: {name}", "≤ 0.6" if source.mime_type == "image/jpeg" else "none"
    return [*rows, _row(work, memory, ours.memory / mb, peer.memory / mb if peer else None, most)]


def _row(work: str, measure: str, mine: float, peer: float | None, target: str) -> dict[str, Any]:
    digits = 1 if "memory" in measure else 3
    return {
        "work": work,
        "measure": measure,
        "ours": round(mine, digits),
        "peer": "peer not available" if peer is None else round(peer, digits),
        "ratio": None if peer is None else round(mine / peer, 2),
        "target": target,
    }


def _take_turns(file: Path, source: Source, sharp: Path | None) -> dict[str, Cost]:
    folder = file.parent
    request = folder / "request.json"
    request.write_bytes(_request(file, source.mime_type))
    commands = {"ours": list(process.COMMAND)}
    if source.mime_type == "image/jpeg":
        commands["naive"] = [sys.executable, str(_HERE / "previews_naive.py"), str(file), str(folder)]
    if sharp and shutil.which(source.program):
        commands["peer"] = ["sh", "-c", source.peer.format(source=file, folder=folder, sharp=sharp)]
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            environment = process.ENVIRONMENT if name == "ours" else dict(os.environ)
            measured[name].append(_measure(command, request, environment))
            for variant in VARIANTS:  # missing when somebody did not do the work
                (folder / f"{variant.name}.webp").unlink()
    return {name: Cost(*map(statistics.median, zip(*runs, strict=True))) for name, runs in measured.items()}


def _start() -> float:
    """CPU seconds of a child that is confined, and ends."""
    limits = renderer.sandbox_limits(Limits())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "source").touch()
        asked = folder / "request.json"
        nothing = "portal.sandbox.child:nothing"
        call = process.Call(nothing, {}, folder, source="source", out_dir=".", limits=limits)
        asked.write_bytes(call.as_json())
        costs = [_measure(list(process.COMMAND), asked, process.ENVIRONMENT)[0] for _ in range(ROUNDS)]
    return statistics.median(costs)


def _request(file: Path, mime_type: str) -> bytes:
    limits = Limits()
    return process.Call(
        renderer.FUNCTION,
        renderer.argument(file.name, ".", mime_type, limits),
        file.parent,
        source=file.name,
        out_dir=".",
        limits=renderer.sandbox_limits(limits),
    ).as_json()


def _measure(command: list[str], stdin: Path, environment: dict[str, str]) -> tuple[float, float]:
    launcher = [sys.executable, "-S", "-E", "-c", _MEASURE, str(stdin), *command]
    answer = subprocess.run(launcher, cwd=process.ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    status, cpu, memory = json.loads(answer.stdout)
    if status:
        raise RuntimeError(f"{command[0]} ended with status {status}")
    return cpu, memory


def _install_sharp() -> Path | None:
    """The peer's script beside its package, kept between runs outside of the tree; None where npm can't give it."""
    if not (shutil.which("node") and shutil.which("npm")):
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stowage-bench" / f"sharp-{SHARP}"
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "node_modules" / "sharp").is_dir():
        options = ["--no-audit", "--no-fund", "--save-exact", "--loglevel=error"]
        command = ["npm", "install", "--prefix", str(cache), *options, f"sharp@{SHARP}"]
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:
            return None
    return Path(shutil.copy(_HERE / "previews_sharp.mjs", cache))


if __name__ == "__main__":
    for line in run():
        print(json.dumps(line, ensure_ascii=False))
