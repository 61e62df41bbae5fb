"""One worker a file, a worker's death survived, and a file that is fatal to every worker given up visibly."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from portal.assets import leases
from portal.assets.models import Asset, AssetState
from portal.database import compare_and_set, db, transaction
from portal.errors import Unavailable
from portal.inspection.decision import Decision
from portal.uploads import verify
from portal.uploads.models import Upload
from tests.support import pictures
from tests.support.client import Scene


def row(scene: Scene, asset_id: str, columns: str) -> tuple[Any, ...]:
    return scene.door.sql(f"SELECT {columns} FROM assets WHERE id = %s", UUID(asset_id))[0]


def die_holding(scene: Scene, asset_id: str) -> None:
    """What a worker leaves that was killed with this file in its hands, a minute later."""
    with scene.door.app.app_context():
        lease = leases.Lease(scene.cast.acme.id, UUID(asset_id))
        assert leases._claim(lease, (), attempts=1)
    scene.door.sql("UPDATE assets SET claim_until = now() - interval '1 second' WHERE id = %s", UUID(asset_id))


def come_by(scene: Scene) -> None:
    """The clock, when everything is due, and the workers."""
    scene.door.sql("UPDATE assets SET due_at = now() - interval '1 second' WHERE due_at IS NOT NULL")
    scene.door.sweep()
    scene.door.work()


def test_a_file_that_a_dead_worker_held_is_taken_in_by_another(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.door.app.extensions["portal.redis"].flushall()
    die_holding(scene, sent.asset_id)
    come_by(scene)
    assert scene.alice.asset(sent.asset_id)["status"] == "available"
    assert row(scene, sent.asset_id, "attempts, claim_token, claim_until, due_at") == (0, None, None, None)


def test_a_file_that_kills_every_worker_fails_visibly(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    for _ in range(leases.MOST_ATTEMPTS):
        assert scene.alice.asset(sent.asset_id)["status"] == "processing"
        die_holding(scene, sent.asset_id)
    come_by(scene)
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["reason"]["code"]) == ("failed", "processing_failed")
    assert scene.alice.upload_state(sent.upload_id)["reason"] == asset["reason"]
    assert scene.objects() == []
    assert scene.alice.quota() == (0, 0)
    assert scene.door.broken(scene.cast) == []


def test_a_picture_that_kills_every_renderer_stays_available(scene: Scene) -> None:
    sent = scene.alice.upload("sea.jpg", pictures.exif_orientation(1))
    with scene.door.app.app_context():
        verify.take_in(scene.cast.acme.id, scene.cast.press.id, UUID(sent.asset_id))
    scene.door.app.extensions["portal.redis"].flushall()
    for _ in range(leases.MOST_ATTEMPTS):
        die_holding(scene, sent.asset_id)
    come_by(scene)
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["previews"]) == ("available", "failed")
    assert asset["preview_reason"]["code"] == "processing_failed"
    assert scene.alice.download(sent.asset_id).content == sent.content


def test_what_is_merely_away_burns_no_attempt_and_an_error_burns_one(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    tenant, asset_id = scene.cast.acme.id, UUID(sent.asset_id)

    def find_the_store_away() -> None:
        with leases.hold(tenant, asset_id) as lease:
            assert lease is not None
            raise Unavailable("Away.", code="storage_unavailable")

    with scene.door.app.app_context():
        find_the_store_away()
        assert row(scene, sent.asset_id, "attempts, waiting_for, claim_token") == (0, "storage_unavailable", None)
        with pytest.raises(ZeroDivisionError), leases.hold(tenant, asset_id):
            raise ZeroDivisionError
    assert row(scene, sent.asset_id, "attempts, waiting_for, claim_token") == (1, None, None)
    assert scene.alice.asset(sent.asset_id)["status"] == "processing"


def test_a_held_file_is_nobody_elses(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    tenant, asset_id = scene.cast.acme.id, UUID(sent.asset_id)
    with scene.door.app.app_context(), leases.hold(tenant, asset_id) as lease:
        assert lease is not None
        assert "take_in" not in scene.door.sweep()
        scene.door.work()
        assert scene.alice.asset(sent.asset_id)["status"] == "processing"


def test_a_lease_is_renewed_as_long_as_the_work_goes_on(
    scene: Scene, text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.05)
    sent = scene.alice.upload("a.txt", text)
    with scene.door.app.app_context(), leases.hold(scene.cast.acme.id, UUID(sent.asset_id)) as lease:
        assert lease is not None
        first = row(scene, sent.asset_id, "claim_until")
        deadline = time.monotonic() + 10
        while row(scene, sent.asset_id, "claim_until") == first:
            assert time.monotonic() < deadline, "the lease was not renewed"
            time.sleep(0.02)


def test_many_workers_at_one_file_give_one_verdict(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)

    def take_in(_: int) -> None:
        with scene.door.app.app_context():
            verify.take_in(scene.cast.acme.id, scene.cast.press.id, UUID(sent.asset_id))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take_in, range(8)))
    assert scene.alice.asset(sent.asset_id)["status"] == "available"
    assert scene.door.ledger(sent.upload_id) == ["reserve", "settle"]
    assert len(scene.objects()) == 1
    assert scene.door.broken(scene.cast) == []


def test_a_worker_that_lost_its_lease_writes_nothing(scene: Scene, text: bytes) -> None:
    """It stalled for longer than its lease; meanwhile another one has finished."""
    sent = scene.alice.upload("a.txt", text)
    tenant, asset_id = scene.cast.acme.id, UUID(sent.asset_id)
    with scene.door.app.app_context(), leases.hold(tenant, asset_id) as lease:
        assert lease is not None
        scene.door.sql("UPDATE assets SET claim_until = now() - interval '1 second' WHERE id = %s", asset_id)
        scene.door.work()
        won = row(scene, sent.asset_id, "state, object_key, attempts")
        assert won[0] == "available"
        with transaction(tenant):
            assert not compare_and_set(Asset, lease.mine, AssetState.FAILED)
        assert not lease.renew()
    assert row(scene, sent.asset_id, "state, object_key, attempts") == won


def test_a_verdict_of_who_lost_the_lease_does_not_count(scene: Scene, text: bytes) -> None:
    """It wakes while another one is still at work: the verdict is the other one's to give."""
    sent = scene.alice.upload("a.txt", text)
    tenant, asset_id = scene.cast.acme.id, UUID(sent.asset_id)
    with scene.door.app.app_context(), leases.hold(tenant, asset_id) as first:
        assert first is not None
        scene.door.sql("UPDATE assets SET claim_until = now() - interval '1 second' WHERE id = %s", asset_id)
        with leases.hold(tenant, asset_id) as second:
            assert second is not None
            asset = db.session.scalars(select(Asset).where(*second.mine)).one()
            upload = db.session.scalars(select(Upload).where(Upload.id == asset.upload_id)).one()
            late = Decision("failed", "text/plain", "text/plain", "content_mismatch", "A late verdict.")
            assert not verify._finish(first, asset, upload, late)
    assert scene.alice.asset(sent.asset_id)["status"] == "processing"
    assert scene.alice.quota() == (0, len(text))
