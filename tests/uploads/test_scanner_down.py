"""Without a scanner nothing is "clean": off is a mark, down is waited for, unscanned files are scanned later."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from portal import database, tasks
from portal.inspection.scanner import Scanner
from portal.objectstore import keys
from portal.tasks import MOST_ATTEMPTS
from tests.support import pictures
from tests.support.api_client import refused
from tests.support.clamd_daemons import LIMIT_BYTES, Daemon, FakeClamd, usual_answer
from tests.support.client import Scene, Site, scene_at, served
from tests.support.engines import EICAR, SIGNATURE, TestEngines
from tests.support.processes import own_settings
from tests.support.tcp_proxy import TcpProxy
from tests.uploads.test_verify import infected_zip

LONG = b"A line of a text that is longer than what a scanner is asked for its proof.\n" * 3000


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A clamd with a dated database."""
    with Daemon(dated=True) as running:
        yield running


@pytest.fixture(scope="module")
def undated() -> Iterator[Daemon]:
    """A clamd that knows one signature of nobody knows when."""
    with Daemon() as running:
        yield running


@pytest.fixture(scope="module")
def scanner_proxy(daemon: Daemon) -> Iterator[TcpProxy]:
    """The way to it."""
    with TcpProxy(daemon.port) as scanner_proxy:
        yield scanner_proxy


@pytest.fixture(scope="module")
def site(engines: TestEngines, scanner_proxy: TcpProxy) -> Iterator[Site]:
    """A portal whose scanner stands behind the scanner_proxy."""
    scanner: dict[str, Any] = {"scanner_url": scanner_proxy.url, "scanner_test_database": None}
    yield from served(own_settings(engines, "scanned", queue=4, **scanner))


@pytest.fixture
def scene(site: Site, scanner_proxy: TcpProxy) -> Iterator[Scene]:
    """New people; the scanner_proxy is open in the end."""
    yield from scene_at(site)
    scanner_proxy.open()
    use(site, scanner_proxy.url)
    site.run_jobs()


def use(site: Site, url: str) -> None:
    """What the next deployment says about the scanner; the proof of the last one is forgotten."""
    settings = replace(site.app.extensions["portal.settings"], scanner_url=url)
    site.app.extensions["portal.settings"] = settings
    Scanner.at(settings)._report = None


def soon(site: Site) -> None:
    """Let everything that waits be due, and the scheduler and the workers come by."""
    site.make_due()
    site.sweep()
    site.run_jobs()


def row(site: Site, asset_id: str, columns: str) -> tuple[Any, ...]:
    return site.sql(f"SELECT {columns} FROM assets WHERE id = %s", UUID(asset_id))[0]


def test_a_file_waits_visibly_for_a_scanner_that_is_down(scene: Scene, scanner_proxy: TcpProxy) -> None:
    scanner_proxy.shut()
    use(scene.site, scanner_proxy.url)
    sent = scene.alice.upload("a.txt", LONG)
    for _ in range(8):  # more often than a file that is itself at fault would be tried
        scene.site.run_jobs()
        soon(scene.site)
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["waiting_for"], asset["scan"]["verdict"]) == ("processing", "scanner", "pending")
    assert scene.site.task(sent.asset_id, "take_in", "attempts, lease_token") == (0, None)
    assert scene.objects() == [scene.staging_key(sent.begun, "a.txt")]
    refused(scene.alice.download(sent.asset_id), 409, "conflict")
    assert scene.alice.quota() == (0, len(LONG))

    scanner_proxy.open()
    soon(scene.site)
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["waiting_for"], asset["scan"]["verdict"]) == ("available", None, "clean")
    assert scene.alice.quota() == (len(LONG), 0)


