"""Everything is scanned again: each file once, whatever is lost on the way, after all other work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from portal import database, queue
from portal.assets import full_scans
from portal.errors import Conflict
from portal.inspection import scanner_status
from portal.inspection.scan_result import ScannerReport
from portal.objectstore import keys
from portal.texts import Text
from tests.support.api_client import done
from tests.support.clamd_daemons import FakeClamd, usual_answer
from tests.support.client import Scene, Site, scene_at, served
from tests.support.engines import EICAR, TestEngines
from tests.support.processes import own_settings


@pytest.fixture(scope="module")
def site(engines: TestEngines) -> Iterator[Site]:
    """An installation of its own: everything is what these tests have uploaded."""
    yield from served(own_settings(engines, "rescans", queue=9))


@pytest.fixture
def scene(site: Site) -> Iterator[Scene]:
    """New people there, nothing going on, the scanner proved."""
    site.sql("DELETE FROM rescans")
    site.sql("DELETE FROM scanner_status")
    site.app.extensions.pop("portal.scanner_report", None)
    yield from scene_at(site)


def three(scene: Scene, text: bytes) -> list[str]:
    sent = [scene.alice.upload(f"{number}.txt", text + bytes([number])).asset_id for number in range(65, 68)]
    scene.site.run_jobs()
    scene.site.sweep()
    return sent


def start(scene: Scene, why: str = "operator") -> Any:
    with scene.site.app.app_context():
        return full_scans.start(why, scene.cast.alice.id)


def go_on(scene: Scene) -> int:
    with scene.site.app.app_context():
        return full_scans.schedule_next_batch()


def standing(scene: Scene) -> tuple[int, int, int, bool]:
    (row,) = scene.site.sql("SELECT total, done, infected, finished_at IS NOT NULL FROM rescans")
    return row


def scanned_at(scene: Scene, asset_id: str) -> Any:
    return scene.site.sql("SELECT scanned_at FROM assets WHERE id = %s", UUID(asset_id))[0][0]


def test_each_file_is_looked_at_once(scene: Scene, text: bytes) -> None:
    sent = three(scene, text)
    before = [scanned_at(scene, each) for each in sent]
    everything = start(scene).total
    assert everything >= 3
    scene.site.sweep()  # the scheduler schedules the batch
    assert scene.site.run_jobs() == ["scan_again"] * everything
    scene.site.sweep()
    scene.site.sweep()
    assert standing(scene) == (everything, everything, 0, True)
    assert all(scanned_at(scene, each) > then for each, then in zip(sent, before, strict=True))
    assert [scene.alice.asset(each)["scan"]["verdict"] for each in sent] == ["clean"] * 3
    assert scene.site.sweep() == {} and scene.site.run_jobs() == []


def test_what_is_infected_by_now_is_held(scene: Scene, text: bytes) -> None:
    sent = three(scene, text)
    (key,) = scene.site.sql("SELECT object_key FROM assets WHERE id = %s", UUID(sent[1]))[0]
    scene.site.put(key, EICAR)  # as if the signatures had learnt of it
    start(scene)
    go_on(scene)
    scene.site.run_jobs()
    held = scene.alice.asset(sent[1])
    assert (held["status"], held["scan"]["verdict"]) == ("quarantined", "infected")
    assert scene.alice.asset(sent[0])["status"] == "available"
    go_on(scene)
    assert standing(scene)[2:] == (1, True)


@contextmanager
def found_late(scene: Scene, content: bytes, meanwhile: Callable[[], object]) -> Iterator[None]:
    """A scanner that finds a virus in this content; before it says so, something else happens, once."""
    acts = [meanwhile]

    def says(command: str, asked: bytes) -> str:
        if asked != content:
            return usual_answer(command, asked)
        if acts:
            acts.pop()()
        return "stream: Late.Virus FOUND"

    before = scene.site.app.extensions["portal.settings"]
    with FakeClamd(says) as fake:
        away = replace(before, scanner_url=fake.tcp, scanner_test_database=None)
        scene.site.app.extensions["portal.settings"] = away
        try:
            yield
        finally:
            scene.site.app.extensions["portal.settings"] = before


def taken_in(scene: Scene, text: bytes, folder_id: str | None = None) -> str:
    sent = scene.alice.upload("a.txt", text, folder_id=folder_id)
    scene.site.run_jobs()
    scene.site.sweep()
    return sent.asset_id


def scan_everything(scene: Scene) -> None:
    start(scene)
    go_on(scene)
    scene.site.run_jobs()


@pytest.mark.parametrize("how", ["alone", "with its folder", "and taken back"])
def test_a_virus_that_is_found_while_the_file_goes_to_the_trash_is_held(scene: Scene, text: bytes, how: str) -> None:
    folder = done(scene.alice.call("POST", "folders", {"name": "Inbox"}), 201)["id"]
    sent = taken_in(scene, text, folder)

    def meanwhile() -> None:
        if how == "with its folder":
            done(scene.bob.call("DELETE", f"folders/{folder}"))
        else:
            assert scene.bob.call("DELETE", f"assets/{sent}").status_code == 204
        if how == "and taken back":
            done(scene.bob.call("POST", f"assets/{sent}/restore"))

    with found_late(scene, text, meanwhile):
        scan_everything(scene)
    held = done(scene.bob.call("POST", f"assets/{sent}/restore"))
    assert (held["status"], held["scan"]["verdict"]) == ("quarantined", "infected")
    assert held["scan"]["signature"] == "Late.Virus"
    assert scene.alice.download(sent).status_code == 409
    assert scene.objects() == [keys.quarantine(scene.cast.press.id, UUID(sent), "a.txt")]
    columns = "state_before, deleted_at, deleted_by, folder_id, purge_after > now() + interval '6 days'"
    home = UUID(folder) if how == "and taken back" else None
    assert scene.site.sql(f"SELECT {columns} FROM assets WHERE id = %s", UUID(sent)) == [(None, None, None, home, True)]
    told = scene.site.sql(
        "SELECT recipient FROM emails WHERE deduplication_key = %s", f"{scene.cast.acme.id}:infected:{sent}"
    )
    assert told == [(scene.cast.tina.email,)]
    assert standing(scene)[2] == 1
    assert scene.site.broken(scene.cast) == []


def test_a_virus_that_is_found_while_the_file_is_deleted_for_good_keeps_nothing_of_it(
    scene: Scene, text: bytes
) -> None:
    sent = taken_in(scene, text)

    def meanwhile() -> None:
        assert scene.alice.call("DELETE", f"assets/{sent}?permanent=true").status_code == 204

    with found_late(scene, text, meanwhile):
        scan_everything(scene)
    scene.site.make_due()  # the purge waited for whoever had the file
    scene.site.run_jobs()
    assert scene.bob.call("GET", f"assets/{sent}").status_code == 404
    assert scene.objects() == []
    assert scene.alice.quota() == (0, 0)


def test_jobs_that_were_lost_are_enqueued_again_and_nothing_is_left_out(scene: Scene, text: bytes) -> None:
    sent = three(scene, text)
    start(scene)
    assert go_on(scene) >= 3
    scene.site.app.extensions["portal.redis"].flushdb()
    assert go_on(scene) == 0  # the batch is not done
    scene.site.run_jobs()
    go_on(scene)
    go_on(scene)
    total, done, _infected, finished = standing(scene)
    assert finished and done == total
    began = scene.site.sql("SELECT created_at FROM rescans")[0][0]
    assert all(scanned_at(scene, each) > began for each in sent)


def test_a_file_whose_storage_is_unavailable_keeps_the_others_waiting_for_an_hour_at_most(
    scene: Scene, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    total = len(three(scene, text)) and start(scene).total
    assert go_on(scene) == total  # and no worker comes by: as good as a store that answers none of them
    scene.site.sql("UPDATE rescans SET batch_at = now() - interval '59 minutes'")
    go_on(scene)
    assert standing(scene)[3] is False
    scene.site.sql("UPDATE rescans SET batch_at = now() - interval '61 minutes'")
    go_on(scene)
    assert standing(scene) == (total, 0, 0, True)
    assert f"{total} files could not be scanned again" in caplog.text


def test_nothing_is_asked_of_a_storage_that_a_person_must_repair(scene: Scene, text: bytes) -> None:
    three(scene, text)
    scene.site.sql("UPDATE storage_profiles SET health = 'unhealthy' WHERE workspace_id = %s", scene.cast.press.id)
    total = start(scene).total
    assert go_on(scene) == total
    scene.site.run_jobs()
    began = scene.site.sql("SELECT created_at FROM rescans")[0][0]
    theirs = "SELECT count(*) FROM assets WHERE workspace_id = %s AND scanned_at > %s"
    assert scene.site.sql(theirs, scene.cast.press.id, began) == [(0,)]
    go_on(scene)
    assert standing(scene)[3] is True


def test_batch_after_batch(scene: Scene, text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    three(scene, text)
    monkeypatch.setattr(full_scans, "BATCH", 2)
    total = start(scene).total
    done = 0
    while rung := go_on(scene):
        assert rung <= 2
        done += len(scene.site.run_jobs())
    assert done == total and standing(scene) == (total, total, 0, True)


def test_one_runs_at_a_time_and_can_be_stopped(scene: Scene, text: bytes) -> None:
    three(scene, text)
    start(scene)
    with pytest.raises(Conflict):
        start(scene)
    go_on(scene)
    with scene.site.app.app_context():
        full_scans.stop(scene.cast.alice.id)
        with pytest.raises(Conflict):
            full_scans.stop(scene.cast.alice.id)
    scene.site.run_jobs()
    began = scene.site.sql("SELECT created_at FROM rescans")[0][0]
    assert scene.site.sql("SELECT count(*) FROM assets WHERE scanned_at > %s", began) == [(0,)]
    start(scene)  # a new one may begin


def test_it_is_done_in_the_slow_lane() -> None:
    assert queue.JOBS["scan_again"].lane == queue.SLOW


def test_a_big_step_of_the_signatures_begins_one(scene: Scene, text: bytes) -> None:
    three(scene, text)

    def periodic(version: int) -> str:
        words = f"{version}/Mon Nov 23 10:24:00 2026"
        with scene.site.app.app_context():
            database.enter(None)
            scanner_status.save(ScannerReport("ready", Text("fine"), "ClamAV", words, reports_limits=True))
            return full_scans.start_after_updates().english

    assert "counted from version 27000" in periodic(27000)
    assert "29 versions newer" in periodic(27029)
    assert scene.site.sql("SELECT count(*) FROM rescans") == [(0,)]
    assert "are scanned again" in periodic(27030)
    assert scene.site.sql("SELECT cause FROM rescans") == [("signatures",)]
    assert "0 versions newer" in periodic(27030)


def test_without_a_scanner_none_begins(scene: Scene) -> None:
    scene.site.sql("DELETE FROM scanner_status")
    with pytest.raises(Conflict):
        start(scene)
