"""Concurrent decisions and workers that die: one decision wins, and every order is carried out once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from portal.assets.models import AssetState, PreviewState
from portal.assets.quarantine_orders import CLEAN_UP
from portal.objectstore import keys
from tests.support.client import Scene
from tests.support.factories import change_asset, read_asset, schedule
from tests.support.people import Cast
from tests.support.quarantine import CLEAN, decide, decided, make_admin, quarantined, run_job, stored


@pytest.mark.parametrize("actions", [("delete", "release"), ("release", "release"), ("delete", "delete")])
def test_of_eight_concurrent_decisions_one_is_carried_out(cast: Cast, actions: tuple[str, str]) -> None:
    admins = [cast.tina, make_admin(cast, cast.bob)]
    asset_id = quarantined(cast)
    tokens = [admin.api for admin in admins]

    def act(number: int) -> int:
        status: int = decide(cast, tokens[number % 2], asset_id, actions[number % 2]).status_code
        return status

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(act, range(8)))
    assert answers == [200] + [409] * 7
    (what,) = decided(cast, asset_id)
    asset = read_asset(cast, asset_id)
    assert asset.quarantine_order == ("release" if what == "release" else None)


def test_a_release_that_was_interrupted_after_the_row_changed_is_cleaned_up(scene: Scene) -> None:
    cast = scene.cast
    asset_id = quarantined(cast)
    asset_key = keys.original(cast.press.id, asset_id, "5eed", "invoice.txt")
    scene.site.put(asset_key, CLEAN)
    change_asset(
        cast,
        asset_id,
        state=AssetState.AVAILABLE,
        object_key=asset_key,
        quarantine_order=CLEAN_UP,
        ordered_by=cast.tina.id,
        purge_after=None,
        previews=PreviewState.PENDING,
    )
    schedule(cast, "release_quarantined", asset_id)
    assert len(stored(cast)) == 2
    scene.site.app.extensions["portal.redis"].flushdb()
    assert scene.site.sweep()["release_quarantined"] == 1
    scene.site.run_jobs()
    assert stored(cast) == [asset_key]
    asset = read_asset(cast, asset_id)
    assert (asset.state, asset.quarantine_order) == (AssetState.AVAILABLE, None)
    assert "release_quarantined" not in scene.site.sweep()


def test_a_copy_left_by_a_worker_that_died_is_deleted_by_the_next_attempt(cast: Cast) -> None:
    asset_id = quarantined(cast)
    decide(cast, cast.tina.api, asset_id, "release")
    with cast.app.app_context():
        from portal.storage import service as storage

        left = keys.original(cast.press.id, asset_id, "dead", "invoice.txt")
        storage.managed_bucket().put(left, CLEAN, content_type="text/plain")
    run_job(cast, "release", asset_id)
    run_job(cast, "release", asset_id)
    asset = read_asset(cast, asset_id)
    assert stored(cast) == [asset.object_key]
    assert decided(cast, asset_id) == ["release", "outcome"]


def test_orders_are_enqueued_again_after_the_queue_was_flushed(scene: Scene) -> None:
    cast = scene.cast
    rescanned, released = quarantined(cast), quarantined(cast)
    decide(cast, cast.tina.api, rescanned, "rescan")
    decide(cast, cast.tina.api, released, "release")
    scene.site.app.extensions["portal.redis"].flushdb()
    assert read_asset(cast, released).state is AssetState.QUARANTINED
    scene.site.sweep()
    scene.site.run_jobs()
    assert read_asset(cast, released).state is AssetState.AVAILABLE
    assert read_asset(cast, rescanned).reason_code == "clean_now"


def test_a_due_purge_wins_over_a_waiting_rescan(cast: Cast) -> None:
    asset_id: UUID = quarantined(cast)
    decide(cast, cast.tina.api, asset_id, "rescan")
    from datetime import timedelta

    from portal.assets import jobs
    from portal.database import now
    from tests.support.factories import find_asset

    change_asset(cast, asset_id, purge_after=now() - timedelta(seconds=1))
    run_job(cast, "rescan", asset_id)
    with cast.app.app_context():
        jobs.purge(str(cast.acme.id), str(cast.press.id), str(asset_id))
    assert find_asset(cast, asset_id) is None
    assert stored(cast) == []