def test_a_scan_is_repeated_after_the_scanner_died(scene: Scene, scanner_proxy: TcpProxy) -> None:
    scanner_proxy.cut()
    sent = scene.alice.upload("a.txt", LONG)
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["waiting_for"]) == ("processing", "scanner")
    assert scene.site.task(sent.asset_id, "take_in", "attempts, lease_token") == (1, None)
    soon(scene.site)
    assert scene.alice.asset(sent.asset_id)["scan"]["verdict"] == "clean"
    assert scene.alice.download(sent.asset_id).content == LONG
    assert len(scene.objects()) == 1
    assert scene.site.broken(scene.cast) == []


def test_a_file_that_crashes_the_scanner_every_time_fails_visibly(scene: Scene, scanner_proxy: TcpProxy) -> None:
    scanner_proxy.cut(MOST_ATTEMPTS + 1)
    sent = scene.alice.upload("a.txt", LONG)
    scene.site.run_jobs()
    for _ in range(MOST_ATTEMPTS):
        assert scene.alice.asset(sent.asset_id)["status"] == "processing"
        soon(scene.site)
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["reason"]["code"]) == ("failed", "processing_failed")
    assert scene.objects() == []
    assert scene.alice.quota() == (0, 0)
    scanner_proxy.cut(0)


def test_a_scanner_with_a_full_disk_uses_up_no_attempt(scene: Scene, scanner_proxy: TcpProxy) -> None:
    def says(command: str, content: bytes) -> str:
        return "stream: Can't write to file ERROR" if content == LONG else usual_answer(command, content)

    with FakeClamd(says) as fake:
        use(scene.site, fake.tcp)
        sent = scene.alice.upload("a.txt", LONG)
        scene.site.run_jobs()
        for _ in range(MOST_ATTEMPTS + 2):
            soon(scene.site)
        asset = scene.alice.asset(sent.asset_id)
        assert (asset["status"], asset["waiting_for"]) == ("processing", "scanner")
        assert scene.site.task(sent.asset_id, "take_in", "attempts, lease_token") == (0, None)
        assert fake.commands.count("INSTREAM") > MOST_ATTEMPTS
    use(scene.site, scanner_proxy.url)
    soon(scene.site)
    assert scene.alice.asset(sent.asset_id)["scan"]["verdict"] == "clean"


@pytest.mark.parametrize("reason", ["off", "no signatures"])
def test_unscanned_files_are_marked_and_scanned_when_a_scanner_appears(
    scene: Scene, scanner_proxy: TcpProxy, undated: Daemon, reason: str
) -> None:
    use(scene.site, "off" if reason == "off" else undated.tcp)
    sent = scene.alice.upload("a.txt", LONG)
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["scan"]["verdict"]) == ("available", "not_scanned")
    assert "Not scanned" in asset["scan"]["reason"]
    soon(scene.site)
    assert scene.alice.asset(sent.asset_id)["scan"]["verdict"] == "not_scanned"

    use(scene.site, scanner_proxy.url)
    soon(scene.site)
    scan = scene.alice.asset(sent.asset_id)["scan"]
    assert (scan["verdict"], scan["reason"]) == ("clean", None)
    assert scan["database"]
    soon(scene.site)
    assert scene.site.task(sent.asset_id, "rescan") is None


@pytest.mark.parametrize(("name", "content"), [("eicar.txt", EICAR), ("bundle.zip", infected_zip())])
def test_a_file_found_infected_later_is_quarantined(
    scene: Scene, scanner_proxy: TcpProxy, name: str, content: bytes
) -> None:
    use(scene.site, "off")
    sent = scene.alice.upload(name, content)
    scene.site.run_jobs()
    assert scene.alice.download(sent.asset_id).content == content

    use(scene.site, scanner_proxy.url)
    soon(scene.site)
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["reason"]["code"]) == ("quarantined", "infected")
    assert SIGNATURE in asset["scan"]["signature"]
    held = keys.quarantine_prefix(scene.cast.press.id, UUID(sent.asset_id))
    assert [key.startswith(held) for key in scene.objects()] == [True]
    refused(scene.alice.download(sent.asset_id), 409, "held")
    assert scene.alice.quota() == (len(content), 0)
    assert scene.site.task(sent.asset_id, "rescan") is None
    actions = scene.site.sql("SELECT action FROM audit_events WHERE target_id = %s", UUID(sent.asset_id))
    assert ("asset.quarantined",) in actions
    assert scene.site.broken(scene.cast) == []


