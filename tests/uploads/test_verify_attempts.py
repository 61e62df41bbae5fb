"""One worker a file, a worker's death survived, and a file that is fatal to every worker given up visibly."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from portal import tasks
from portal.assets import leases
from portal.assets.models import Asset, AssetState
from portal.database import compare_and_set, db, transaction
from portal.errors import Unavailable
from portal.inspection.decision import Decision
from portal.tasks import lease
from portal.texts import Text
from portal.uploads import verify
from portal.uploads.models import Upload
from tests.support import pictures
from tests.support.client import Scene


def row(scene: Scene, asset_id: str, columns: str) -> tuple[Any, ...]:
    return scene.site.sql(f"SELECT {columns} FROM assets WHERE id = %s", UUID(asset_id))[0]


def take_in(scene: Scene, asset_id: str) -> Any:
    """A worker's lease of the file's check."""
    return leases.acquire("take_in", scene.cast.acme.id, scene.cast.press.id, UUID(asset_id))


def come_by(scene: Scene) -> None:
    """The scheduler, when everything is due, and the workers."""
    scene.site.make_due()
    scene.site.sweep()
    scene.site.run_jobs()


def test_a_file_of_a_killed_worker_is_verified_by_another(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.site.app.extensions["portal.redis"].flushall()
    scene.site.kill_worker_of(sent.asset_id, "take_in")
    come_by(scene)
    assert scene.alice.asset(sent.asset_id)["status"] == "available"
    assert scene.site.task(sent.asset_id, "take_in") is None


def test_a_file_that_kills_every_worker_fails_visibly(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    for _ in range(tasks.MOST_ATTEMPTS):
        assert scene.alice.asset(sent.asset_id)["status"] == "processing"
        scene.site.kill_worker_of(sent.asset_id, "take_in")
    come_by(scene)
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["reason"]["code"]) == ("failed", "processing_failed")
    assert scene.alice.upload_state(sent.upload_id)["reason"] == asset["reason"]
    assert scene.objects() == []
    assert scene.alice.quota() == (0, 0)
    assert scene.site.broken(scene.cast) == []


def test_a_picture_that_kills_every_renderer_stays_available(scene: Scene) -> None:
    sent = scene.alice.upload("sea.jpg", pictures.exif_orientation(1))
    with scene.site.app.app_context():
        verify.take_in(scene.cast.acme.id, scene.cast.press.id, UUID(sent.asset_id))
    scene.site.app.extensions["portal.redis"].flushall()
    for _ in range(tasks.MOST_ATTEMPTS):
        scene.site.kill_worker_of(sent.asset_id, "render_previews")
    come_by(scene)
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["previews"]) == ("available", "failed")
    assert asset["preview_reason"]["code"] == "processing_failed"
    assert scene.alice.download(sent.asset_id).content == sent.content


def test_unavailable_uses_up_no_attempt_and_an_error_uses_up_one(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)

    def find_the_store_unavailable() -> None:
        with take_in(scene, sent.asset_id) as leased:
            assert leased is not None
            raise Unavailable("Away.", code="storage_unavailable")

    with scene.site.app.app_context():
        find_the_store_unavailable()
        state = "attempts, waiting_for, lease_token, due_at > now() + interval '10 seconds'"
        assert scene.site.task(sent.asset_id, "take_in", state) == (0, "storage_unavailable", None, True)
        scene.site.make_due()
        with pytest.raises(ZeroDivisionError), take_in(scene, sent.asset_id):
            raise ZeroDivisionError
    assert scene.site.task(sent.asset_id, "take_in", state) == (1, None, None, True)
    assert scene.alice.asset(sent.asset_id)["status"] == "processing"


def test_a_leased_file_is_not_acquired_by_another_worker(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    with scene.site.app.app_context(), take_in(scene, sent.asset_id) as leased:
        assert leased is not None
        assert "take_in" not in scene.site.sweep()
        scene.site.run_jobs()
        assert scene.alice.asset(sent.asset_id)["status"] == "processing"


def test_a_lease_is_renewed_while_the_work_goes_on(scene: Scene, text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    sent = scene.alice.upload("a.txt", text)
    with scene.site.app.app_context(), take_in(scene, sent.asset_id) as leased:
        assert leased is not None
        first = scene.site.task(sent.asset_id, "take_in", "lease_until")
        deadline = time.monotonic() + 10
        while scene.site.task(sent.asset_id, "take_in", "lease_until") == first:
            assert time.monotonic() < deadline, "the lease was not renewed"
            time.sleep(0.02)


def test_a_stalled_worker_gets_lease_lost(scene: Scene, text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    sent = scene.alice.upload("a.txt", text)
    with scene.site.app.app_context(), take_in(scene, sent.asset_id) as leased:
        scene.site.sql("UPDATE tasks SET lease_token = 'another' WHERE target_id = %s", UUID(sent.asset_id))
        assert leased.lease.lost.wait(10)


def test_many_workers_on_one_file_make_one_decision(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)

    def check(_: int) -> None:
        with scene.site.app.app_context():
            verify.take_in(scene.cast.acme.id, scene.cast.press.id, UUID(sent.asset_id))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(check, range(8)))
    assert scene.alice.asset(sent.asset_id)["status"] == "available"
    assert scene.site.ledger(sent.upload_id) == ["reserve", "settle"]
    assert len(scene.objects()) == 1
    assert scene.site.broken(scene.cast) == []


def test_a_worker_that_lost_its_lease_writes_nothing(scene: Scene, text: bytes) -> None:
    """It stalled for longer than its lease; meanwhile another one has finished."""
    sent = scene.alice.upload("a.txt", text)
    with scene.site.app.app_context(), take_in(scene, sent.asset_id) as leased:
        scene.site.end_leases(sent.asset_id)
        scene.site.run_jobs()
        won = row(scene, sent.asset_id, "state, object_key")
        assert won[0] == "available"
        with pytest.raises(tasks.LeaseLost), transaction(scene.cast.acme.id):
            compare_and_set(Asset, [Asset.id == leased.asset.id], AssetState.DELETED)
            tasks.complete(leased.lease)
    assert row(scene, sent.asset_id, "state, object_key") == won


def test_a_decision_without_the_lease_does_not_count(scene: Scene, text: bytes) -> None:
    """It wakes while another one is still at work: the verdict is the other one's to give."""
    sent = scene.alice.upload("a.txt", text)
    with scene.site.app.app_context(), take_in(scene, sent.asset_id) as first:
        scene.site.end_leases(sent.asset_id)
        with take_in(scene, sent.asset_id) as second:
            assert second is not None
            asset = second.asset
            upload = db.session.scalars(select(Upload).where(Upload.id == asset.upload_id)).one()
            late = Decision("failed", "text/plain", "content_mismatch", Text("A late verdict."))
            with pytest.raises(tasks.LeaseLost):
                verify._finish(first.lease, asset, upload, late)
            assert scene.alice.asset(sent.asset_id)["status"] == "processing"
            assert scene.alice.quota() == (0, len(text))
