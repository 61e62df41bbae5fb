"""Uploads in parts: which files go so, what is signed, how they are resumed, and that nothing is left of them."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from portal.errors import Invalid
from portal.lifecycle import objects
from portal.objectstore import keys
from portal.storage.service import UploadMethods
from portal.uploads import part_plan
from portal.uploads.part_plan import MB, Plan
from tests.support import specimens
from tests.support.api_client import ApiClient, done, refused
from tests.support.client import Scene

NAME = "sea.mp4"
SIZE = 100 * MB + 1234


@pytest.fixture(scope="session")
def film() -> bytes:
    """A video of a little more than 100 MB: a small one with a long, empty box behind it."""
    small = specimens.iso_media(b"isom", b"isom", b"avc1")
    rest = SIZE - len(small)
    return small + rest.to_bytes(4) + b"free" + bytes(rest - 8)


def begin(client: ApiClient, size: int = SIZE, name: str = NAME, **spec: Any) -> httpx.Response:
    return client.begin(name, size, resumable_protocol="s3_multipart", **spec)


def begun(client: ApiClient, size: int = SIZE, **spec: Any) -> dict[str, Any]:
    found = done(begin(client, size, **spec), 201)
    assert found["method"] == "s3_multipart"
    return found


def ask(client: ApiClient, upload_id: str, *numbers: Any) -> httpx.Response:
    return client.call("POST", f"uploads/{upload_id}/parts", {"part_numbers": list(numbers)})


def pieces(content: bytes, size: int) -> dict[int, bytes]:
    return {at // size + 1: content[at : at + size] for at in range(0, len(content), size)}


def send(client: ApiClient, upload: dict[str, Any], content: bytes, *numbers: int) -> list[httpx.Response]:
    """Send these parts of a file, or all."""
    of = pieces(content, upload["part_size"])
    signed = done(ask(client, upload["upload_id"], *(numbers or of)))["parts"]
    return [client.store.put(each["url"], content=of[each["part_number"]], headers=each["headers"]) for each in signed]


def sent(client: ApiClient, content: bytes, **spec: Any) -> dict[str, Any]:
    upload = begun(client, len(content), **spec)
    assert {answer.status_code for answer in send(client, upload, content)} == {200}
    return upload


def unfinished(scene: Scene) -> list[str]:
    """Every upload in parts that the store keeps of the workspace."""
    place = {"Bucket": scene.site.settings.s3_bucket, "Prefix": keys.workspace_prefix(scene.cast.press.id)}
    return [each["UploadId"] for each in scene.site.root.list_multipart_uploads(**place).get("Uploads", [])]


def multipart_id(scene: Scene, upload: dict[str, Any]) -> str:
    statement = "SELECT multipart_id FROM uploads WHERE id = %s"
    return str(scene.site.sql(statement, UUID(upload["upload_id"]))[0][0])


# --- which way


@pytest.mark.parametrize(
    ("size", "ways", "offered", "method"),
    [
        (100 * MB - 1, UploadMethods("POST", True), True, "POST"),
        (100 * MB, UploadMethods("POST", True), True, "s3_multipart"),
        (100 * MB, UploadMethods("PUT", True), True, "s3_multipart"),
        (100 * MB, UploadMethods("POST", True), False, "POST"),
        (5 * 1024 * MB, UploadMethods("PUT", True), False, "PUT"),
        (300 * MB, UploadMethods("PUT", False), True, "PUT"),
        (1, UploadMethods(None, False), True, "PUT"),
        (6 * 1024 * MB, UploadMethods("POST", True), True, "s3_multipart"),
    ],
)
def test_size_store_and_client_decide_how_a_file_is_sent(
    size: int, ways: UploadMethods, offered: bool, method: str
) -> None:
    assert part_plan.method_for(size, ways, offered=offered) == method


@pytest.mark.parametrize(
    ("ways", "offered"), [(UploadMethods("POST", False), True), (UploadMethods("POST", True), False)]
)
def test_a_file_too_large_for_one_request_is_refused_with_the_reason(ways: UploadMethods, offered: bool) -> None:
    with pytest.raises(Invalid, match="This client" if not offered else "The storage") as refusal:
        part_plan.method_for(5 * 1024 * MB + 1, ways, offered=offered)
    assert (refusal.value.code, refusal.value.facts["limit_bytes"]) == ("file_too_large", 5 * 1024 * MB)


@pytest.mark.parametrize(
    "size", [1, 16 * MB, 16 * MB + 1, SIZE, 160_000 * MB, 160_000 * MB + 1, part_plan.LARGEST_FILE]
)
def test_a_file_of_any_size_goes_in_at_most_ten_thousand_equal_parts(size: int) -> None:
    plan = Plan(size)
    whole = part_plan.part_size(size)
    assert 5 * MB <= whole <= 100 * MB
    assert 1 <= plan.count <= 10_000
    assert whole * (plan.count - 1) + plan.size_of(plan.count) == size
    assert 0 < plan.size_of(plan.count) <= whole


def test_a_file_larger_than_all_parts_together_is_refused() -> None:
    with pytest.raises(Invalid, match="at most 10000 parts of 100 MB") as refusal:
        part_plan.check_size(part_plan.LARGEST_FILE + 1, offered=True)
    assert refusal.value.facts["limit_bytes"] == part_plan.LARGEST_FILE


def test_only_large_files_of_clients_that_support_it_are_sent_in_parts(either: Scene) -> None:
    single = "POST" if "forms" in either.site.settings.s3_bucket else "PUT"
    assert done(begin(either.alice, 99 * MB), 201)["method"] == single
    assert done(either.alice.begin(NAME, SIZE), 201)["method"] == single
    upload = begun(either.alice)
    assert (upload["part_size"], upload["upload_url"], upload["fields"]) == (16 * MB, None, {})
    batch = {"file_name": NAME, "mime_type": "video/mp4", "size_bytes": SIZE, "resumable_protocol": "s3_multipart"}
    items = done(either.alice.call("POST", "uploads/batch", {"items": [batch, batch | {"size_bytes": 5}]}))["items"]
    assert [item["method"] for item in items] == ["s3_multipart", single]
    assert unfinished(either) == []


# --- the road


def test_a_large_file_becomes_available_from_its_parts(either: Scene, film: bytes) -> None:
    upload = begun(either.alice, sha256=hashlib.sha256(film).hexdigest())
    assert either.alice.quota() == (0, SIZE)
    assert either.alice.upload_state(upload["upload_id"])["state"] == "created"
    assert {answer.status_code for answer in send(either.alice, upload, film)} == {200}
    state = either.alice.upload_state(upload["upload_id"])
    assert state["state"] == "uploading"
    assert [part["part_number"] for part in state["parts"]] == [1, 2, 3, 4, 5, 6, 7]
    assert sum(part["size_bytes"] for part in state["parts"]) == SIZE
    committed = done(either.alice.commit(upload["upload_id"]))
    either.site.run_jobs()
    asset = either.alice.asset(committed["asset_id"])
    assert (asset["status"], asset["mime_type"], asset["size_bytes"]) == ("available", "video/mp4", SIZE)
    assert asset["sha256"] == hashlib.sha256(film).hexdigest()
    assert either.alice.download(committed["asset_id"]).content == film
    assert either.alice.quota() == (SIZE, 0)
    assert either.site.ledger(upload["upload_id"]) == ["reserve", "settle"]
    assert unfinished(either) == []
    assert either.site.broken(either.cast) == []


def test_an_interrupted_upload_continues_with_the_missing_parts(scene: Scene, film: bytes) -> None:
    upload = begun(scene.alice)
    send(scene.alice, upload, film, 1, 3)
    send(scene.alice, upload, film[::-1], 2)
    mine = done(scene.alice.call("GET", "uploads"))["items"]
    assert [(each["upload_id"], each["part_size"], each["state"]) for each in mine] == [
        (upload["upload_id"], 16 * MB, "uploading")
    ]
    assert done(scene.bob.call("GET", "uploads"))["items"] == []
    send(scene.alice, upload, film, 2)  # sent again: the newest counts
    there = [part["part_number"] for part in scene.alice.upload_state(upload["upload_id"])["parts"]]
    assert there == [1, 2, 3]
    problem = refused(scene.alice.commit(upload["upload_id"]), 409, "upload_missing")
    assert problem["missing_parts"] == [4, 5, 6, 7]
    assert scene.alice.upload_state(upload["upload_id"])["state"] == "uploading"
    send(scene.alice, upload, film, 4, 5, 6, 7)
    committed = done(scene.alice.commit(upload["upload_id"]))
    scene.site.run_jobs()
    assert scene.alice.download(committed["asset_id"]).content == film
    assert done(scene.alice.call("GET", "uploads"))["items"] == []


LIFE = "SELECT extract(epoch FROM expires_at - now()) / 86400 FROM uploads WHERE id = %s"


def test_an_upload_in_parts_expires_seven_days_after_the_last_part(scene: Scene, film: bytes) -> None:
    upload = begun(scene.alice)
    send(scene.alice, upload, film, 1)
    done(ask(scene.alice, upload["upload_id"], 2))
    assert float(scene.site.sql(LIFE, UUID(upload["upload_id"]))[0][0]) == pytest.approx(7, abs=0.01)


def test_without_a_part_it_lives_an_hour_and_gives_its_space_back(scene: Scene) -> None:
    upload = begun(scene.alice)
    done(ask(scene.alice, upload["upload_id"], 1))  # a signature is no part
    assert float(scene.site.sql(LIFE, UUID(upload["upload_id"]))[0][0]) == pytest.approx(1 / 24, abs=0.01)
    later = "created_at = created_at - interval '2 hours', expires_at = expires_at - interval '2 hours'"
    scene.site.sql(f"UPDATE uploads SET {later} WHERE id = %s", UUID(upload["upload_id"]))
    scene.site.sql("UPDATE tasks SET due_at = now() WHERE target_id = %s", UUID(upload["upload_id"]))
    assert scene.site.sweep()["expire"] == 1
    assert scene.alice.quota() == (0, 0)
    assert done(scene.alice.call("GET", f"uploads/{upload['upload_id']}"))["state"] == "expired"


def test_signatures_alone_prolong_nothing_past_a_day(scene: Scene) -> None:
    upload = begun(scene.alice)
    past = "created_at = created_at - interval '23.5 hours', expires_at = expires_at - interval '45 minutes'"
    scene.site.sql(f"UPDATE uploads SET {past} WHERE id = %s", UUID(upload["upload_id"]))
    done(ask(scene.alice, upload["upload_id"], 1))
    assert float(scene.site.sql(LIFE, UUID(upload["upload_id"]))[0][0]) == pytest.approx(0.5 / 24, abs=0.001)


def test_parts_that_were_signed_all_at_once_keep_it_alive(scene: Scene, film: bytes) -> None:
    upload = begun(scene.alice)
    assert {answer.status_code for answer in send(scene.alice, upload, film)} == {200}
    later = "created_at = created_at - interval '2 hours', expires_at = expires_at - interval '2 hours'"
    scene.site.sql(f"UPDATE uploads SET {later} WHERE id = %s", UUID(upload["upload_id"]))
    scene.site.sql("UPDATE tasks SET due_at = now() WHERE target_id = %s", UUID(upload["upload_id"]))
    scene.site.sweep()
    assert float(scene.site.sql(LIFE, UUID(upload["upload_id"]))[0][0]) == pytest.approx(7, abs=0.1)
    assert done(scene.alice.commit(upload["upload_id"]))["status"] == "processing"


# --- what is refused


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"part_numbers": []},
        {"part_numbers": [0]},
        {"part_numbers": [-1]},
        {"part_numbers": [8]},
        {"part_numbers": [10_001]},
        {"part_numbers": ["1"]},
        {"part_numbers": [1.5]},
        {"part_numbers": [None]},
        {"part_numbers": 1},
        {"part_numbers": [1] * 101},
        {"part_numbers": [1], "size": 1},
        [1],
    ],
)
def test_part_numbers_outside_of_the_file_are_refused(scene: Scene, body: Any) -> None:
    upload = begun(scene.alice)
    problem = refused(scene.alice.call("POST", f"uploads/{upload['upload_id']}/parts", body), 422, "invalid")
    assert problem["field"]
    assert unfinished(scene) == []


def test_parts_are_signed_only_for_the_person_who_began_the_upload(scene: Scene) -> None:
    upload = begun(scene.alice)
    for client, status in ((scene.bob, 404), (scene.mallory, 404), (scene.vera, 403)):
        theirs, missing = (ask(client, each, 1) for each in (upload["upload_id"], str(uuid4())))
        assert theirs.status_code == missing.status_code == status
        assert theirs.json() == missing.json()
    assert done(scene.alice.call("GET", "uploads"))["items"]
    refused(scene.vera.call("GET", "uploads"), 403, "forbidden")
    refused(scene.mallory.call("GET", "uploads"), 404, "not_found")
    assert unfinished(scene) == []


def test_an_upload_in_one_request_has_no_parts(scene: Scene, text: bytes) -> None:
    single = done(scene.alice.begin("a.txt", len(text)), 201)
    assert single["part_size"] is None
    refused(ask(scene.alice, single["upload_id"], 1), 409, "conflict")


def test_the_store_refuses_a_part_of_another_length(either: Scene, film: bytes) -> None:
    upload = begun(either.alice)
    signed = done(ask(either.alice, upload["upload_id"], 1))["parts"][0]
    for content in (film[: 16 * MB - 1], film[: 16 * MB + 1]):
        assert either.alice.store.put(signed["url"], content=content).status_code in (400, 403)
    assert either.alice.upload_state(upload["upload_id"])["parts"] == []


def test_a_part_of_another_length_counts_as_missing(scene: Scene, film: bytes) -> None:
    upload = begun(scene.alice)
    send(scene.alice, upload, film, 1, 7)
    place = {"Bucket": scene.site.settings.s3_bucket, "Key": scene.staging_key(upload, NAME)}
    which = {"UploadId": multipart_id(scene, upload)}
    for number, size in ((2, 5 * MB), (7, 5 * MB), (8, 1)):
        scene.site.root.upload_part(**place, **which, PartNumber=number, Body=bytes(size))
    there = [part["part_number"] for part in scene.alice.upload_state(upload["upload_id"])["parts"]]
    assert there == [1, 7]
    problem = refused(scene.alice.commit(upload["upload_id"]), 409, "upload_missing")
    assert problem["missing_parts"] == [2, 3, 4, 5, 6]


def test_nothing_is_signed_for_an_ended_upload(scene: Scene) -> None:
    cancelled, expired = begun(scene.alice), begun(scene.alice)
    scene.alice.call("DELETE", f"uploads/{cancelled['upload_id']}")
    refused(ask(scene.alice, cancelled["upload_id"], 1), 409, "conflict")
    scene.site.expire_upload(expired["upload_id"])
    refused(ask(scene.alice, expired["upload_id"], 1), 409, "upload_expired")


def test_a_blocked_uploader_gets_no_more_parts(scene: Scene) -> None:
    upload = begun(scene.alice)
    block = (
        "UPDATE tenant_memberships SET uploads_blocked_at = now(), uploads_blocked_reason = 'a virus' "
        "WHERE user_id = %s AND tenant_id = %s"
    )
    scene.site.sql(block, scene.cast.alice.id, scene.cast.acme.id)
    assert "a virus" in refused(ask(scene.alice, upload["upload_id"], 1), 403, "forbidden")["detail"]
    assert unfinished(scene) == []


# --- races and deaths


def test_twenty_concurrent_commits_and_late_parts_give_one_asset(scene: Scene, film: bytes) -> None:
    upload = sent(scene.alice, film)
    late = done(ask(scene.alice, upload["upload_id"], 1))["parts"][0]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: done(scene.alice.commit(upload["upload_id"])), range(20)))
    assert len({answer["asset_id"] for answer in answers}) == 1
    refused(ask(scene.alice, upload["upload_id"], 1), 409, "conflict")
    scene.alice.store.put(late["url"], content=bytes(16 * MB))
    scene.site.run_jobs()
    scene.alice.store.put(late["url"], content=bytes(16 * MB))
    assert scene.alice.download(answers[0]["asset_id"]).content == film
    assert scene.site.ledger(upload["upload_id"]) == ["reserve", "settle"]
    assert done(scene.alice.commit(upload["upload_id"]))["asset_id"] == answers[0]["asset_id"]
    scene.site.expire_upload(upload["upload_id"])
    scene.site.sweep()
    assert unfinished(scene) == []
    assert scene.site.broken(scene.cast) == []


def test_first_parts_signed_at_once_belong_to_one_upload(scene: Scene) -> None:
    upload = begun(scene.alice)
    with ThreadPoolExecutor(7) as pool:
        answers = list(pool.map(lambda number: done(ask(scene.alice, upload["upload_id"], number)), range(1, 8)))
    the_one = multipart_id(scene, upload)
    assert all(the_one in answer["parts"][0]["url"] for answer in answers)
    assert unfinished(scene) == [the_one]


def test_a_commit_that_died_after_completing_the_parts_can_be_repeated(scene: Scene, film: bytes) -> None:
    upload = sent(scene.alice, film)
    place = {"Bucket": scene.site.settings.s3_bucket, "Key": scene.staging_key(upload, NAME)}
    there = scene.alice.upload_state(upload["upload_id"])["parts"]
    listed = [{"PartNumber": part["part_number"], "ETag": part["etag"]} for part in there]
    which = {"UploadId": multipart_id(scene, upload), "MultipartUpload": {"Parts": listed}}
    scene.site.root.complete_multipart_upload(**place, **which)
    refused(ask(scene.alice, upload["upload_id"], 1), 409, "conflict")
    committed = done(scene.alice.commit(upload["upload_id"]))
    scene.site.run_jobs()
    assert scene.alice.download(committed["asset_id"]).content == film
    assert scene.objects() and unfinished(scene) == []


def test_the_last_copy_of_a_part_counts_however_fast_it_came(scene: Scene, film: bytes) -> None:
    """The store tells the moments of parts in whole seconds, and in no order of its own."""
    upload = begun(scene.alice, len(film))
    for _ in range(2):
        send(scene.alice, upload, film[::-1])
        send(scene.alice, upload, film)
    while (answer := scene.alice.commit(upload["upload_id"])).status_code == 409:
        missing = refused(answer, 409, "upload_missing")["missing_parts"]
        time.sleep(1.1)  # the next second: now it can be told
        send(scene.alice, upload, film, *missing)
    scene.site.run_jobs()
    assert scene.alice.asset(done(answer)["asset_id"])["sha256"] == hashlib.sha256(film).hexdigest()


def test_parts_that_a_lifecycle_rule_removed_are_sent_again(scene: Scene, film: bytes) -> None:
    upload = begun(scene.alice)
    send(scene.alice, upload, film, 1, 2)
    before = multipart_id(scene, upload)
    place = {"Bucket": scene.site.settings.s3_bucket, "Key": scene.staging_key(upload, NAME)}
    scene.site.root.abort_multipart_upload(**place, UploadId=before)
    assert scene.alice.upload_state(upload["upload_id"])["parts"] == []
    assert len(refused(scene.alice.commit(upload["upload_id"]), 409, "upload_missing")["missing_parts"]) == 7
    assert send(scene.alice, upload, film, 7)[0].status_code == 200
    assert multipart_id(scene, upload) != before
    assert unfinished(scene) == [multipart_id(scene, upload)]


def test_the_same_key_gives_the_same_upload_with_its_parts(scene: Scene, film: bytes) -> None:
    upload = begun(scene.alice, key="one")
    send(scene.alice, upload, film, 1)
    again = begun(scene.alice, key="one")
    assert again["upload_id"] == upload["upload_id"]
    refused(scene.alice.begin(NAME, SIZE, key="one"), 409, "conflict")


# --- nothing is left


def cancelled(scene: Scene, upload: dict[str, Any]) -> None:
    assert scene.alice.call("DELETE", f"uploads/{upload['upload_id']}").status_code == 204


def expired(scene: Scene, upload: dict[str, Any]) -> None:
    past = "expires_at = now() - interval '1 minute', created_at = created_at - interval '8 days'"
    scene.site.sql(f"UPDATE uploads SET {past} WHERE id = %s", UUID(upload["upload_id"]))
    scene.site.sql("UPDATE tasks SET due_at = now() WHERE target_id = %s", UUID(upload["upload_id"]))
    assert scene.site.sweep()["expire"] == 1


@pytest.mark.parametrize("end", [cancelled, expired])
def test_the_parts_of_an_ended_upload_are_removed_even_late_ones(scene: Scene, film: bytes, end: Any) -> None:
    upload = begun(scene.alice)
    send(scene.alice, upload, film, 1)
    late = done(ask(scene.alice, upload["upload_id"], 2))["parts"][0]
    end(scene, upload)
    assert scene.alice.quota() == (0, 0)
    scene.site.run_jobs()
    assert (unfinished(scene), scene.objects()) == ([], [])
    scene.alice.store.put(late["url"], content=film[16 * MB : 32 * MB])
    scene.site.expire_upload(upload["upload_id"])
    assert scene.site.sweep()["clear_staging"]
    scene.site.run_jobs()
    assert (unfinished(scene), scene.objects()) == ([], [])
    assert scene.site.ledger(upload["upload_id"]) == ["reserve", "release"]


def test_a_multipart_upload_created_by_a_killed_process_is_removed(scene: Scene) -> None:
    upload = begun(scene.alice)
    place = {"Bucket": scene.site.settings.s3_bucket, "Key": scene.staging_key(upload, NAME)}
    scene.site.root.create_multipart_upload(**place)
    assert len(unfinished(scene)) == 1
    cancelled(scene, upload)
    scene.site.run_jobs()
    assert unfinished(scene) == []


def test_the_doctor_finds_parts_that_no_upload_refers_to(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "YOUNG", timedelta(seconds=-60))
    upload = begun(scene.alice)
    done(ask(scene.alice, upload["upload_id"], 1))
    assert scene.site.broken(scene.cast) == []  # it is open
    nobodys = keys.staging(scene.cast.press.id, uuid4(), NAME)
    scene.site.root.create_multipart_upload(Bucket=scene.site.settings.s3_bucket, Key=nobodys)
    assert scene.site.broken(scene.cast) == [f"Parts for {nobodys} were left behind by an upload that has ended."]