def test_an_interrupted_move_to_quarantine_is_finished_by_the_sweep(scene: Scene, scanner_proxy: TcpProxy) -> None:
    """Killed after the row had switched, before the original and its previews were removed."""
    sent = scene.alice.upload("sea.jpg", pictures.exif_orientation(1))
    scene.site.run_jobs()
    place, asset_id = scene.cast.press.id, UUID(sent.asset_id)
    held = keys.quarantine(place, asset_id, "sea.jpg")
    scene.site.put(held, sent.content)
    scene.site.sql("UPDATE assets SET state = 'quarantined', object_key = %s WHERE id = %s", held, asset_id)
    with scene.site.app.app_context(), database.transaction():
        tasks.schedule("rescan", asset_id, tenant_id=scene.cast.acme.id, workspace_id=place)
    scene.site.kill_worker_of(asset_id, "rescan")
    assert len(scene.objects()) > 3
    soon(scene.site)
    assert scene.objects() == [held]
    assert row(scene.site, sent.asset_id, "state") == ("quarantined",)
    assert scene.site.task(asset_id, "rescan") is None
    assert "rescan" not in scene.site.sweep()


def test_a_file_that_ends_every_scan_is_marked_and_not_scanned_again(scene: Scene, scanner_proxy: TcpProxy) -> None:
    use(scene.site, "off")
    sent = scene.alice.upload("a.txt", LONG)
    scene.site.run_jobs()
    use(scene.site, scanner_proxy.url)
    scene.site.sql("UPDATE tasks SET attempts = 5 WHERE target_id = %s", UUID(sent.asset_id))
    soon(scene.site)
    scan = scene.alice.asset(sent.asset_id)["scan"]
    assert scan["verdict"] == "not_scanned"
    assert "can't open" in scan["reason"]
    assert "rescan" not in scene.site.sweep()


def test_scans_run_outside_of_transactions(site: Site, daemon: Daemon) -> None:
    with site.app.app_context():
        with database.transaction() as session:
            session.execute(text("SELECT 1"))
            with pytest.raises(RuntimeError):
                Scanner(daemon.unix).check()
        database.db.session.execute(text("SELECT 1"))
        assert database.db.session().in_transaction()
        assert Scanner(daemon.unix).check().state == "ready"
        assert not database.db.session().in_transaction()


def test_a_full_temporary_folder_uses_up_no_attempt(
    scene: Scene, daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock passes, the scanner is proved, and the file waits until there is room."""
    (tmp_path / "file").touch()
    use(scene.site, daemon.unix)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "file" / "tmp"))
        sent = scene.alice.upload("a.txt", LONG)
        for _ in range(MOST_ATTEMPTS + 2):
            scene.site.run_jobs()
            soon(scene.site)
        assert scene.alice.asset(sent.asset_id)["status"] == "processing"
        assert scene.site.task(sent.asset_id, "take_in") == (0, "spool_unavailable")
        (state,) = scene.site.sql("SELECT state FROM scanner_status")[0]
        assert state == "ready"
    soon(scene.site)
    assert scene.alice.asset(sent.asset_id)["scan"]["verdict"] == "clean"


def test_a_file_that_can_not_be_scanned_is_quarantined(scene: Scene) -> None:
    sent = scene.alice.upload("large.txt", b"A very long text. " * (LIMIT_BYTES // 16))
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["reason"]["code"]) == ("quarantined", "too_large")
    assert asset["scan"]["verdict"] == "not_scanned"
    refused(scene.alice.download(sent.asset_id), 409, "held")
    held = keys.quarantine_prefix(scene.cast.press.id, UUID(sent.asset_id))
    assert [key.startswith(held) for key in scene.objects()] == [True]
    assert scene.alice.quota() == (len(sent.content), 0)
