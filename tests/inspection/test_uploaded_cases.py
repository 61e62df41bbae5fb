"""The cases through a whole portal: uploaded, checked by a worker in one pass, and shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.inspection import probe_archives
from portal.inspection.scanner import Scanner
from tests.support.clamd_daemons import Daemon
from tests.support.client import Scene, Site, scene_at, served
from tests.support.engines import TestEngines
from tests.support.processes import own_settings

FOLDER = Path(__file__).parents[1] / "support" / "cases"


@pytest.fixture(scope="module")
def site(engines: TestEngines, dated_clamd: Daemon) -> Iterator[Site]:
    scanner: dict[str, Any] = {"scanner_url": dated_clamd.unix, "scanner_test_database": None}
    yield from served(own_settings(engines, "cases", queue=9, **scanner))


@pytest.fixture
def scene(site: Site) -> Iterator[Scene]:
    yield from scene_at(site)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("01-xml-encoding-gbk.txt", "available", None),
        ("01-xml-encoding-shift_jis.svg", "available", None),
        ("01-xml-encoding-gbk-named.jpg", "failed", "content_mismatch"),
        ("09-csv-unit-separator-1f.csv", "available", None),
    ],
)
def test_what_detection_once_failed_at_is_decided_in_one_attempt(
    scene: Scene, name: str, status: str, code: str | None
) -> None:
    began = time.monotonic()
    sent = scene.alice.upload(name, (FOLDER / name).read_bytes())
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], (asset["reason"] or {}).get("code")) == (status, code)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("form", ["rar4", "rar5", "zip-lzma", "zip-deflate", "7z-deflate", "7z-lzma", "zip-ppmd"])
def test_a_virus_in_an_archive_never_becomes_available(scene: Scene, dated_clamd: Daemon, form: str) -> None:
    extension = form.partition("-")[0].rstrip("45")
    sent = scene.alice.upload(f"archive.{extension}", probe_archives.archives()[form])
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    readable = Scanner(dated_clamd.unix).report().readable
    assert asset["status"] == "quarantined"
    assert asset["reason"]["code"] == ("infected" if form in readable else "unscannable")
