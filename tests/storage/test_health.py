"""A customer's bucket stops working: who is notified, what waits, what is refused, and how it goes on by itself."""

from __future__ import annotations

from email.message import Message
from typing import Any
from uuid import UUID

import pytest

from portal.objectstore import ownership_marker
from portal.storage.models import StorageProfile
from tests.support.api_client import done, refused
from tests.support.client import Scene, Site
from tests.support.engines import CUSTOMER, SECOND_CUSTOMER
from tests.support.own_buckets import client_of, connect_own_bucket, see_it_work
from tests.support.stores.unruly import Unruly, copies

REVOKED = "refused our key"
VANISHED = "does not exist"
FOREIGN = "somebody else"


@pytest.fixture(scope="module")
def site(own_bucket_site: Site) -> Site:
    """Where customers' buckets may be at a store that refuses."""
    return own_bucket_site


@pytest.fixture
def own(scene: Scene, customers_store: Unruly) -> StorageProfile:
    """A bucket of alice's that was tested and takes the new files."""
    profile = connect_own_bucket(scene.cast, seen=False, activate=False, endpoint=customers_store.url)
    scene.site.run_jobs()
    done(scene.alice.call("POST", f"storage-profiles/{profile.id}/activate"))
    return profile


def old_key(method: str, path: str, headers: Message) -> bool:
    """Whatever is signed with the customer's first key."""
    return CUSTOMER.access_key_id in path + (headers.get("Authorization") or "")


def health_of(scene: Scene, profile: StorageProfile) -> tuple[str, str]:
    """Health and reason, as the API says them."""
    found = done(scene.alice.call("GET", f"storage-profiles/{profile.id}"))
    return found["health"], found["reason"] or ""


def emails(scene: Scene) -> list[tuple[str, str]]:
    """Every mail to somebody of this test: the template, and to whom."""
    rows = scene.site.sql("SELECT template, recipient FROM emails WHERE template LIKE 'storage_%%' ORDER BY id")
    names = {person.email: person.name for person in scene.cast.everybody}
    return [(template, names[recipient]) for template, recipient in rows if recipient in names]


def events(scene: Scene) -> list[str]:
    """The recorded events about the storage, oldest first."""
    rows = scene.site.sql(
        "SELECT type FROM events WHERE tenant_id = %s AND type LIKE 'storage.%%' ORDER BY id", scene.cast.acme.id
    )
    return [kind for (kind,) in rows]


def is_lost(scene: Scene, profile: StorageProfile, reason: str) -> None:
    """Everybody knows: the page, the API, the owners and admins by mail, who listens; and nothing is taken."""
    health, why = health_of(scene, profile)
    assert health == "unhealthy" and reason in why
    assert reason in scene.cast.vera.browser.get(scene.cast.page("files")).text.replace("&#39;", "'")
    assert emails(scene) == [("storage_unhealthy", "Alice"), ("storage_unhealthy", "Tina")]
    assert events(scene) == ["storage.unhealthy"]
    refusal = refused(scene.bob.begin("more.txt", 10), 503, "storage_unavailable")
    assert reason in refusal["detail"] and "Nothing was sent" in refusal["detail"]


def later(scene: Scene) -> None:
    """The minutes until the next test pass, and those of what waits."""
    scene.site.make_due()
    scene.site.sweep()
    scene.site.run_jobs()


def attempts(scene: Scene, asset_id: str) -> int:
    """How many attempts were burnt."""
    task = scene.site.task(asset_id, "take_in", "attempts")
    assert task is not None
    return int(task[0])


