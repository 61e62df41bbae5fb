"""The bucket changes while an upload is under way: the file ends up whole where it was sent to, or is refused with the
reason, and nothing is left where nobody looks.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from portal.storage.models import StorageProfile
from tests.support.api_client import done, refused
from tests.support.client import Scene
from tests.support.engines import CUSTOMER
from tests.support.own_buckets import client_of, connect_own_bucket, make_bucket
from tests.uploads.test_multipart import begun, film, pieces, send

__all__ = ["film"]  # a fixture


def connected(scene: Scene) -> StorageProfile:
    """A bucket of alice's that was really tested, so that it has its marker, and takes the new files."""
    profile = connect_own_bucket(scene.cast, seen=False, activate=False)
    scene.site.run_jobs()
    done(scene.alice.call("POST", f"storage-profiles/{profile.id}/activate"))
    return profile


def keys_in(scene: Scene, bucket: str | None) -> list[str]:
    listed = client_of(scene.site.settings, CUSTOMER).list_objects_v2(Bucket=bucket)
    return [each["Key"] for each in listed.get("Contents", []) if not each["Key"].endswith("owner.json")]


def empty_and_make_again(scene: Scene, bucket: str | None) -> None:
    """The bucket is deleted, and somebody creates one of the same name."""
    client = client_of(scene.site.settings, CUSTOMER)
    for each in client.list_objects_v2(Bucket=bucket).get("Contents", []):
        client.delete_object(Bucket=bucket, Key=each["Key"])
    client.delete_bucket(Bucket=bucket)
    client.create_bucket(Bucket=bucket)


@pytest.mark.parametrize("before_sending", [True, False])
def test_another_storage_becomes_active_and_the_file_stays_where_it_was_sent(
    scene: Scene, text: bytes, before_sending: bool
) -> None:
    first, second = connected(scene), connect_own_bucket(scene.cast, activate=False)
    activate = f"storage-profiles/{second.id}/activate"
    session = done(scene.bob.begin("note.txt", len(text)), 201)
    if before_sending:
        done(scene.alice.call("POST", activate))
    assert scene.bob.send(session, text).status_code in (200, 201, 204)
    if not before_sending:
        done(scene.alice.call("POST", activate))
    committed = done(scene.bob.commit(session["upload_id"]))
    scene.site.run_jobs()
    scene.bob.wait(committed["asset_id"], "available")
    assert scene.vera.download(committed["asset_id"]).content == text
    assert scene.site.sql("SELECT profile_id FROM assets WHERE id = %s", UUID(committed["asset_id"])) == [(first.id,)]
    original = f"team/files/workspaces/{scene.cast.press.id}/assets/{committed['asset_id']}/original/"
    assert [key[: len(original)] for key in keys_in(scene, first.bucket)] == [original]
    assert keys_in(scene, second.bucket) == [] and scene.objects() == []
    assert scene.site.broken(scene.cast) == []


def test_parts_go_on_to_the_bucket_where_the_first_one_lies(scene: Scene, film: bytes) -> None:
    first = connected(scene)
    upload = begun(scene.bob)
    send(scene.bob, upload, film, 1)
    second = connect_own_bucket(scene.cast)
    send(scene.bob, upload, film, *[number for number in pieces(film, upload["part_size"]) if number > 1])
    committed = done(scene.bob.commit(upload["upload_id"]))
    scene.site.run_jobs()
    assert scene.bob.wait(committed["asset_id"], "available")["size_bytes"] == len(film)
    assert len(keys_in(scene, first.bucket)) == 1 and keys_in(scene, second.bucket) == []
    assert scene.site.broken(scene.cast) == []


@pytest.mark.parametrize("change", [{"bucket": True}, {"key_prefix": "elsewhere"}, None])
def test_a_storage_with_an_open_upload_is_neither_pointed_elsewhere_nor_disconnected(
    scene: Scene, text: bytes, change: dict[str, Any] | None
) -> None:
    first = connected(scene)
    session = scene.bob.sent("note.txt", text)
    connect_own_bucket(scene.cast)
    if change is None:
        answer = scene.alice.call("DELETE", f"storage-profiles/{first.id}")
    else:
        new = {"bucket": make_bucket(scene.site.settings)} if "bucket" in change else change
        answer = scene.alice.call("PATCH", f"storage-profiles/{first.id}", new)
    assert answer.status_code == 409 and answer.json()["detail"], answer.text
    committed = done(scene.bob.commit(session["upload_id"]))
    scene.site.run_jobs()
    scene.bob.wait(committed["asset_id"], "available")
    assert scene.vera.download(committed["asset_id"]).content == text


def test_a_bucket_that_was_made_again_is_no_reason_to_say_that_the_file_is_missing(scene: Scene, text: bytes) -> None:
    """Whose bucket it is now nobody knows: the upload stays open, and is refused with that reason."""
    first = connected(scene)
    session = scene.bob.sent("note.txt", text)
    empty_and_make_again(scene, first.bucket)
    problem = refused(scene.bob.commit(session["upload_id"]), 503, "storage_unavailable")
    assert problem["detail"]
    state = "SELECT state FROM uploads WHERE id = %s"
    assert scene.site.sql(state, UUID(session["upload_id"])) == [("created",)]
    assert done(scene.alice.call("GET", f"storage-profiles/{first.id}"))["health"] == "unhealthy"
    refused(scene.bob.begin("next.txt", 10), 503, "storage_unavailable")
    assert scene.site.broken(scene.cast) == []


def test_a_bucket_that_is_made_again_between_commit_and_check_fails_no_file(scene: Scene, text: bytes) -> None:
    first = connected(scene)
    sent = scene.bob.upload("note.txt", text)
    empty_and_make_again(scene, first.bucket)
    scene.site.run_jobs()
    assert scene.bob.asset(sent.asset_id)["status"] == "processing", "it waits for an owner to look at the bucket"
    assert done(scene.alice.call("GET", f"storage-profiles/{first.id}"))["health"] == "unhealthy"
