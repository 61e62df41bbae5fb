"""A store, a queue or a database that goes away in the middle: what has begun waits, says so, and goes on by itself."""

from __future__ import annotations

import threading
from uuid import UUID

import httpx
import pytest

from portal.app import create_app
from portal.lifecycle import doctor, sweep
from tests.support import pictures
from tests.support.api_client import ApiClient, Sent, done, refused
from tests.support.deployment import Live, eventually
from tests.support.engines import TestEngines
from tests.support.processes import close, own_settings, owner_sql
from tests.support.stores.unruly import Breakdown, Unruly, Wanted, anything, copies, derived, looks, reads

# The engines of the tests answer a commit before it is written out; this waits until all before it are, too.
WRITTEN_OUT = """
    WITH waiting AS (SELECT set_config('synchronous_commit', 'on', true) AS mode)
    UPDATE plans SET code = code FROM waiting WHERE mode = 'on'"""


@pytest.mark.parametrize("how", [500, 503, "reset"])
def test_a_store_that_is_away_at_commit_leaves_the_upload_open(live: Live, how: Breakdown) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    begun = alice.sent("a.txt", b"some words")
    with live.store.failing(how, looks):
        problem = refused(alice.commit(begun["upload_id"]), 503, "storage_unavailable")
        assert "amazon" not in problem["detail"].lower()
        assert alice.upload_state(begun["upload_id"])["state"] == "created"
        done(alice.begin("b.txt", 10), 201)  # signing needs no network
    committed = done(alice.commit(begun["upload_id"]))
    assert alice.wait(committed["asset_id"])["status"] == "available"


