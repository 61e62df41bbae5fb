"""Parts in a bucket of the customer's own: what its test found decides, its rights and its faults are borne."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import Any
from uuid import UUID

import httpx
import pytest

from portal.storage.models import Encryption, StorageProfile
from tests.support.api_client import done, refused
from tests.support.client import Scene, Site
from tests.support.engines import CUSTOMER
from tests.support.own_buckets import client_of, connect_own_bucket, long_inactive, see_it_work
from tests.support.stores.unruly import Unruly

MB = 1024**2
SIZE = 100 * MB
PART = bytes(16 * MB)


@pytest.fixture(scope="module")
def site(own_bucket_site: Site) -> Site:
    """Where customers' buckets may be at a store that refuses."""
    return own_bucket_site


@pytest.fixture
def own(scene: Scene, customers_store: Unruly) -> StorageProfile:
    """A bucket of alice's that takes the new files, as if its test had passed."""
    return connect_own_bucket(scene.cast, endpoint=customers_store.url)


def begin(scene: Scene) -> dict[str, Any]:
    return done(scene.bob.begin("sea.mp4", SIZE, resumable_protocol="s3_multipart"), 201)


def ask(scene: Scene, upload: dict[str, Any], *numbers: int) -> httpx.Response:
    return scene.bob.call("POST", f"uploads/{upload['upload_id']}/parts", {"part_numbers": list(numbers)})


def send_first(scene: Scene, upload: dict[str, Any]) -> None:
    url = done(ask(scene, upload, 1))["parts"][0]["url"]
    assert scene.bob.store.put(url, content=PART).status_code == 200


def unfinished(scene: Scene, profile: StorageProfile) -> list[str]:
    listed = client_of(scene.site.settings, CUSTOMER).list_multipart_uploads(Bucket=profile.bucket)
    return [each["Key"] for each in listed.get("Uploads", [])]


def health(scene: Scene, profile: StorageProfile) -> str:
    return str(done(scene.alice.call("GET", f"storage-profiles/{profile.id}"))["health"])


def cancel(scene: Scene, upload: dict[str, Any]) -> None:
    assert scene.bob.call("DELETE", f"uploads/{upload['upload_id']}").status_code == 204
    scene.site.run_jobs()


def abortions(method: str, path: str, _headers: Message) -> bool:
    """What gives up an upload in parts."""
    return method == "DELETE" and "uploadId=" in path


def old_key(_method: str, path: str, headers: Message) -> bool:
    """Whatever is signed with the customer's key."""
    return CUSTOMER.access_key_id in path + (headers.get("Authorization") or "")


def test_parts_are_stored_in_the_own_bucket_and_none_is_left(scene: Scene, own: StorageProfile) -> None:
    upload = begin(scene)
    assert (upload["method"], upload["provider"]) == ("s3_multipart", "byos")
    send_first(scene, upload)
    key = f"team/files/workspaces/{scene.cast.press.id}/uploads/{upload['upload_id']}/sea.mp4"
    assert unfinished(scene, own) == [key]
    cancel(scene, upload)
    assert unfinished(scene, own) == []


@pytest.mark.parametrize("post", [True, False])
def test_without_the_capability_multipart_a_large_file_is_sent_in_one_request(
    scene: Scene, customers_store: Unruly, post: bool
) -> None:
    profile = connect_own_bucket(scene.cast, endpoint=customers_store.url)
    see_it_work(scene.cast, profile.id, post=post, multipart=False)
    assert begin(scene)["method"] == ("POST" if post else "PUT")


def test_a_store_that_refuses_to_abort_parts_fails_nothing_else(
    scene: Scene, own: StorageProfile, customers_store: Unruly
) -> None:
    upload = begin(scene)
    send_first(scene, upload)
    with customers_store.failing(403, abortions):
        cancel(scene, upload)
        scene.site.expire_upload(upload["upload_id"])
        scene.site.sweep()
        scene.site.run_jobs()
    cleared = scene.site.sql("SELECT cleared_at FROM uploads WHERE id = %s", UUID(upload["upload_id"]))
    assert cleared[0][0] is not None
    assert health(scene, own) == "healthy"
    assert len(unfinished(scene, own)) == 1  # until a rule of the bucket ends it, as the page of its rights says


def test_aborting_parts_is_retried_while_the_store_is_unavailable(
    scene: Scene, own: StorageProfile, customers_store: Unruly
) -> None:
    upload = begin(scene)
    send_first(scene, upload)
    with customers_store.failing(503, abortions):
        cancel(scene, upload)
        assert len(unfinished(scene, own)) == 1
    scene.site.expire_upload(upload["upload_id"])
    scene.site.sweep()
    scene.site.run_jobs()
    assert unfinished(scene, own) == []


def test_a_revoked_key_is_reported_before_bytes_are_sent_and_the_upload_continues_with_a_new_key(
    scene: Scene, own: StorageProfile, customers_store: Unruly
) -> None:
    upload = begin(scene)
    send_first(scene, upload)
    with customers_store.failing(403, old_key):
        refused(ask(scene, upload, 2), 503, "storage_unavailable")
        assert health(scene, own) == "unhealthy"
        assert "Nothing was sent" in refused(ask(scene, upload, 2), 503, "storage_unavailable")["detail"]
        refused(scene.bob.call("GET", f"uploads/{upload['upload_id']}"), 503, "storage_unavailable")
    see_it_work(scene.cast, own.id)
    assert done(ask(scene, upload, 2))["parts"]
    assert [part["part_number"] for part in scene.bob.upload_state(upload["upload_id"])["parts"]] == [1]


def test_parts_carry_the_encryption_of_the_profile(scene: Scene, customers_store: Unruly) -> None:
    requested: list[str | None] = []

    def note(method: str, path: str, headers: Message) -> bool:
        if method == "POST" and "uploads" in path.rpartition("?")[2]:
            requested.append(headers.get("x-amz-server-side-encryption"))
        return False

    connect_own_bucket(scene.cast, endpoint=customers_store.url, encryption=Encryption.SSE_S3)
    upload = begin(scene)
    with customers_store.failing(500, note):
        ask(scene, upload, 1)
    assert requested and set(requested) == {"AES256"}


def test_a_bucket_can_not_be_disconnected_while_parts_may_arrive(scene: Scene, own: StorageProfile) -> None:
    begin(scene)
    (managed,) = [
        each for each in done(scene.alice.call("GET", "storage-profiles"))["items"] if each["mode"] == "managed_r2"
    ]
    done(scene.alice.call("POST", f"storage-profiles/{managed['id']}/activate"))
    long_inactive(scene.cast, own.id)
    problem = refused(scene.alice.call("DELETE", f"storage-profiles/{own.id}"), 409, "conflict")
    left = datetime.fromisoformat(problem["open_until"]) - datetime.now(UTC)
    assert timedelta(minutes=55) < left <= timedelta(hours=1), "the life of a session before its first part"
