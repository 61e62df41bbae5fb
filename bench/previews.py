"""The five variants of a 12- and a 24-megapixel JPEG in Display P3, against sharp and against opening it each time.

Counted for whole processes, from start to end: CPU (user and system) and peak memory. The three take turns. All make
the same sizes at the same qualities, without profile; each uses its own encoder effort, at about the same bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portal.previews import renderer
from portal.previews.types import VARIANTS, Limits
from portal.sandbox import process
from tests.support import pictures

SHARP = "0.35.5"
ROUNDS = 5
SOURCES = {12: (4000, 3000), 24: (6000, 4000)}
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
class Cost:
    """Medians: seconds of CPU, bytes of memory."""

    cpu: float
    memory: float


def run() -> list[dict[str, Any]]:
    """Rows for the table; a peer that is not there gives a row that says so."""
    sharp = _install_sharp()
    rows = []
    for megapixels, (width, height) in SOURCES.items():
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "source.jpg")
            source.write_bytes(pictures.large_jpeg(width, height, profile=True))
            costs = _take_turns(source, sharp)
        rows += _rows(f"variants of a {megapixels}-megapixel JPEG with a colour profile", costs)
    return rows


def _rows(work: str, costs: dict[str, Cost]) -> list[dict[str, Any]]:
    ours, sharp, naive = costs["ours"], costs.get("sharp"), costs["naive"]

    def row(measure: str, mine: float, peer: float | None, target: float) -> dict[str, Any]:
        digits = 1 if "memory" in measure else 3
        return {
            "work": work,
            "measure": measure,
            "ours": round(mine, digits),
            "peer": "peer not available" if peer is None else round(peer, digits),
            "ratio": None if peer is None else round(mine / peer, 2),
            "target": f"≤ {target}",
        }

    mb = 1024 * 1024
    return [
        row("CPU, s; peer: sharp", ours.cpu, sharp.cpu if sharp else None, 0.65),
        row("CPU, s; peer: the original opened for each size", ours.cpu, naive.cpu, 0.4),
        row("peak memory, MB; peer: sharp", ours.memory / mb, sharp.memory / mb if sharp else None, 0.6),
    ]


def _take_turns(source: Path, sharp: Path | None) -> dict[str, Cost]:
    folder = source.parent
    asked = folder / "request.json"
    asked.write_bytes(_request(source))
    commands = {
        "ours": list(process.COMMAND),
        "naive": [sys.executable, str(_HERE / "previews_naive.py"), str(source), str(folder)],
    }
    if sharp:
        commands["sharp"] = ["node", str(sharp), str(source), str(folder)]
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            measured[name].append(_measure(command, asked, process.ENVIRONMENT if name == "ours" else dict(os.environ)))
            for variant in VARIANTS:  # missing when somebody did not do the work
                (folder / f"{variant.name}.webp").unlink()
    return {name: Cost(*map(statistics.median, zip(*runs, strict=True))) for name, runs in measured.items()}


def _request(source: Path) -> bytes:
    limits = Limits()
    return process.request(
        renderer.FUNCTION,
        renderer.argument(source.name, ".", "image/jpeg", limits),
        source.parent,
        source=source.name,
        out_dir=".",
        limits=renderer.sandbox_limits(limits),
    )


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
