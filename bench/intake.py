"""Taking in 64 MB and 2 GB, against clamd alone on the same bytes in a local file.

Ours reads a stream, hashes and spools it, looks at its type and hands the spool to clamd, in a process of its own, as a
worker does: once from a local file, so that only intake is measured, and once from the store, download included. The
peer hands clamd the descriptor of a file that is already there, as ``clamdscan --fdpass`` does. One clamd serves all,
with the shipped limit for files, its cache of clean files off, and one signature: with the public signatures clamd
takes longer, and the rest weighs less. The bytes are random, as those of a video are.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portal.embedded.clamav import LARGEST
from portal.inspection import intake
from portal.inspection.clamd import ClamdClient
from portal.inspection.scanner import Scanner
from portal.objectstore.bucket import Bucket, Location, bucket_at
from portal.settings import Settings
from tests.support.clamd_daemons import Daemon
from tests.support.engines import start_engines

MB = 1024 * 1024
# 2 GB is one byte above clamd's ceiling; the largest file that it looks into is one MB smaller.
SIZES = {"64 MB": (64 * MB, 5), "2 GB": (2047 * MB, 2)}
"""Bytes, and how often each side has its turn, after one that doesn't count."""
KEY = "bench/intake"


def run() -> list[dict[str, Any]]:
    """Rows for the table: wall time of each size with its peer, and the memory of both sizes."""
    rows: list[dict[str, Any]] = []
    memory: list[float] = []
    engines = start_engines()
    try:
        with _clamd() as daemon, tempfile.TemporaryDirectory() as folder:
            bucket = _bucket(engines.settings())
            for name, (size, rounds) in SIZES.items():
                source = Path(folder, "source")
                _write(source, size)
                with source.open("rb") as file:
                    bucket.put(KEY, file, content_type="video/mp4", size=size)
                turns = _take_turns(daemon, source, rounds, engines.environment())
                rows += _rows(name, turns)
                memory.append(turns.memory)
    finally:
        engines.stop()
    work = " and of ".join(reversed(SIZES))
    return [*rows, _row(f"intake of {work}", "memory of the worker, MB", memory[1] / MB, memory[0] / MB, "≤ 1.05")]


@dataclass(frozen=True)
class Turns:
    """Medians: seconds of clamd alone, of intake from a file, of intake from the store; bytes of the worker's peak."""

    alone: float
    from_file: float
    from_store: float
    memory: float


def _take_turns(daemon: Daemon, source: Path, rounds: int, environment: dict[str, str]) -> Turns:
    measured = []
    for _ in range(1 + rounds):
        _use_memory(source)
        alone = _clamd_alone(daemon, source)
        _use_memory(source)
        from_file, _ = _in_a_worker(daemon, source, environment)
        _use_memory(source)
        from_store, memory = _in_a_worker(daemon, None, environment)
        measured.append((alone, from_file, from_store, memory))
    return Turns(*(statistics.median(column) for column in zip(*measured[1:], strict=True)))


def _use_memory(source: Path) -> None:
    """Use as much memory as the file has bytes, and free it.

    A virtual machine may give free memory back to its host within seconds ("free page reporting"), and to get it again
    costs eight times what writing to it does: that would be the host's price, and always ours, who write.
    """
    with tempfile.TemporaryFile(dir=source.parent) as file:
        for _ in range(source.stat().st_size // MB):
            file.write(bytes(MB))


def _rows(name: str, turns: Turns) -> list[dict[str, Any]]:
    target = "≤ 1.15 of clamd alone"
    return [
        _row(f"intake of {name}", "wall, s", turns.from_file, turns.alone, target),
        _row(f"intake of {name}, download from the store included", "wall, s", turns.from_store, turns.alone, "none"),
    ]


def _in_a_worker(daemon: Daemon, source: Path | None, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds and bytes of an intake from a file, or from the store."""
    command = [sys.executable, "-m", "bench.intake", daemon.unix, str(source or "")]
    answer = json.loads(subprocess.check_output(command, env={**os.environ, **environment}))
    return float(answer["seconds"]), float(answer["bytes"])


def _work(url: str, source: str) -> None:
    """What the worker's process does; its proof of the scanner is made before, as in a running worker."""
    bucket, scanner = _bucket(Settings.from_environ()), Scanner(url, test_database=True)
    scanner.report()
    began = time.perf_counter()
    with _open(bucket, source) as stream, intake.inspect(stream, scanner) as facts:
        seconds = time.perf_counter() - began
        assert facts.verdict.result == "clean", facts.verdict
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert peak
    print(json.dumps({"seconds": seconds, "bytes": int(peak[1]) * 1024}))


def _open(bucket: Bucket, source: str) -> AbstractContextManager[intake.Readable]:
    return Path(source).open("rb") if source else bucket.get(KEY)


def _clamd_alone(daemon: Daemon, source: Path) -> float:
    began = time.perf_counter()
    with source.open("rb") as file, ClamdClient(daemon.unix) as client:
        found = client.scan_descriptor(file.fileno())
    assert found is None, found
    return time.perf_counter() - began


def _clamd() -> Daemon:
    limits = dict.fromkeys(("MaxFileSize", "StreamMaxLength"), LARGEST)
    # In 2 GB of noise clamd believes to see containers, looks into them, and counts those bytes a second time.
    more = {"MaxScanSize": "4095M", "MaxScanTime": "900000", "ScanImageFuzzyHash": "no", "DisableCache": "yes"}
    return Daemon(options={**limits, **more})


def _bucket(settings: Settings) -> Bucket:
    place = Location(
        settings.s3_endpoint,
        settings.s3_public_endpoint,
        settings.s3_region,
        settings.s3_bucket,
        settings.s3_access_key_id,
        settings.s3_secret_access_key,
    )
    bucket = bucket_at(place)
    bucket.ensure_exists([settings.base_url])
    return bucket


def _write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(size // MB):
            file.write(os.urandom(MB))


def _row(work: str, measure: str, ours: float, peer: float, target: str) -> dict[str, Any]:
    return {
        "work": work,
        "measure": measure,
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "ratio": round(ours / peer, 2),
        "target": target,
    }


if __name__ == "__main__":
    _work(sys.argv[1], sys.argv[2])
