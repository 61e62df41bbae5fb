"""The same request twice: Idempotency-Key, and many files in one call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from tests.support.api_client import done, refused
from tests.support.client import Scene

BEGINS, COMMITS = "uploads/batch", "uploads/batch/commit"
OCTETS = "application/octet-stream"


def uploads_of(scene: Scene) -> int:
    return int(scene.site.sql("SELECT count(*) FROM uploads WHERE workspace_id = %s", scene.cast.press.id)[0][0])


def test_the_same_key_and_body_give_the_same_upload_freshly_signed(scene: Scene, text: bytes) -> None:
    first = done(scene.alice.begin("a.txt", len(text), key="one"), 201)
    again = done(scene.alice.begin("a.txt", len(text), key="one"), 201)
    assert again["upload_id"] == first["upload_id"]
    assert scene.alice.quota() == (0, len(text))
    assert scene.alice.send(again, text).status_code in (200, 201, 204)
    done(scene.alice.commit(first["upload_id"]))
    after = done(scene.alice.begin("a.txt", len(text), key="one"), 201)
    assert (after["upload_id"], after["state"], after["upload_url"]) == (first["upload_id"], "verifying", None)


def test_the_same_key_for_another_file_is_a_conflict(scene: Scene) -> None:
    done(scene.alice.begin("a.txt", 10, key="one"), 201)
    for name, size in (("b.txt", 10), ("a.txt", 11)):
        refused(scene.alice.begin(name, size, key="one"), 409, "conflict")
    refused(scene.alice.begin("a.txt", 10, key="one", sha256="0" * 64), 409, "conflict")
    assert uploads_of(scene) == 1


def test_a_key_is_one_persons_and_without_a_key_each_is_another_upload(scene: Scene) -> None:
    begun = [done(client.begin("a.txt", 10, key="one"), 201) for client in (scene.alice, scene.bob)]
    begun += [done(scene.alice.begin("a.txt", 10), 201) for _ in range(2)]
    assert len({each["upload_id"] for each in begun}) == 4


def test_the_same_request_many_times_at_once_is_one_upload(scene: Scene) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: done(scene.alice.begin("a.txt", 10, key="race"), 201), range(8)))
    assert len({answer["upload_id"] for answer in answers}) == 1
    assert uploads_of(scene) == 1
    assert scene.alice.quota() == (0, 10)
    assert scene.site.broken(scene.cast) == []


def test_a_day_later_the_key_is_free_again(scene: Scene) -> None:
    first = done(scene.alice.begin("a.txt", 10, key="one"), 201)
    yesterday = "UPDATE uploads SET created_at = now() - interval '25 hours' WHERE id = %s"
    scene.site.sql(yesterday, UUID(first["upload_id"]))
    assert done(scene.alice.begin("b.txt", 20, key="one"), 201)["upload_id"] != first["upload_id"]


@pytest.mark.parametrize("end", ["aborted", "failed", "expired"])
def test_an_ended_upload_is_replaced_by_a_new_one_with_the_same_key(scene: Scene, end: str) -> None:
    first = done(scene.alice.begin("a.txt", 10, key="one"), 201)
    if end == "aborted":
        scene.alice.call("DELETE", f"uploads/{first['upload_id']}")
    elif end == "failed":
        scene.alice.send(first, b"ten bytes.")
        refused(scene.alice.commit(first["upload_id"], sha256="0" * 64, etag="0"), 422, "checksum_mismatch")
    else:
        scene.site.expire_upload(first["upload_id"])
        scene.site.sweep()
    assert scene.alice.upload_state(first["upload_id"])["state"] == end
    again = done(scene.alice.begin("a.txt", 10, key="one"), 201)
    assert again["upload_id"] != first["upload_id"] and again["upload_url"]
    assert scene.alice.quota() == (0, 10)


def test_a_key_that_is_too_long_is_refused(scene: Scene) -> None:
    assert refused(scene.alice.begin("a.txt", 10, key="k" * 201), 422, "invalid")["field"] == "Idempotency-Key"


def test_a_batch_answers_each_file_by_itself(scene: Scene, text: bytes) -> None:
    good = {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": len(text)}
    bad = [
        ({**good, "file_name": "a.exe"}, 415, "unsupported_type"),
        ({**good, "size_bytes": 2**40}, 413, "file_too_large"),
        ({**good, "size_bytes": "x"}, 422, "invalid"),
        ("no object", 422, "invalid"),
    ]
    items = [good, *(item for item, _, _ in bad), *[good] * 95]
    answers = done(scene.alice.call("POST", "uploads/batch", {"items": items}))["items"]
    assert len(answers) == 100
    for answer, (_, status, code) in zip(answers[1:5], bad, strict=True):
        assert (answer["status"], answer["code"]) == (status, code)
    opened = [answers[0], *answers[5:]]
    assert len({each["upload_id"] for each in opened}) == 96
    assert scene.alice.quota() == (0, 96 * len(text))
    assert scene.alice.send(opened[-1], text).status_code in (200, 201, 204)
    done(scene.alice.commit(opened[-1]["upload_id"]))


def test_a_batch_takes_from_one_to_a_hundred(scene: Scene) -> None:
    item = {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 1}
    for items in ([], [item] * 101, None, "text"):
        refused(scene.alice.call("POST", "uploads/batch", {"items": items}), 422, "invalid")
    refused(scene.vera.call("POST", "uploads/batch", {"items": [item]}), 403, "forbidden")
    assert uploads_of(scene) == 0


def test_a_batch_stops_at_the_quota_and_no_further(scene: Scene) -> None:
    scene.site.sql("UPDATE workspace_quotas SET limit_bytes = 25 WHERE workspace_id = %s", scene.cast.press.id)
    item = {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 10}
    answers = done(scene.alice.call("POST", "uploads/batch", {"items": [item] * 4}))["items"]
    assert [answer.get("code") for answer in answers] == [None, None, "quota_exceeded", "quota_exceeded"]
    assert scene.alice.quota() == (0, 20)


def keyed(key: object, **other: object) -> dict[str, object]:
    return {"file_name": "a.txt", "mime_type": OCTETS, "size_bytes": 10, "idempotency_key": key, **other}


def begin_many(scene: Scene, items: list[dict[str, object]]) -> list[dict[str, object]]:
    return list(done(scene.alice.call("POST", BEGINS, {"items": items}))["items"])


def test_a_repeated_batch_with_keys_gives_the_same_uploads_reserved_once(scene: Scene) -> None:
    items = [keyed(f"file {number}", size_bytes=number) for number in range(1, 21)]
    first = begin_many(scene, items)
    again = begin_many(scene, items[::-1])[::-1]
    assert [each["upload_id"] for each in again] == [each["upload_id"] for each in first]
    assert uploads_of(scene) == len({each["upload_id"] for each in first}) == 20
    assert scene.alice.quota() == (0, sum(range(1, 21)))
    assert scene.site.broken(scene.cast) == []


def test_the_key_of_an_item_means_what_the_header_means(scene: Scene) -> None:
    single = done(scene.alice.begin("a.txt", 10, key="one"), 201)
    same, twice = begin_many(scene, [keyed(" one "), keyed("two")]), begin_many(scene, [keyed("two"), keyed("two")])
    assert same[0]["upload_id"] == single["upload_id"]
    assert {each["upload_id"] for each in twice} == {same[1]["upload_id"]}
    unnamed = begin_many(scene, [keyed(None), keyed(""), keyed("  ")])
    assert len({each["upload_id"] for each in unnamed}) == 3


def test_a_wrong_key_is_the_problem_of_its_item(scene: Scene) -> None:
    done(scene.alice.begin("a.txt", 10, key="one"), 201)
    items = [keyed("one", size_bytes=11), keyed(7), keyed("k" * 201), keyed(["two"]), keyed("k" * 200)]
    *refusals, good = begin_many(scene, items)
    assert [each["code"] for each in refusals] == ["conflict", "invalid", "invalid", "invalid"]
    assert [each["status"] for each in refusals] == [409, 422, 422, 422]
    assert {each["field"] for each in refusals[1:]} == {"idempotency_key"}
    assert good["state"] == "created"
    assert scene.alice.quota() == (0, 20)


def test_the_same_batch_many_times_at_once_opens_each_upload_once(scene: Scene) -> None:
    items = [keyed(f"file {number}") for number in range(10)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: begin_many(scene, items), range(4)))
    ids = [[each["upload_id"] for each in answer] for answer in answers]
    assert ids == [ids[0]] * 4
    assert uploads_of(scene) == 10
    assert scene.alice.quota() == (0, 100)
    assert scene.site.broken(scene.cast) == []


def test_a_batch_of_commits_answers_each_upload_by_itself_and_may_be_repeated(scene: Scene, text: bytes) -> None:
    arrived, other = (scene.alice.sent("a.txt", text) for _ in range(2))
    waits = done(scene.alice.begin("b.txt", 10), 201)
    bobs = scene.bob.sent("c.txt", text)
    wrong = {"upload_id": other["upload_id"], "etag": "0" * 32}
    items = [{"upload_id": arrived["upload_id"]}, {"upload_id": waits["upload_id"]}, {"upload_id": bobs["upload_id"]}]
    items += [wrong, {"upload_id": "no id"}, "no object", {"upload_id": str(uuid4())}]  # type: ignore[list-item]
    answers = done(scene.alice.call("POST", COMMITS, {"items": items}))["items"]
    assert (answers[0]["upload_id"], answers[0]["status"]) == (arrived["upload_id"], "processing")
    told = [(answer["status"], answer.get("code")) for answer in answers[1:]]
    assert told[:3] == [(409, "upload_missing"), (404, "not_found"), (422, "checksum_mismatch")]
    assert told[3:] == [(422, "invalid"), (422, "invalid"), (404, "not_found")]
    again = done(scene.alice.call("POST", COMMITS, {"items": items[:1]}))["items"]
    assert again[0]["asset_id"] == answers[0]["asset_id"]


def test_a_batch_of_commits_takes_from_one_to_a_hundred(scene: Scene) -> None:
    item = {"upload_id": str(uuid4())}
    for items in ([], [item] * 101, None, "text"):
        refused(scene.alice.call("POST", COMMITS, {"items": items}), 422, "invalid")
    refused(scene.vera.call("POST", COMMITS, {"items": [item]}), 403, "forbidden")
    refused(scene.mallory.call("POST", COMMITS, {"items": [item]}), 404, "not_found")
