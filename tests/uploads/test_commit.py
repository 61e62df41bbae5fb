"""From a promise to a fact: begin, bytes, commit, verdict; by form and by PUT, as a foreign client does it."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from portal.objectstore import keys
from tests.support import pictures
from tests.support.api_client import done, refused
from tests.support.client import Scene


def test_an_uploaded_file_becomes_available_with_the_bytes_that_were_sent(either: Scene) -> None:
    content = pictures.exif_orientation(6)
    begun = either.alice.sent("sea.jpg", content)
    assert begun["method"] == ("POST" if "forms" in either.site.settings.s3_bucket else "PUT")
    assert (begun["state"], begun["provider"]) == ("created", "managed")
    assert either.alice.quota() == (0, len(content))

    committed = done(either.alice.commit(begun["upload_id"]))
    assert committed["status"] == "processing"
    assert either.alice.download(committed["asset_id"]).status_code == 409
    either.site.run_jobs()

    asset = either.alice.asset(committed["asset_id"])
    assert (asset["status"], asset["previews"], asset["mime_type"]) == ("available", "ready", "image/jpeg")
    assert asset["scan"]["verdict"] == "clean"
    assert asset["sha256"] == hashlib.sha256(content).hexdigest()
    assert either.vera.download(committed["asset_id"]).content == content
    assert either.alice.upload_state(begun["upload_id"])["state"] == "committed"


def test_only_the_original_and_its_previews_stay_in_the_bucket(scene: Scene) -> None:
    sent = scene.alice.upload("sea.jpg", pictures.exif_orientation(1))
    scene.site.run_jobs()
    variants = scene.alice.asset(sent.asset_id)["variants"]
    own = keys.asset_prefix(scene.cast.press.id, sent.asset_id)  # type: ignore[arg-type]
    assert all(key.startswith(own) for key in scene.objects())
    assert len(scene.objects()) == 1 + len(variants)
    assert scene.alice.quota() == (len(sent.content), 0)
    assert scene.site.ledger(sent.upload_id) == ["reserve", "settle"]
    assert scene.site.broken(scene.cast) == []


def test_the_store_enforces_a_declared_digest(either: Scene, text: bytes) -> None:
    other = text[::-1]
    declared = hashlib.sha256(text).hexdigest().upper()
    begun = done(either.alice.begin("a.txt", len(text), sha256=declared), 201)
    assert either.alice.send(begun, other).status_code == 400
    refused(either.alice.commit(begun["upload_id"]), 409, "upload_missing")
    assert either.alice.send(begun, text).status_code in (200, 201, 204)
    committed = done(either.alice.commit(begun["upload_id"]))
    either.site.run_jobs()
    assert either.alice.asset(committed["asset_id"])["status"] == "available"


@pytest.mark.parametrize("twist", ["size", "type"])
def test_the_store_refuses_another_size_or_type_than_was_signed(either: Scene, text: bytes, twist: str) -> None:
    begun = done(either.alice.begin("a.txt", len(text)), 201)
    content = text + b"!" if twist == "size" else text
    if twist == "type":
        place = begun["fields"] or begun["headers"]
        place["Content-Type"] = "text/html"
    assert either.alice.send(begun, content).status_code in (400, 403)
    refused(either.alice.commit(begun["upload_id"]), 409, "upload_missing")


def test_bytes_that_have_not_arrived_leave_the_upload_open(scene: Scene, text: bytes) -> None:
    begun = done(scene.alice.begin("a.txt", len(text)), 201)
    missing = refused(scene.alice.commit(begun["upload_id"]), 409, "upload_missing")
    assert missing["expires_at"]
    again = scene.alice.upload_state(begun["upload_id"])
    assert (again["state"], again["reason"]) == ("created", None)
    assert again["upload_url"] and again["fields"]
    scene.alice.send(again, text)
    committed = done(scene.alice.commit(begun["upload_id"]))
    scene.site.run_jobs()
    assert scene.alice.asset(committed["asset_id"])["status"] == "available"
    assert scene.alice.quota() == (len(text), 0)


def test_a_commit_may_be_repeated(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    assert done(scene.alice.commit(sent.upload_id))["asset_id"] == sent.asset_id
    scene.site.run_jobs()
    again = done(scene.alice.commit(sent.upload_id))
    assert (again["asset_id"], again["status"]) == (sent.asset_id, "available")
    assert scene.site.ledger(sent.upload_id) == ["reserve", "settle"]


def test_twenty_concurrent_commits_give_one_asset_and_one_charge(scene: Scene, text: bytes) -> None:
    begun = scene.alice.sent("a.txt", text)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: done(scene.alice.commit(begun["upload_id"])), range(20)))
    assert len({answer["asset_id"] for answer in answers}) == 1
    scene.site.run_jobs()
    assert len(done(scene.alice.call("GET", "assets"))["items"]) == 1
    assert scene.site.ledger(begun["upload_id"]) == ["reserve", "settle"]
    assert scene.alice.quota() == (len(text), 0)
    assert scene.site.broken(scene.cast) == []


def test_another_digest_or_etag_at_commit_ends_the_upload(scene: Scene, text: bytes) -> None:
    for claim in ({"sha256": "0" * 64}, {"etag": "0" * 32}):
        begun = scene.alice.sent("a.txt", text, digest=True)
        refused(scene.alice.commit(begun["upload_id"], **claim), 422, "checksum_mismatch")
        scene.site.run_jobs()
        state = scene.alice.upload_state(begun["upload_id"])
        assert (state["state"], state["reason"]["code"]) == ("failed", "checksum_mismatch")
        refused(scene.alice.commit(begun["upload_id"]), 422, "checksum_mismatch")
    assert scene.objects() == []
    assert scene.alice.quota() == (0, 0)


def test_a_digest_at_commit_is_checked_against_the_bytes(scene: Scene, text: bytes) -> None:
    begun = scene.alice.sent("a.txt", text)
    committed = done(scene.alice.commit(begun["upload_id"], sha256="0" * 64))
    scene.site.run_jobs()
    assert scene.alice.asset(committed["asset_id"])["reason"]["code"] == "checksum_mismatch"
    begun = scene.alice.sent("a.txt", text)
    committed = done(scene.alice.commit(begun["upload_id"], sha256=hashlib.sha256(text).hexdigest().upper()))
    scene.site.run_jobs()
    assert scene.alice.asset(committed["asset_id"])["status"] == "available"


def test_an_upload_belongs_to_the_person_who_began_it(scene: Scene, text: bytes) -> None:
    begun = scene.alice.sent("a.txt", text)
    here, nowhere = f"uploads/{begun['upload_id']}", f"uploads/{uuid4()}"
    for method, path in (("GET", ""), ("POST", "/commit"), ("DELETE", "")):
        body: dict[str, str] | None = {} if method == "POST" else None
        for client, status in ((scene.bob, 404), (scene.mallory, 404), (scene.vera, 403)):
            theirs, missing = (client.call(method, place + path, body) for place in (here, nowhere))
            assert theirs.status_code == missing.status_code == status
            assert theirs.json() == missing.json()
    assert scene.alice.upload_state(begun["upload_id"])["state"] == "created"
