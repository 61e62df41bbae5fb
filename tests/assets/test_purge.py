"""Gone for good: objects first, then the row and what the quota counts."""

from __future__ import annotations

from uuid import UUID

import pytest

from portal.assets import jobs, service
from portal.assets.models import AssetState
from portal.database import enter, now
from portal.objectstore import keys
from portal.storage import service as storage
from tests.library.test_trash import actions
from tests.support.engines import TestEngines
from tests.support.factories import (
    PIXEL,
    change_task,
    find_asset,
    find_task,
    make_asset,
    make_assets,
    read_asset,
    read_variants,
    store_objects,
)
from tests.support.people import Cast


def purge(cast: Cast, asset_id: UUID) -> None:
    with cast.app.app_context():
        jobs.purge(str(cast.acme.id), str(cast.press.id), str(asset_id))


def used(cast: Cast) -> int:
    size: int = cast.vera.api.get(cast.url("quota")).get_json()["used_bytes"]
    return size


def stored(cast: Cast) -> list[str]:
    with cast.app.app_context():
        return [key for key, _size, _at in storage.managed_bucket().list(keys.workspace_prefix(cast.press.id))]


def test_deleting_for_good_removes_every_object_then_row_and_charge(cast: Cast) -> None:
    asset_id, other = make_asset(cast), make_asset(cast, "other.jpg")
    store_objects(cast, asset_id)
    kept = store_objects(cast, other)
    before = used(cast)
    size = read_asset(cast, asset_id).charged_bytes
    assert cast.bob.api.delete(cast.url(f"assets/{asset_id}?permanent=true")).status_code == 204
    assert used(cast) == before
    purge(cast, asset_id)
    assert find_asset(cast, asset_id) is None
    assert read_variants(cast, asset_id) == []
    assert sorted(stored(cast)) == sorted(kept)
    assert used(cast) == before - size
    assert actions(cast) == ["asset.deleted", "asset.purge_requested", "asset.purged"]
    assert cast.bob.api.get(cast.url(f"assets/{asset_id}")).status_code == 404


def test_a_second_purge_changes_nothing(cast: Cast) -> None:
    asset_id = make_asset(cast)
    make_asset(cast, "other.jpg")
    cast.bob.api.delete(cast.url(f"assets/{asset_id}?permanent=true"))
    purge(cast, asset_id)
    left = used(cast)
    purge(cast, asset_id)
    assert used(cast) == left > 0
    assert actions(cast).count("asset.purged") == 1


@pytest.mark.parametrize("state", [AssetState.AVAILABLE, AssetState.PROCESSING, AssetState.FAILED])
def test_only_what_is_deleted_or_held_is_purged(cast: Cast, state: AssetState) -> None:
    asset_id = make_asset(cast, state=state, purge_after=now())
    kept = store_objects(cast, asset_id)
    purge(cast, asset_id)
    assert read_asset(cast, asset_id).state is state
    assert sorted(stored(cast)) == sorted(kept)


def test_the_trash_keeps_its_thirty_days(cast: Cast) -> None:
    asset_id = make_asset(cast)
    kept = store_objects(cast, asset_id)
    cast.bob.api.delete(cast.url(f"assets/{asset_id}"))
    purge(cast, asset_id)
    assert read_asset(cast, asset_id).state is AssetState.DELETED
    assert sorted(stored(cast)) == sorted(kept)


def test_a_job_of_another_workspace_changes_nothing(cast: Cast) -> None:
    asset_id = make_asset(cast)
    cast.bob.api.delete(cast.url(f"assets/{asset_id}?permanent=true"))
    with cast.app.app_context():
        jobs.purge(str(cast.acme.id), str(cast.lair.id), str(asset_id))
        jobs.purge(str(cast.evil.id), str(cast.press.id), str(asset_id))
    assert find_asset(cast, asset_id) is not None


def test_while_the_store_is_away_the_row_keeps_its_keys_and_the_quota_its_count(
    cast: Cast, engines: TestEngines
) -> None:
    asset_id = make_asset(cast)
    store_objects(cast, asset_id)
    cast.bob.api.delete(cast.url(f"assets/{asset_id}?permanent=true"))
    before = used(cast)
    engines.store.kill()
    try:
        purge(cast, asset_id)
    finally:
        engines.store.restart()
    asset = read_asset(cast, asset_id)
    task = find_task(cast, "purge", asset_id)
    assert asset.state is AssetState.DELETED
    assert task is not None and (task.waiting_for, task.lease_token) == ("storage_unavailable", None)
    change_task(cast, "purge", asset_id, due_at=now())
    assert asset.object_key is not None
    assert used(cast) == before
    purge(cast, asset_id)
    assert find_asset(cast, asset_id) is None
    assert stored(cast) == []


def test_emptying_the_trash_asks_for_everything_in_it(cast: Cast) -> None:
    kept, *gone = make_assets(cast, 4)
    for asset_id in gone:
        cast.bob.api.delete(cast.url(f"assets/{asset_id}"))
    with cast.app.app_context():
        enter(cast.acme.id)
        total = service.trash_summary(cast.press.id)
    assert (total.count, total.bytes, total.more, total.leaving) == (3, 3 * len(PIXEL), False, False)
    assert cast.bob.api.delete(cast.url("trash")).status_code == 204
    for asset_id in gone:
        purge(cast, asset_id)
        assert find_asset(cast, asset_id) is None
    assert read_asset(cast, kept).state is AssetState.AVAILABLE
    assert actions(cast).count("trash.emptied") == 1
    assert cast.bob.api.delete(cast.url("trash")).status_code == 204
    assert actions(cast).count("trash.emptied") == 1


def test_a_viewer_may_not_empty_the_trash_and_mallory_finds_none(cast: Cast) -> None:
    assert cast.vera.api.delete(cast.url("trash")).status_code == 403
    assert cast.mallory.api.delete(cast.url("trash")).status_code == 404
