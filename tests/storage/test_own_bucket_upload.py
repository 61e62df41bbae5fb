"""The main road on a bucket of the customer's own: from begin to purge, and who pays for it."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import pytest

from tests.support.api_client import done
from tests.support.client import Scene
from tests.support.engines import CUSTOMER, LEAST, LEAST_PLACE
from tests.support.own_buckets import client_of, connect_over_http, connect_own_bucket, long_inactive, see_it_work


def keys_in(scene: Scene, bucket: str | None) -> list[str]:
    """Every object of the customer's bucket."""
    listed = client_of(scene.site.settings, CUSTOMER).list_objects_v2(Bucket=bucket)
    return [entry["Key"] for entry in listed.get("Contents", [])]


@pytest.mark.parametrize("post", [True, False])
def test_a_file_goes_to_the_own_bucket_and_comes_back_from_there(scene: Scene, text: bytes, post: bool) -> None:
    profile = connect_own_bucket(scene.cast, seen=False, activate=False)
    see_it_work(scene.cast, profile.id, post=post)
    done(scene.alice.call("POST", f"storage-profiles/{profile.id}/activate"))
    sent = scene.bob.upload("note.txt", text)
    assert sent.begun["provider"] == "byos" and sent.begun["method"] == ("POST" if post else "PUT")
    assert sent.begun["upload_url"].startswith(scene.site.settings.s3_endpoint)
    scene.site.run_jobs()
    scene.bob.wait(sent.asset_id, "available")
    below = f"team/files/workspaces/{scene.cast.press.id}/assets/{sent.asset_id}/original/"
    assert [key[: len(below)] for key in keys_in(scene, profile.bucket)] == [below]
    assert scene.objects() == []  # nothing of it touched the managed bucket
    assert scene.vera.download(sent.asset_id).content == text


def test_files_in_an_own_bucket_do_not_count(scene: Scene, text: bytes) -> None:
    connect_own_bucket(scene.cast)
    begun = scene.bob.sent("note.txt", text)
    assert scene.bob.quota() == (0, 0)
    committed = done(scene.bob.commit(begun["upload_id"]))
    scene.site.run_jobs()
    scene.bob.wait(committed["asset_id"], "available")
    assert scene.bob.quota() == (0, 0) and scene.site.ledger(begun["upload_id"]) == []
    scene.site.sql("UPDATE assets SET charged_bytes = charged_bytes")  # the row exists, and holds nothing:
    assert scene.site.sql("SELECT charged_bytes FROM assets WHERE id = %s", UUID(committed["asset_id"])) == [(0,)]
    cancelled = scene.bob.sent("other.txt", text)
    assert scene.site.broken(scene.cast) == []  # while it is open, too
    assert scene.bob.call("DELETE", f"uploads/{cancelled['upload_id']}").status_code == 204
    assert scene.site.broken(scene.cast) == []


def test_files_stay_readable_after_another_profile_was_activated(scene: Scene, text: bytes) -> None:
    first = scene.bob.upload("first.txt", text)
    scene.site.run_jobs()
    connect_own_bucket(scene.cast)
    second = scene.bob.upload("second.txt", text + b"2")
    scene.site.run_jobs()
    (managed,) = [
        each for each in done(scene.alice.call("GET", "storage-profiles"))["items"] if each["mode"] == "managed_r2"
    ]
    done(scene.alice.call("POST", f"storage-profiles/{managed['id']}/activate"))
    third = scene.bob.upload("third.txt", text + b"3")
    scene.site.run_jobs()
    for sent in (first, second, third):
        scene.bob.wait(sent.asset_id, "available")
        assert scene.vera.download(sent.asset_id).content == sent.content
    assert [sent.begun["provider"] for sent in (first, second, third)] == ["managed", "byos", "managed"]
    assert scene.site.broken(scene.cast) == []


