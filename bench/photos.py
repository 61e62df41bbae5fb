"""200 photos of 12 megapixels, from the first begin to the last preview, with two workers; files per second.

Peer: a plain script that scans the same local files with clamd and renders the same variants, two at a time: the work
that no pipeline can avoid, without a store, a database, a queue or a quota. One clamd serves both, with one signature.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from PIL import Image

from bench.deployment import Deployment, deployed
from bench.served import PORTAL, served, started
from bench.uploads import Client
from tests.support import pictures

FILES, WORKERS = 200, 2
WIDTH, HEIGHT = 4000, 3000
LIMIT_SECONDS = 1200.0


def run() -> list[dict[str, Any]]:
    """Rows for the table."""
    with deployed() as here:
        photos = _photos(here.folder)
        ours = FILES / _seconds_through_the_portal(here, photos)
        peer = FILES / _seconds_by_a_plain_script(here.settings.scanner_url, photos[0].parent)
        size = sum(photo.stat().st_size for photo in photos) / FILES / 1024**2
    return [
        {
            "work": f"{FILES} photos of 12 megapixels, {size:.1f} MB each",
            "measure": "files per second from the first begin to the last preview; peer: clamd and the renderer alone",
            "ours": round(ours, 2),
            "peer": round(peer, 2),
            "ratio": round(ours / peer, 2),
            "target": "≥ 0.8",
        }
    ]


def _photos(folder: Path) -> list[Path]:
    """Different files of one photograph: a comment makes each one's bytes its own, so that nothing is cached."""
    photograph = pictures.large_jpeg(WIDTH, HEIGHT, profile=True)
    target = folder / "photos"
    target.mkdir(mode=0o755)
    made = []
    for number in range(FILES):
        path = target / f"photo-{number:03}.jpg"
        path.write_bytes(_with_comment(photograph, f"number {number}"))
        made.append(path)
    return made


def _with_comment(jpeg: bytes, comment: str) -> bytes:
    """A COM segment right after the start of image (ITU-T T.81, B.2.4.5)."""
    text = comment.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def _seconds_through_the_portal(here: Deployment, photos: list[Path]) -> float:
    with ExitStack() as stack:
        stack.enter_context(served(PORTAL, here.environment, here.folder, here.port))
        for _ in range(WORKERS):
            stack.enter_context(started("worker", here.environment, here.folder))
        stack.enter_context(started("clock", here.environment, here.folder))
        client = Client(here, mime_type="image/jpeg")
        warm = here.folder / "warm.jpg"
        warm.write_bytes(_small_jpeg())
        _await_previews(here, [client.upload(warm)])
        began = time.perf_counter()
        assets = client.upload_as_they_arrive(photos[:100]) + client.upload_as_they_arrive(photos[100:])
        _await_previews(here, assets)
        return time.perf_counter() - began


def _small_jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(out, "JPEG")
    return out.getvalue()


def _await_previews(here: Deployment, assets: list[str]) -> None:
    """Wait until every asset has its previews. The last is asked first: most have finished by then."""
    api, until = here.cast.alice.api, time.monotonic() + LIMIT_SECONDS
    for asset_id in reversed(assets):
        while (asset := api.get(here.cast.url(f"assets/{asset_id}")).json or {})["previews"] != "ready":
            if time.monotonic() > until or asset["status"] == "failed":
                raise RuntimeError(f"no previews after {LIMIT_SECONDS:.0f} s: {asset}")
            time.sleep(0.1)


def _seconds_by_a_plain_script(scanner_url: str, folder: Path) -> float:
    command = [sys.executable, "-m", "bench.photos_peer", scanner_url, str(folder), str(WORKERS)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return float(json.loads(done.stdout))