def test_a_batch_of_commits_asks_a_store_that_is_away_about_one_file_only(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    items = [{"upload_id": alice.sent(f"{name}.txt", b"some words")["upload_id"]} for name in "abc"]
    asked = len(live.store.requests)
    with live.store.failing(503, looks):
        answers = done(alice.call("POST", "uploads/batch/commit", {"items": items}))["items"]
    assert [(answer["status"], answer["code"]) for answer in answers] == [(503, "storage_unavailable")] * 3
    assert len({path for method, path in live.store.requests[asked:] if method == "HEAD"}) == 1
    committed = done(alice.call("POST", "uploads/batch/commit", {"items": items}))["items"]
    assert [alice.wait(each["asset_id"])["status"] for each in committed] == ["available"] * 3


@pytest.mark.parametrize(
    ("how", "where"),
    [(500, copies), (503, reads), ("reset", copies), ("reset", reads), ("truncated", reads), (503, anything)],
    ids=["500 to copies", "503 to reads", "resets copies", "resets reads", "truncates reads", "503 to everything"],
)
def test_a_store_that_breaks_under_the_worker_is_waited_for(live: Live, how: Breakdown, where: Wanted) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    begun = alice.sent("sea.jpg", pictures.exif_orientation(5))

    def but_looks(method: str, path: str, headers: object) -> bool:
        return where(method, path, headers) and not looks(method, path, headers)  # type: ignore[arg-type]

    with live.store.failing(how, but_looks):
        asset_id = done(alice.commit(begun["upload_id"]))["asset_id"]
        asset = eventually(lambda: (found := alice.asset(asset_id))["waiting_for"] and found)
        assert (asset["status"], asset["waiting_for"]) == ("processing", "storage")
        assert live.task(asset_id, "attempts, lease_token, waiting_for") == [(0, None, "storage_unavailable")]
    live.expire_leases()
    live.sweep()
    asset = alice.wait(asset_id)
    assert (asset["status"], asset["waiting_for"], asset["previews"]) == ("available", None, "ready")
    live.forms_run_out()
    assert live.objects(cast) == live.expected_objects(cast)
    assert live.broken(cast.acme.id) == []


def test_a_store_that_breaks_while_previews_are_stored_delays_them(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    with live.store.failing(503, derived):
        sent = alice.upload("sea.jpg", pictures.exif_orientation(5))
        eventually(
            lambda: live.task(sent.asset_id, "kind, waiting_for") == [("render_previews", "storage_unavailable")]
        )
        assert alice.asset(sent.asset_id)["previews"] == "pending"
        assert alice.download(sent.asset_id).content == sent.content
    live.expire_leases()
    live.sweep()
    assert alice.wait(sent.asset_id)["previews"] == "ready"
    live.sound(cast, alice, sent)


def test_the_scheduler_survives_a_store_that_is_away(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    begun = alice.sent("a.txt", b"some words")
    with live.store.failing("reset"):
        live.stack.sql("UPDATE uploads SET expires_at = now() WHERE id = %s", UUID(begun["upload_id"]))
        live.stack.sql("UPDATE tasks SET due_at = now() WHERE target_id = %s", UUID(begun["upload_id"]))
        live.sweep()
        state = alice.upload_state(begun["upload_id"])
        assert state["state"] == "expired"
        assert alice.quota() == (0, 0)
    live.forms_run_out()
    assert live.objects(cast) == set()


def test_without_a_queue_every_upload_still_finishes(live: Live, engines: TestEngines) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    begun = alice.sent("a.txt", b"some words")
    engines.valkey.kill()
    try:
        committed = done(alice.commit(begun["upload_id"]))
        assert committed["status"] == "processing"
        assert alice.asset(committed["asset_id"])["status"] == "processing"
        live.expire_leases()
        live.sweep()
    finally:
        engines.valkey.restart()
    for worker in live.stack.workers:  # as the supervisor does with those that died of it
        if not worker.running:
            worker.start()
    live.expire_leases()
    live.sweep()
    assert alice.wait(committed["asset_id"])["status"] == "available"
    assert live.broken(cast.acme.id) == []


def test_a_database_that_crashes_under_everybody_is_found_again(live: Live, engines: TestEngines) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    with live.store.hold(reads) as held:
        sent = [alice.upload(f"{number}.txt", b"some words" * number) for number in (1, 2, 3)]
        held.wait()
        live.stack.sql(WRITTEN_OUT)
        engines.postgres.kill()
        try:
            assert alice.call("GET", "assets").status_code == 503
            assert alice.commit(sent[0].upload_id).status_code == 503
        finally:
            engines.postgres.restart()
    assert all(process.running for process in live.stack.processes)
    live.expire_leases()
    live.sweep()
    for each in sent:
        assert alice.wait(each.asset_id)["status"] == "available"
        assert alice.download(each.asset_id).content == each.content
    live.forms_run_out()
    assert live.objects(cast) == live.expected_objects(cast)
    assert live.broken(cast.acme.id) == []


def test_the_web_process_dies_in_the_middle_of_a_commit(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    begun = alice.sent("a.txt", b"some words")
    with live.store.hold(looks) as held:
        caller = threading.Thread(target=commit_and_lose_the_line, args=(alice, begun["upload_id"]))
        caller.start()
        held.wait()
        live.stack.web.kill()
        caller.join()
    live.stack.web.start()
    live.stack.wait_for_web()
    assert alice.upload_state(begun["upload_id"])["state"] == "created"
    sent = Sent(begun, done(alice.commit(begun["upload_id"])), b"some words")
    assert alice.wait(sent.asset_id)["status"] == "available"
    live.sound(cast, alice, sent)


def commit_and_lose_the_line(client: ApiClient, upload_id: str) -> None:
    with pytest.raises(httpx.TransportError):
        client.commit(upload_id)


def test_a_store_that_takes_no_cors_rules_is_prepared_and_the_doctor_says_so(engines: TestEngines) -> None:
    with Unruly(engines.settings().s3_endpoint) as store:
        settings = own_settings(engines, "ruleless", queue=7, s3_endpoint=store.url, s3_public_endpoint=store.url)
        app = create_app(settings)
        known = "SELECT capabilities ->> 'post', reason IS NULL FROM managed_stores"
        with app.app_context():
            with store.failing(403, lambda _method, path, _headers: path.endswith("?cors")):
                sweep.run()
            assert owner_sql(settings, known) == [("true", True)]
            finding = doctor.examine()[2]
        close(app)
    assert finding.ok
    assert f"allows the origin {settings.base_url}" in finding.detail.english


def test_a_store_that_is_away_at_the_start_is_prepared_when_it_comes(engines: TestEngines) -> None:
    with Unruly(engines.settings().s3_endpoint) as store:
        settings = own_settings(engines, "late", queue=7, s3_endpoint=store.url, s3_public_endpoint=store.url)
        app = create_app(settings)
        known = "SELECT capabilities ->> 'post', reason IS NULL FROM managed_stores"
        with app.app_context():
            with store.failing("reset"):
                sweep.run()
                assert owner_sql(settings, known) == [(None, False)]
                assert doctor.examine()[2].ok is False
            sweep.run()
            assert owner_sql(settings, known) == [("true", True)]
            assert doctor.examine()[2].ok
            with store.failing("reset"):
                sweep.run()  # it was seen to work: nobody asks again for a week
            assert owner_sql(settings, known) == [("true", True)]
        close(app)
