"""ClamAV without signatures: files are marked, do not wait, and are scanned as soon as signatures are there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from portal.embedded import clamav
from portal.embedded.clamav import NOTE, REQUEST_FILE, Clamd, Freshclam
from portal.embedded.folder import DataFolder
from portal.embedded.state import read
from portal.inspection import scanner
from portal.inspection.scanner import Scanner
from tests.support.deployment import eventually
from tests.support.embedded_stack import Up
from tests.support.engines import signatures

pytestmark = pytest.mark.skipif(clamav.program("clamd") is None, reason="needs ClamAV")


def test_the_scanner_is_started_when_they_come(place: Path) -> None:
    empty = place.with_name("no-signatures")
    empty.mkdir()
    up = Up(place, PORTAL_SCANNER_TEST_DATABASE=str(empty))
    try:
        up.start()
        noted = read(place)
        assert noted and "clamd" not in noted["processes"]
        assert "ClamAV has no signatures" in up.said()
        url = up.environment()["PORTAL_SCANNER_URL"]
        waiting = Scanner(url, test_database=True)
        assert waiting.report().state == "no_signatures"
        with (place / "file").open("w+b") as file:
            file.write(b"anything")
            assert waiting.scan(file).reason == "no_signatures"
        signatures(empty)
        up.wait_for("clamd is started")
        found = Scanner(url, test_database=True)
        assert eventually(lambda: found.check().state == "ready")
        assert found.check().reports_limits
    finally:
        up.clean_up()
        shutil.rmtree(empty)


def test_both_sides_mean_the_same_note() -> None:
    assert NOTE == scanner.NO_SIGNATURES


def test_a_request_for_new_signatures_wakes_freshclam_once(place: Path) -> None:
    folder = DataFolder(place)
    folder.open()
    woken = place / "woken"
    program = Freshclam(folder, None)
    loop = f"trap 'echo >> {woken}' USR1; touch {place}/up; while :; do sleep 0.05; done"
    program.command = lambda: ["/bin/sh", "-c", loop]  # type: ignore[method-assign]
    program.prepare = lambda: None  # type: ignore[method-assign]
    program.account = None
    program.start()
    try:
        eventually((place / "up").exists)
        program.poll()
        assert not woken.exists()
        (folder.run / REQUEST_FILE).touch()
        program.poll()
        eventually(woken.exists)
        program.poll()
        assert not (folder.run / REQUEST_FILE).exists()
        assert woken.read_text() == "\n"
    finally:
        program.stop()


def test_the_note_stands_only_while_there_is_nothing_to_load(place: Path) -> None:
    folder = DataFolder(place)
    folder.open()
    empty = place / "empty"
    empty.mkdir()
    clamd = Clamd(folder, empty)
    note = Path(os.fspath(clamd.socket) + NOTE)
    assert not clamd.can_start() and note.exists()
    signatures(empty)
    assert clamd.can_start() and not note.exists()
