"""A form can be sent again until it expires. Whenever that happens, nobody reads it, nobody pays, and it goes."""

from __future__ import annotations

from uuid import UUID

import pytest

from portal.objectstore import keys
from tests.support.api_client import done
from tests.support.client import Scene


def is_cleared(scene: Scene, upload_id: str) -> bool:
    statement = "SELECT cleared_at IS NOT NULL FROM uploads WHERE id = %s"
    return bool(scene.site.sql(statement, UUID(upload_id))[0][0])


def resend(scene: Scene, begun: dict[str, object], content: bytes) -> None:
    assert scene.alice.send(begun, content).status_code in (200, 201, 204)


def forms_run_out(scene: Scene, upload_id: str) -> None:
    """Ten minutes after the form has expired the clock comes by."""
    scene.site.expire_upload(upload_id)
    scene.site.sweep()
    scene.site.run_jobs()


def test_the_last_bytes_before_the_commit_count(scene: Scene, text: bytes) -> None:
    begun = scene.alice.sent("a.txt", text)
    resend(scene, begun, text[::-1])
    committed = done(scene.alice.commit(begun["upload_id"]))
    scene.site.run_jobs()
    assert scene.alice.download(committed["asset_id"]).content == text[::-1]
    assert scene.alice.quota() == (len(text), 0)


def test_the_same_bytes_again_after_the_commit_change_nothing(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    resend(scene, sent.begun, text)
    scene.site.run_jobs()
    assert scene.alice.download(sent.asset_id).content == text
    assert len(scene.objects()) == 1


def test_bytes_replaced_between_commit_and_decision_are_never_served(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    resend(scene, sent.begun, text[::-1])
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["reason"]["code"]) == ("failed", "checksum_mismatch")
    assert scene.objects() == []
    assert scene.alice.quota() == (0, 0)
    assert scene.site.broken(scene.cast) == []


@pytest.mark.parametrize("then", ["kept", "trashed", "purged"])
def test_bytes_replayed_after_the_decision_change_nothing_and_are_removed(scene: Scene, text: bytes, then: str) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.site.run_jobs()
    assert not is_cleared(scene, sent.upload_id)
    if then != "kept":
        permanent = "?permanent=true" if then == "purged" else ""
        assert scene.alice.call("DELETE", f"assets/{sent.asset_id}{permanent}").status_code == 204
        scene.site.run_jobs()
    before, quota = scene.objects(), scene.alice.quota()

    resend(scene, sent.begun, text[::-1])
    staged = scene.staging_key(sent.begun, "a.txt")
    assert staged in scene.objects()
    assert scene.alice.quota() == quota == (0 if then == "purged" else len(text), 0)
    commit = scene.alice.commit(sent.upload_id)
    assert commit.status_code == (404 if then == "purged" else 200)
    assert scene.site.run_jobs() == []
    if then == "kept":
        assert scene.alice.download(sent.asset_id).content == text

    forms_run_out(scene, sent.upload_id)
    assert scene.objects() == before
    assert is_cleared(scene, sent.upload_id)
    assert scene.alice.quota() == quota
    assert "clear_staging" not in scene.site.sweep()
    assert scene.site.broken(scene.cast) == []


@pytest.mark.parametrize("end", ["cancelled", "expired", "refused"])
def test_bytes_replayed_after_the_session_ended_are_removed(scene: Scene, text: bytes, end: str) -> None:
    begun = scene.alice.sent("a.txt", text)
    if end == "cancelled":
        scene.alice.call("DELETE", f"uploads/{begun['upload_id']}")
    elif end == "expired":
        scene.site.sql("UPDATE uploads SET expires_at = now() WHERE id = %s", UUID(begun["upload_id"]))
        scene.site.sql("UPDATE tasks SET due_at = now() WHERE target_id = %s", UUID(begun["upload_id"]))
        scene.site.sweep()
    else:
        scene.alice.commit(begun["upload_id"], sha256="0" * 64, etag="0")
    scene.site.run_jobs()
    assert scene.objects() == []
    resend(scene, begun, text)
    assert scene.objects() != []
    assert scene.alice.quota() == (0, 0)
    quarter_of_an_hour_later(scene, begun["upload_id"])  # the form works still, and nobody is charged
    assert scene.objects() == []
    resend(scene, begun, text)
    forms_run_out(scene, begun["upload_id"])
    assert scene.objects() == []
    assert is_cleared(scene, begun["upload_id"])


def quarter_of_an_hour_later(scene: Scene, upload_id: str) -> None:
    scene.site.sql("UPDATE tasks SET due_at = due_at - interval '15 minutes' WHERE kind = 'clear_staging'")
    assert scene.site.sweep()["clear_staging"]
    scene.site.run_jobs()
    assert not is_cleared(scene, upload_id)


def test_copies_of_lost_attempts_are_removed(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.site.run_jobs()
    before = scene.objects()
    place, asset_id = scene.cast.press.id, UUID(sent.asset_id)
    scene.site.put(keys.original(place, asset_id, "0badc0de", "a.txt"), b"a copy that lost")
    scene.site.put(keys.quarantine(place, asset_id, "a.txt"), b"a copy that lost")
    forms_run_out(scene, sent.upload_id)
    assert scene.objects() == before
    assert scene.alice.download(sent.asset_id).content == text


def test_copies_of_attempts_that_stalled_until_after_the_purge_are_removed(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.site.run_jobs()
    assert scene.alice.call("DELETE", f"assets/{sent.asset_id}?permanent=true").status_code == 204
    scene.site.run_jobs()
    assert scene.objects() == []
    place, asset_id = scene.cast.press.id, UUID(sent.asset_id)
    scene.site.put(keys.original(place, asset_id, "0badc0de", "a.txt"), b"a copy that came late")
    scene.site.put(keys.quarantine(place, asset_id, "a.txt"), b"a copy that came late")
    assert len(scene.site.broken(scene.cast)) == 2
    forms_run_out(scene, sent.upload_id)
    assert scene.objects() == [] and scene.site.broken(scene.cast) == []


def test_an_upload_that_is_still_open_keeps_its_bytes(scene: Scene, text: bytes) -> None:
    begun = scene.alice.sent("a.txt", text)
    scene.site.sweep()
    scene.site.run_jobs()
    assert scene.objects() == [scene.staging_key(begun, "a.txt")]