def test_files_wait_after_a_key_was_revoked_and_continue_with_a_new_one(
    scene: Scene, own: StorageProfile, customers_store: Unruly, text: bytes
) -> None:
    sent = scene.bob.upload("note.txt", text)
    with customers_store.failing(403, old_key):
        scene.site.run_jobs()
        is_lost(scene, own, REVOKED)
        for _ in range(6):  # more often than a file may be tried
            later(scene)
        assert (scene.bob.asset(sent.asset_id)["status"], attempts(scene, sent.asset_id)) == ("processing", 0)
        assert emails(scene) == [("storage_unhealthy", "Alice"), ("storage_unhealthy", "Tina")]  # one e-mail each
    later(scene)
    assert health_of(scene, own)[0] == "healthy"
    later(scene)
    assert scene.bob.asset(sent.asset_id)["status"] == "available"
    assert events(scene) == ["storage.unhealthy", "storage.recovered"]
    assert emails(scene)[2:] == [("storage_recovered", "Alice"), ("storage_recovered", "Tina")]
    assert REVOKED not in scene.cast.vera.browser.get(scene.cast.page("files")).text
    assert scene.bob.begin("more.txt", 10).status_code == 201


def test_a_refused_write_is_reported_in_plain_words(
    scene: Scene, own: StorageProfile, customers_store: Unruly, text: bytes
) -> None:
    sent = scene.bob.upload("note.txt", text)
    with customers_store.failing(403, copies):
        scene.site.run_jobs()
        is_lost(scene, own, REVOKED)
    later(scene)
    later(scene)
    assert scene.bob.asset(sent.asset_id)["status"] == "available"


def test_a_refused_commit_makes_the_profile_unhealthy(
    scene: Scene, own: StorageProfile, customers_store: Unruly, text: bytes
) -> None:
    begun = scene.bob.sent("note.txt", text)
    with customers_store.failing(403, old_key):
        refused(scene.bob.commit(begun["upload_id"]), 503, "storage_unavailable")
        is_lost(scene, own, REVOKED)
    done(scene.bob.commit(begun["upload_id"]))  # it needs no new upload, nor a new test


def test_a_refused_move_reports_the_profile_that_refused(
    scene: Scene, own: StorageProfile, customers_store: Unruly, text: bytes
) -> None:
    sent = scene.bob.upload("note.txt", text)
    scene.site.run_jobs()
    profiles = done(scene.alice.call("GET", "storage-profiles"))["items"]
    (managed,) = [each["id"] for each in profiles if each["mode"] == "managed_r2"]
    move = done(scene.alice.call("POST", "storage-moves", {"target_id": managed}), 201)
    with customers_store.failing(403, old_key):
        scene.site.run_jobs()
        assert REVOKED in done(scene.alice.call("GET", f"storage-moves/{move['id']}"))["waiting_for"]
        assert health_of(scene, own)[0] == "unhealthy"
        assert events(scene) == ["storage.unhealthy"]
        assert scene.bob.begin("more.txt", 10).status_code == 201  # new files go to the managed storage already
    scene.site.make_due()
    scene.site.sweep()
    scene.site.run_jobs()
    assert done(scene.alice.call("GET", f"storage-moves/{move['id']}"))["state"] == "copied"
    assert scene.bob.download(sent.asset_id).content == text


def test_a_busy_store_does_not_make_the_profile_unhealthy(
    scene: Scene, own: StorageProfile, customers_store: Unruly, text: bytes
) -> None:
    sent = scene.bob.upload("note.txt", text)
    with customers_store.failing(503, copies):
        scene.site.run_jobs()
        assert health_of(scene, own)[0] == "healthy"
    later(scene)
    assert scene.bob.asset(sent.asset_id)["status"] == "available"
    assert (events(scene), emails(scene)) == ([], [])


def test_a_vanished_bucket_is_noticed_at_the_commit_and_in_a_job(
    scene: Scene, own: StorageProfile, text: bytes
) -> None:
    sent = scene.bob.upload("note.txt", text)
    open_one = scene.bob.sent("other.txt", text)
    vanish(scene, own)
    refusal = refused(scene.bob.commit(open_one["upload_id"]), 503, "storage_unavailable")
    assert VANISHED in refusal["detail"]
    is_lost(scene, own, VANISHED)
    scene.site.run_jobs()
    assert (scene.bob.asset(sent.asset_id)["status"], attempts(scene, sent.asset_id)) == ("processing", 0)