def test_a_purge_and_the_second_clean_up_reach_the_own_bucket(scene: Scene, text: bytes) -> None:
    profile = connect_own_bucket(scene.cast)
    sent = scene.bob.upload("note.txt", text)
    scene.site.run_jobs()
    assert scene.bob.call("DELETE", f"assets/{sent.asset_id}?permanent=true").status_code == 204
    scene.site.run_jobs()
    scene.site.sweep()
    scene.site.run_jobs()
    scene.site.expire_upload(sent.upload_id)
    scene.site.sweep()
    scene.site.run_jobs()
    assert keys_in(scene, profile.bucket) == []
    (managed,) = [
        each for each in done(scene.alice.call("GET", "storage-profiles"))["items"] if each["mode"] == "managed_r2"
    ]
    done(scene.alice.call("POST", f"storage-profiles/{managed['id']}/activate"))
    long_inactive(scene.cast, profile.id)
    assert scene.alice.call("DELETE", f"storage-profiles/{profile.id}").status_code == 204
    # The session is still readable, although its bucket is gone.
    assert scene.bob.upload_state(sent.upload_id)["state"] == "committed"


def test_another_program_connects_a_bucket(scene: Scene) -> None:
    made = connect_over_http(scene.alice, scene.site.settings)
    assert (made["mode"], made["active"], made["health"]) == ("byos_s3", False, "probing")


@pytest.mark.parametrize("encryption", ["sse_s3", "sse_kms"])
@pytest.mark.parametrize("post", [True, False])
def test_signed_requests_carry_the_encryption_of_the_profile(scene: Scene, encryption: str, post: bool) -> None:
    from portal.storage.models import Encryption

    key = "alias/files" if encryption == "sse_kms" else None
    profile = connect_own_bucket(scene.cast, activate=False, encryption=Encryption(encryption), kms_key_id=key)
    see_it_work(scene.cast, profile.id, post=post)
    done(scene.alice.call("POST", f"storage-profiles/{profile.id}/activate"))
    begun = done(scene.bob.begin("note.txt", 10), 201)
    signed = begun["fields"] if post else begun["headers"]
    assert signed["x-amz-server-side-encryption"] == ("AES256" if encryption == "sse_s3" else "aws:kms")
    assert signed.get("x-amz-server-side-encryption-aws-kms-key-id") == key
    if not post:
        assert "x-amz-server-side-encryption" in begun["upload_url"]  # among the signed headers


def test_everything_works_with_exactly_the_rights_of_the_policy(scene: Scene, text: bytes) -> None:
    """The key lists, reads and writes below its prefix; it can neither ask for the bucket's rules nor use forms."""
    bucket, prefix = LEAST_PLACE
    owner = client_of(scene.site.settings, CUSTOMER)
    with suppress(owner.exceptions.BucketAlreadyOwnedByYou, owner.exceptions.BucketAlreadyExists):
        owner.create_bucket(Bucket=bucket)
    place = {"bucket": bucket, "key_prefix": f"{prefix}/{scene.cast.press.id}"}
    profile = connect_own_bucket(scene.cast, identity=LEAST, seen=False, activate=False, **place)
    scene.site.run_jobs()
    shown = done(scene.alice.call("GET", f"storage-profiles/{profile.id}"))
    assert (shown["health"], shown["reason"]) == ("healthy", None)
    results = {step["name"]: step["result"] for step in shown["probe"]["steps"]}
    assert results["privileges"] == results["clean"] == "pass"
    assert shown["capabilities"]["post"] is False
    done(scene.alice.call("POST", f"storage-profiles/{profile.id}/activate"))
    sent = scene.bob.upload("note.txt", text)
    assert sent.begun["method"] == "PUT"
    scene.site.run_jobs()
    scene.bob.wait(sent.asset_id, "available")
    assert scene.vera.download(sent.asset_id).content == text
    missing = done(scene.bob.begin("never-sent.txt", 10), 201)
    assert scene.bob.commit(missing["upload_id"]).json()["code"] == "upload_missing"
    assert scene.bob.call("DELETE", f"assets/{sent.asset_id}?permanent=true").status_code == 204
    scene.site.run_jobs()
    scene.site.sweep()
    scene.site.run_jobs()
    assert [key for key in keys_in(scene, bucket) if f"{place['key_prefix']}/workspaces/" in key] == []
    assert scene.site.broken(scene.cast) == []
