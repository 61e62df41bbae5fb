"""One pass over what is due: nothing is enqueued twice, nothing is forgotten, and no row keeps another one waiting."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from portal import database, scheduler, tasks
from portal.lifecycle import sweep
from portal.uploads import expire
from tests.support.api_client import done
from tests.support.client import Scene, Site, served
from tests.support.engines import TestEngines
from tests.support.processes import own_settings


@pytest.fixture(scope="module")
def site(engines: TestEngines) -> Iterator[Site]:
    """A portal of its own: the scheduler sees every tenant, and here only those of these tests."""
    yield from served(own_settings(engines, "swept", queue=6))


def test_nothing_is_due_when_everything_is_done(scene: Scene, text: bytes) -> None:
    scene.alice.upload("a.txt", text)
    scene.site.run_jobs()
    scene.site.make_due()
    assert scene.site.sweep() == {}


def test_a_waiting_job_is_not_enqueued_again_and_a_lost_one_is(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    assert scene.site.sweep() == {}  # its job waits
    scene.site.app.extensions["portal.redis"].flushall()
    assert scene.site.sweep() == {"take_in": 1}
    assert scene.site.sweep() == {}
    assert scene.site.run_jobs() == ["take_in"]
    assert scene.alice.asset(sent.asset_id)["status"] == "available"


def test_a_dry_run_shows_what_is_due_and_does_nothing(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    with scene.site.app.app_context():
        assert sweep.preview() == {"take_in": 1}
    assert scene.alice.asset(sent.asset_id)["status"] == "processing"
    scene.site.run_jobs()
    with scene.site.app.app_context():
        assert sweep.preview() == {}


def test_it_works_without_valkey(scene: Scene, text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = scene.alice.upload("a.txt", text)
    begun = scene.alice.sent("b.txt", text)
    scene.site.expire_upload(begun["upload_id"])
    with monkeypatch.context() as patch:
        nowhere = scene.site.app.extensions["portal.redis"].from_url("redis://127.0.0.1:1")
        patch.setitem(scene.site.app.extensions, "portal.redis", nowhere)
        assert scene.site.sweep() == {"expire": 1}
        nowhere.close()
    assert scene.alice.upload_state(begun["upload_id"])["state"] == "expired"
    assert scene.alice.asset(sent.asset_id)["status"] == "processing"
    scene.site.sweep()
    scene.site.run_jobs()
    assert scene.alice.asset(sent.asset_id)["status"] == "available"


def test_a_failing_task_delays_no_other(
    scene: Scene, text: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun = [scene.alice.sent(f"{number}.txt", text)["upload_id"] for number in range(3)]
    for upload_id in begun:
        scene.site.expire_upload(upload_id)
    expire_one = expire.expire

    def fails(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> None:
        if str(upload_id) == begun[0]:
            raise RuntimeError("a bad row")
        expire_one(tenant_id, workspace_id, upload_id)

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(expire, "expire", fails)
        assert scene.site.sweep()["expire"] == 2
    assert begun[0] in caplog.text
    scene.site.expire_upload(begun[0])  # it had to wait for a minute
    scene.site.sweep()
    assert {scene.alice.upload_state(each)["state"] for each in begun} == {"expired"}
    scene.site.run_jobs()


def test_a_store_that_only_a_person_can_repair_gets_no_request(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.site.run_jobs()
    scene.site.expire_upload(sent.upload_id)
    profiles = "UPDATE storage_profiles SET health = %s WHERE workspace_id = %s"
    scene.site.sql(profiles, "unhealthy", scene.cast.press.id)
    assert scene.site.run_jobs() == ["clear_staging"]
    assert scene.site.task(sent.upload_id, "clear_staging") == (0, "storage_unavailable")
    assert scene.site.sweep() == {}  # not again for a while
    scene.site.sql(profiles, "healthy", scene.cast.press.id)
    scene.site.expire_upload(sent.upload_id)
    assert scene.site.sweep() == {"clear_staging": 1}
    assert scene.site.run_jobs() == ["clear_staging"]
    assert scene.site.task(sent.upload_id, "clear_staging") is None
    assert scene.site.sweep() == {}


def test_an_upload_that_was_extended_in_the_meantime_does_not_expire(scene: Scene, text: bytes) -> None:
    begun = scene.alice.sent("a.txt", text)
    with scene.site.app.app_context():
        expire.expire(scene.cast.acme.id, scene.cast.press.id, UUID(begun["upload_id"]))
    assert scene.alice.upload_state(begun["upload_id"])["state"] == "created"


def test_a_failing_statement_is_not_an_unavailable_database(scene: Scene) -> None:
    with scene.site.app.app_context(), database.transaction() as reading:
        reading.execute(text("SET LOCAL statement_timeout = 10"))
        with pytest.raises(OperationalError) as cancelled:
            reading.execute(text("SELECT pg_sleep(5)"))
        reading.rollback()
    nobody = create_engine("postgresql+psycopg://127.0.0.1:1/none")
    with pytest.raises(OperationalError) as away:
        nobody.connect()
    assert (database.is_unavailable(cancelled.value), database.is_unavailable(away.value)) == (False, True)


def test_files_are_purged_after_their_days_in_the_trash(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.site.run_jobs()
    assert scene.alice.call("DELETE", f"assets/{sent.asset_id}").status_code == 204
    assert scene.site.sweep() == {}
    days = "SELECT purge_after::date - now()::date FROM assets WHERE id = %s"
    assert scene.site.sql(days, UUID(sent.asset_id)) == [(30,)]
    scene.site.sql("UPDATE assets SET purge_after = now() - interval '1 s' WHERE id = %s", UUID(sent.asset_id))
    scene.site.sql("UPDATE tasks SET due_at = now() - interval '1 s' WHERE target_id = %s", UUID(sent.asset_id))
    assert scene.site.sweep() == {"purge": 1}
    scene.site.run_jobs()
    assert scene.alice.call("GET", f"assets/{sent.asset_id}").status_code == 404
    assert scene.objects() == []
    assert scene.alice.quota() == (0, 0)
    assert scene.site.ledger(sent.upload_id) == ["reserve", "settle"]
    assert scene.site.broken(scene.cast) == []


def test_old_issued_links_are_deleted(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.site.run_jobs()
    for _ in range(2):
        assert scene.alice.download(sent.asset_id).content == text
    links = "SELECT count(*) FROM issued_links WHERE asset_id = %s"
    newest = "(SELECT max(id::text)::uuid FROM issued_links)"
    scene.site.sql(f"UPDATE issued_links SET expires_at = now() - interval '91 days' WHERE id = {newest}")
    assert scene.site.sweep()["forget_links"] == 1
    assert scene.site.sql(links, UUID(sent.asset_id)) == [(1,)]


def test_only_one_scheduler_runs(scene: Scene) -> None:
    def lease() -> AbstractContextManager[tasks.Lease | None]:
        return tasks.exclusive("scheduler", tasks.NOWHERE, lasts=scheduler.LEASE)

    with scene.site.app.app_context():
        with lease() as first:
            assert first is not None
            with lease() as second:
                assert second is None
        with lease() as later:
            assert later is not None
            scene.site.sql("UPDATE tasks SET lease_until = now() - interval '1 second'")  # it was killed
            with lease() as successor:
                assert successor is not None


def test_a_pass_takes_a_small_batch(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [{"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 1}] * 5
    begun = done(scene.alice.call("POST", "uploads/batch", {"items": items}))["items"]
    for each in begun:
        scene.site.expire_upload(each["upload_id"])
    monkeypatch.setattr(sweep, "BATCH", 3)
    assert scene.site.sweep()["expire"] == 3
    assert scene.site.sweep()["expire"] == 2
    assert scene.alice.quota() == (0, 0)
