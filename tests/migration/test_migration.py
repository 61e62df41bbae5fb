"""A workspace moves to another bucket while people work, and back; killed anywhere, it goes on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from portal.storage.service import managed_bucket
from tests.support import pictures
from tests.support.api_client import ApiClient, Sent, done, refused
from tests.support.deployment import Live, eventually
from tests.support.engines import CUSTOMER
from tests.support.own_buckets import client_of, connect_own_bucket
from tests.support.people import Cast


def move(alice: ApiClient, move_id: str) -> dict[str, Any]:
    return dict(done(alice.call("GET", f"storage-moves/{move_id}")))


def in_state(alice: ApiClient, move_id: str, state: str) -> dict[str, Any]:
    eventually(lambda: move(alice, move_id)["state"] == state)
    return move(alice, move_id)


def act(alice: ApiClient, move_id: str, what: str) -> dict[str, Any]:
    return dict(done(alice.call("POST", f"storage-moves/{move_id}/{what}")))


def start(alice: ApiClient, target: UUID | str, **more: Any) -> str:
    return str(done(alice.call("POST", "storage-moves", {"target_id": str(target), **more}), 201)["id"])


def managed(alice: ApiClient) -> str:
    found = done(alice.call("GET", "storage-profiles"))["items"]
    return next(str(profile["id"]) for profile in found if profile["mode"] == "managed_r2")


def some_files(alice: ApiClient, count: int = 3) -> list[Sent]:
    sent = [alice.upload(f"{number}.jpg", pictures.exif_orientation(number)) for number in range(1, count + 1)]
    for each in sent:
        alice.wait(each.asset_id)
    return sent


def all_readable(alice: ApiClient, sent: list[Sent]) -> None:
    for each in sent:
        assert alice.download(each.asset_id).content == each.content
        for variant in alice.asset(each.asset_id)["variants"]:
            assert alice.store.get(variant["url"]).status_code == 200


def in_their_bucket(live: Live, cast: Cast, bucket: str) -> set[str]:
    client = client_of(live.stack.settings, CUSTOMER)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="team/files/workspaces/")
    keys = {entry["Key"] for page in pages for entry in page.get("Contents", [])}
    return {key.removeprefix("team/files/") for key in keys if str(cast.press.id) in key}


def test_a_workspace_moves_out_and_everything_stays_readable(live: Live) -> None:
    cast = live.cast()
    alice, vera = live.client(cast, cast.alice), live.client(cast, cast.vera)
    sent = some_files(alice)
    size = sum(len(each.content) for each in sent)
    own = connect_own_bucket(cast, activate=False)
    assert alice.quota() == (size, 0)

    move_id = start(alice, own.id)
    late = alice.upload("late.txt", b"sent while the files move")
    report = in_state(alice, move_id, "copied")
    alice.wait(late.asset_id)
    assert (report["moved_files"], report["failed_files"], report["percent"]) == (3, 0, 100)
    assert (report["total_bytes"], report["moved_bytes"]) == (size, size)
    all_readable(vera, [*sent, late])
    assert alice.quota() == (0, 0)  # what lies in a customer's own bucket is not counted
    assert len(live.objects(cast)) >= 3  # the source is kept until the owner says so
    assert live.broken(cast.acme.id) == []

    act(alice, move_id, "confirm")
    in_state(alice, move_id, "done")
    live.forms_run_out()
    assert live.objects(cast) == set()
    assert in_their_bucket(live, cast, own.bucket or "") == live.expected_objects(cast)
    all_readable(vera, [*sent, late])
    assert live.broken(cast.acme.id) == []


def test_everything_comes_back_what_was_uploaded_meanwhile_included(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    sent = some_files(alice)
    own = connect_own_bucket(cast, activate=False)
    move_id = start(alice, own.id)
    in_state(alice, move_id, "copied")
    late = alice.upload("late.txt", b"sent to the new place")
    alice.wait(late.asset_id)
    assert act(alice, move_id, "rollback")["rolled_back"]
    in_state(alice, move_id, "copied")
    all_readable(alice, [*sent, late])
    assert alice.quota() == (sum(len(each.content) for each in [*sent, late]), 0)
    act(alice, move_id, "confirm")
    in_state(alice, move_id, "done")
    live.forms_run_out()
    assert in_their_bucket(live, cast, own.bucket or "") == set()
    assert live.objects(cast) == live.expected_objects(cast)
    assert live.broken(cast.acme.id) == []


def test_a_worker_is_killed_in_the_middle(live: Live) -> None:
    live.one_worker()
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    own = connect_own_bucket(cast)
    sent = some_files(alice)
    sending: list[str] = []

    def looks_at_what_it_sent(method: str, path: str, _headers: object) -> bool:
        if method == "PUT" and "/original/" in path:
            sending.append(path)
        return method == "GET" and path.partition("?")[0] in sending

    with live.store.hold(looks_at_what_it_sent) as held:
        move_id = start(alice, managed(alice))
        held.wait()
        live.stack.workers[0].kill()
    live.one_worker()
    live.expire_leases()
    live.sweep()
    assert in_state(alice, move_id, "copied")["failed_files"] == 0
    all_readable(alice, sent)
    act(alice, move_id, "confirm")
    in_state(alice, move_id, "done")
    live.forms_run_out()
    assert in_their_bucket(live, cast, own.bucket or "") == set()
    assert live.objects(cast) == live.expected_objects(cast)


def test_it_waits_while_the_store_is_away_and_says_so(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    connect_own_bucket(cast)
    sent = some_files(alice, 1)
    with live.store.failing(503, lambda method, path, _: method == "PUT" and "/original/" in path):
        move_id = start(alice, managed(alice))
        eventually(lambda: move(alice, move_id)["waiting_for"])
        all_readable(alice, sent)
    live.expire_leases()
    live.sweep()
    in_state(alice, move_id, "copied")
    all_readable(alice, sent)


def test_it_can_be_paused_and_resumed(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    connect_own_bucket(cast)
    sent = some_files(alice, 1)
    with live.store.hold(lambda method, path, _: method == "PUT" and "/original/" in path) as held:
        move_id = start(alice, managed(alice))
        held.wait()
        assert act(alice, move_id, "pause")["state"] == "paused"
    refused(alice.call("POST", f"storage-moves/{move_id}/pause"), 409, "conflict")
    assert live.broken(cast.acme.id) == []
    refused(alice.call("POST", f"storage-moves/{move_id}/confirm"), 409, "conflict")
    all_readable(alice, sent)
    assert move(alice, move_id)["moved_files"] == 0
    act(alice, move_id, "resume")
    in_state(alice, move_id, "copied")
    all_readable(alice, sent)


def test_what_was_copied_before_it_was_called_back_is_removed(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    own = connect_own_bucket(cast)
    sent = some_files(alice, 1)
    with live.store.hold(lambda method, path, _: method == "PUT" and "/derived/" in path) as held:
        move_id = start(alice, managed(alice))
        held.wait()  # the original lies in the target, and the asset was not switched
        act(alice, move_id, "pause")
    assert live.objects(cast)
    act(alice, move_id, "rollback")
    in_state(alice, move_id, "copied")
    act(alice, move_id, "confirm")
    in_state(alice, move_id, "done")
    live.forms_run_out()
    assert live.objects(cast) == set()
    all_readable(alice, sent)
    assert in_their_bucket(live, cast, own.bucket or "") == live.expected_objects(cast)


def test_a_file_that_is_missing_stays_behind_with_the_reason(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    own = connect_own_bucket(cast)
    lost, kept = some_files(alice, 2)
    key = live.row(str(lost.asset_id), "object_key")[0]
    client = client_of(live.stack.settings, CUSTOMER)
    client.delete_object(Bucket=own.bucket, Key=f"team/files/{key}")
    move_id = start(alice, managed(alice))
    report = in_state(alice, move_id, "copied")
    assert (report["moved_files"], report["failed_files"]) == (1, 1)
    assert [each["asset_id"] for each in report["failed"]] == [str(lost.asset_id)]
    assert "missing" in report["failed"][0]["reason"]
    client.put_object(Bucket=own.bucket, Key=f"team/files/{key}", Body=lost.content)
    act(alice, move_id, "retry")
    eventually(lambda: move(alice, move_id)["moved_files"] == 2)
    in_state(alice, move_id, "copied")
    all_readable(alice, [lost, kept])


def test_a_store_with_another_address_keeps_its_files(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    own = connect_own_bucket(cast)
    sent = some_files(alice, 1)
    same = connect_own_bucket(cast, bucket=own.bucket, endpoint=live.store.url, activate=False)
    move_id = start(alice, same.id)
    in_state(alice, move_id, "copied")
    act(alice, move_id, "confirm")
    in_state(alice, move_id, "done")
    all_readable(alice, sent)
    assert live.expected_objects(cast) <= in_their_bucket(live, cast, own.bucket or "")


def test_what_the_new_storage_has_lost_stays_in_the_old_one(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    sent = some_files(alice, 2)
    own = connect_own_bucket(cast, activate=False)
    move_id = start(alice, own.id)
    in_state(alice, move_id, "copied")
    lost, kept = (str(each.asset_id) for each in sent)
    client = client_of(live.stack.settings, CUSTOMER)
    theirs = [key for key in in_their_bucket(live, cast, own.bucket or "") if lost in key]
    for key in theirs:
        client.delete_object(Bucket=own.bucket, Key=f"team/files/{key}")
    act(alice, move_id, "confirm")
    in_state(alice, move_id, "done")
    left = live.objects(cast)
    assert set(theirs) <= left
    assert not any(kept in key for key in left)

    with live.stack.app.app_context():  # and can be brought back by hand
        for key in theirs:
            with managed_bucket().get(key) as stream:
                client.put_object(Bucket=own.bucket, Key=f"team/files/{key}", Body=stream.read())
            managed_bucket().delete(key)
    all_readable(alice, sent)


def test_what_comes_in_must_have_room(live: Live) -> None:
    cast = live.cast()
    alice, tina = live.client(cast, cast.alice), live.client(cast, cast.tina)
    connect_own_bucket(cast)
    (sent,) = some_files(alice, 1)
    done(tina.call("PUT", "quota", {"limit_bytes": len(sent.content) - 1}))
    problem = refused(alice.call("POST", "storage-moves", {"target_id": managed(alice)}), 413, "quota_exceeded")
    assert problem["shortage_bytes"] == 1
    all_readable(alice, [sent])


def test_two_moves_at_once_are_refused(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    first = connect_own_bucket(cast, activate=False)
    second = connect_own_bucket(cast, activate=False)
    move_id = start(alice, first.id)
    refused(alice.call("POST", "storage-moves", {"target_id": str(second.id)}), 409, "move_under_way")
    refused(alice.call("DELETE", f"storage-profiles/{managed(alice)}"), 409, "conflict")
    in_state(alice, move_id, "copied")
    act(alice, move_id, "confirm")
    in_state(alice, move_id, "done")
    refused(alice.call("POST", "storage-moves", {"target_id": str(first.id)}), 409, "already_there")


def test_only_owners_move_their_workspace(cast: Cast) -> None:
    own = connect_own_bucket(cast, activate=False)
    body = {"target_id": str(own.id)}
    for actor, status in ((cast.mallory, 404), (cast.vera, 403), (cast.bob, 403), (cast.tina, 403)):
        answer = actor.api.post(cast.url("storage-moves"), json=body)
        assert answer.status_code in (status, 404), actor.name
    made = cast.alice.api.post(cast.url("storage-moves"), json=body)
    move_id = made.get_json()["id"]
    assert cast.mallory.api.get(cast.url(f"storage-moves/{move_id}")).status_code == 404
    assert cast.mallory.api.post(cast.url(f"storage-moves/{move_id}/confirm", cast.lair)).status_code == 404


def test_the_pages_of_a_move(cast: Cast) -> None:
    own = connect_own_bucket(cast, activate=False)
    browser = cast.alice.browser
    plan = browser.get(cast.page(f"storage/moves/to/{own.id}"))
    assert plan.status_code == 200
    refusal = browser.post(cast.page(f"storage/moves/to/{own.id}"), data={"megabytes_per_second": "fast"})
    assert (refusal.status_code, "number of MB" in refusal.text) == (422, True)
    refusal = browser.post(cast.page(f"storage/moves/to/{own.id}"), data={"megabytes_per_second": "1e300"})
    assert (refusal.status_code, "too high" in refusal.text) == (422, True)
    begun = browser.post(cast.page(f"storage/moves/to/{own.id}"), data={"megabytes_per_second": "20"})
    assert begun.status_code == 303
    page = browser.get(begun.headers["Location"])
    assert (page.status_code, "hx-get" in page.text) == (200, True)
    fragment = browser.get(begun.headers["Location"], headers={"HX-Request": "true"})
    assert fragment.text.lstrip().startswith('<div id="move"')
    listed = browser.get(cast.page("storage/moves"))
    assert listed.status_code == 200
    assert browser.post(begun.headers["Location"] + "/explode").status_code == 404
    assert browser.post(begun.headers["Location"] + "/pause").status_code == 303
