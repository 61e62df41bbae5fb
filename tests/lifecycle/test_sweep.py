"""One pass of the clock: it rings for what is due, waits between two rings, and no row keeps another one waiting."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import create_engine
from sqlalchemy import text as text_of
from sqlalchemy.exc import OperationalError

from portal import database, scheduler
from portal.lifecycle import sweep
from portal.uploads import session as service
from tests.support.api_client import done
from tests.support.client import Door, Scene, served
from tests.support.engines import TestEngines
from tests.support.processes import own_settings


@pytest.fixture(scope="module")
def door(engines: TestEngines) -> Iterator[Door]:
    """A portal of its own: the clock sees every tenant, and here only those of these tests."""
    yield from served(own_settings(engines, "swept", queue=6))


def everything_is_due(scene: Scene) -> None:
    scene.door.sql("UPDATE assets SET due_at = now() - interval '1 second' WHERE due_at IS NOT NULL")


def forget_the_bells(scene: Scene) -> None:
    scene.door.app.extensions["portal.redis"].flushall()


def test_nothing_is_due_in_a_quiet_house(scene: Scene, text: bytes) -> None:
    scene.alice.upload("a.txt", text)
    scene.door.work()
    everything_is_due(scene)
    assert scene.door.sweep() == {}


def test_it_rings_again_for_what_stands_still_but_not_at_once(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    forget_the_bells(scene)
    assert scene.door.sweep() == {}  # rung just now, by the commit
    everything_is_due(scene)
    assert scene.door.sweep() == {"take_in": 1}
    assert scene.door.sweep() == {}
    assert scene.door.work() == ["take_in"]
    assert scene.alice.asset(sent.asset_id)["status"] == "available"


def test_it_works_without_a_queue(scene: Scene, text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = scene.alice.upload("a.txt", text)
    begun = scene.alice.sent("b.txt", text)
    scene.door.over(begun["upload_id"])
    everything_is_due(scene)
    with monkeypatch.context() as patch:
        nowhere = scene.door.app.extensions["portal.redis"].from_url("redis://127.0.0.1:1")
        patch.setitem(scene.door.app.extensions, "portal.redis", nowhere)
        assert scene.door.sweep() == {"expire": 1}
        nowhere.close()
    assert scene.alice.upload_state(begun["upload_id"])["state"] == "expired"
    assert scene.alice.asset(sent.asset_id)["status"] == "processing"
    everything_is_due(scene)
    scene.door.sweep()
    scene.door.work()
    assert scene.alice.asset(sent.asset_id)["status"] == "available"


def test_one_bad_row_keeps_nobody_waiting(
    scene: Scene, text: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun = [scene.alice.sent(f"{number}.txt", text)["upload_id"] for number in range(3)]
    for upload_id in begun:
        scene.door.over(upload_id)
    expire = service.expire

    def stumbles(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> None:
        if str(upload_id) == begun[0]:
            raise RuntimeError("a bad row")
        expire(tenant_id, workspace_id, upload_id)

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(service, "expire", stumbles)
        assert scene.door.sweep()["expire"] == 2
    assert begun[0] in caplog.text
    scene.door.sweep()
    assert {scene.alice.upload_state(each)["state"] for each in begun} == {"expired"}
    scene.door.work()


def test_what_a_store_should_give_up_is_asked_of_a_worker_and_not_again_for_a_while(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.door.work()
    scene.door.over(sent.upload_id)
    profiles = "UPDATE storage_profiles SET health = %s WHERE workspace_id = %s"
    scene.door.sql(profiles, "unhealthy", scene.cast.press.id)
    assert scene.door.sweep() == {}  # only a person can mend that store
    scene.door.sql(profiles, "healthy", scene.cast.press.id)
    assert scene.door.sweep() == {"clear_staging": 1}
    forget_the_bells(scene)
    assert scene.door.sweep() == {}
    scene.door.sql("UPDATE uploads SET clear_due_at = now() WHERE id = %s", UUID(sent.upload_id))
    assert scene.door.sweep() == {"clear_staging": 1}
    assert scene.door.work() == ["clear_staging"]
    assert scene.door.sweep() == {}


def test_a_session_that_was_prolonged_meanwhile_does_not_expire(scene: Scene, text: bytes) -> None:
    begun = scene.alice.sent("a.txt", text)
    with scene.door.app.app_context():
        service.expire(scene.cast.acme.id, scene.cast.press.id, UUID(begun["upload_id"]))
    assert scene.alice.upload_state(begun["upload_id"])["state"] == "created"


def test_a_statement_that_fails_is_no_database_that_is_away(scene: Scene) -> None:
    with scene.door.app.app_context(), database.transaction() as session:
        session.execute(text_of("SET LOCAL statement_timeout = 10"))
        with pytest.raises(OperationalError) as cancelled:
            session.execute(text_of("SELECT pg_sleep(5)"))
        session.rollback()
    nobody = create_engine("postgresql+psycopg://127.0.0.1:1/none")
    with pytest.raises(OperationalError) as away:
        nobody.connect()
    assert (database.is_unavailable(cancelled.value), database.is_unavailable(away.value)) == (False, True)


def test_what_is_beyond_its_days_in_the_trash_goes(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.door.work()
    assert scene.alice.call("DELETE", f"assets/{sent.asset_id}").status_code == 204
    assert scene.door.sweep() == {}
    days = "SELECT purge_after::date - now()::date FROM assets WHERE id = %s"
    assert scene.door.sql(days, UUID(sent.asset_id)) == [(30,)]
    scene.door.sql("UPDATE assets SET purge_after = now() - interval '1 s' WHERE id = %s", UUID(sent.asset_id))
    assert scene.door.sweep() == {"purge": 1}
    scene.door.work()
    assert scene.alice.call("GET", f"assets/{sent.asset_id}").status_code == 404
    assert scene.objects() == []
    assert scene.alice.quota() == (0, 0)
    assert scene.door.ledger(sent.upload_id) == ["reserve", "settle"]
    assert scene.door.broken(scene.cast) == []


def test_links_that_were_issued_long_ago_are_forgotten(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.door.work()
    for _ in range(2):
        assert scene.alice.download(sent.asset_id).content == text
    links = "SELECT count(*) FROM issued_links WHERE asset_id = %s"
    newest = "(SELECT max(id::text)::uuid FROM issued_links)"
    scene.door.sql(f"UPDATE issued_links SET expires_at = now() - interval '91 days' WHERE id = {newest}")
    assert scene.door.sweep()["forget_links"] == 1
    assert scene.door.sql(links, UUID(sent.asset_id)) == [(1,)]


def test_only_one_clock_ticks(scene: Scene) -> None:
    with scene.door.app.app_context(), scheduler._only_clock() as first:
        assert first
        with scheduler._only_clock() as second:
            assert not second
    with scene.door.app.app_context(), scheduler._only_clock() as later:
        assert later


def test_a_pass_takes_a_small_batch(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [{"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 1}] * 5
    begun = done(scene.alice.call("POST", "uploads/batch", {"items": items}))["items"]
    for each in begun:
        scene.door.over(each["upload_id"])
    monkeypatch.setattr(sweep, "BATCH", 3)
    assert scene.door.sweep()["expire"] == 3
    assert scene.door.sweep()["expire"] == 2
    assert scene.alice.quota() == (0, 0)