def vanish(scene: Scene, profile: StorageProfile) -> None:
    """The bucket is deleted, with all that was in it."""
    client = client_of(scene.site.settings, CUSTOMER)
    for entry in client.list_objects_v2(Bucket=profile.bucket).get("Contents", []):
        client.delete_object(Bucket=profile.bucket, Key=entry["Key"])
    client.delete_bucket(Bucket=profile.bucket)


def test_a_bucket_created_again_by_somebody_else_is_noticed_and_nothing_is_purged(
    scene: Scene, own: StorageProfile, text: bytes
) -> None:
    kept = scene.bob.upload("kept.txt", text)
    scene.site.run_jobs()
    waiting = scene.bob.upload("waiting.txt", text + b"2")
    vanish(scene, own)
    theirs = client_of(scene.site.settings, SECOND_CUSTOMER)
    theirs.create_bucket(Bucket=own.bucket)
    key = f"team/files/workspaces/{scene.cast.press.id}/assets/{kept.asset_id}/original/theirs.txt"
    theirs.put_object(Bucket=own.bucket, Key=key, Body=b"what they have put there")

    scene.site.run_jobs()  # the check of the file finds nothing, and does not believe it
    assert (scene.bob.asset(waiting.asset_id)["status"], attempts(scene, waiting.asset_id)) == ("processing", 0)
    is_lost(scene, own, FOREIGN)
    assert FOREIGN in scene.cast.alice.browser.get(scene.cast.page(f"storage/{own.id}")).text

    assert scene.bob.call("DELETE", f"assets/{kept.asset_id}?permanent=true").status_code == 204
    scene.site.run_jobs()
    later(scene)
    assert theirs.get_object(Bucket=own.bucket, Key=key)["Body"].read() == b"what they have put there"
    assert scene.site.sql("SELECT state FROM assets WHERE id = %s", UUID(kept.asset_id)) == [("deleted",)]
    assert health_of(scene, own)[0] == "unhealthy"  # a scheduled test never accepts the bucket as ours again

    done(scene.alice.call("POST", f"storage-profiles/{own.id}/probe"), 202)  # a person does
    scene.site.run_jobs()
    assert health_of(scene, own)[0] == "healthy"
    assert theirs.head_object(Bucket=own.bucket, Key=f"team/files/{ownership_marker.KEY}")
    later(scene)
    assert scene.bob.asset(waiting.asset_id)["reason"]["code"] == "upload_missing"
    assert scene.site.sql("SELECT state FROM assets WHERE id = %s", UUID(kept.asset_id)) == []


def test_keys_are_replaced_while_twenty_uploads_are_open(scene: Scene, customers_store: Unruly, text: bytes) -> None:
    own = connect_own_bucket(scene.cast, seen=False, activate=False, endpoint=customers_store.url)
    scene.site.run_jobs()
    see_it_work(scene.cast, own.id, post=False, marker=True)  # a signed address says whose key signed it
    done(scene.alice.call("POST", f"storage-profiles/{own.id}/activate"))
    begun = [begin(scene, text, number) for number in range(20)]
    for each in begun[:10]:
        assert scene.bob.send(each, text).status_code == 200
    new = {"access_key_id": SECOND_CUSTOMER.access_key_id, "secret_access_key": SECOND_CUSTOMER.secret_access_key}
    done(scene.alice.call("PATCH", f"storage-profiles/{own.id}", new))
    with customers_store.failing(403, old_key):
        for number, each in enumerate(begun[10:], 10):
            assert scene.bob.send(each, text).status_code == 403
            again = begin(scene, text, number) if number % 2 else scene.bob.upload_state(each["upload_id"])
            assert again["upload_id"] == each["upload_id"]
            assert scene.bob.send(again, text).status_code == 200
        assets = [done(scene.bob.commit(each["upload_id"]))["asset_id"] for each in begun]
        scene.site.run_jobs()
        assert {scene.bob.asset(asset_id)["status"] for asset_id in assets} == {"available"}
    assert health_of(scene, own)[0] == "healthy"
    assert events(scene) == []


def begin(scene: Scene, content: bytes, number: int) -> dict[str, Any]:
    """The same request for the same number, whenever it is sent."""
    answer = scene.bob.begin(f"{number}.txt", len(content), key=f"twenty-{number}")
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found
