"""Back out of the trash."""

from __future__ import annotations

import pytest

from portal.assets.models import AssetState, PreviewState, ScanResult
from portal.database import now
from tests.library.test_trash import actions
from tests.support.factories import change_asset, find_task, make_asset, read_asset
from tests.support.people import Cast


def discard(cast: Cast, asset_id: object) -> None:
    assert cast.bob.api.delete(cast.url(f"assets/{asset_id}")).status_code == 204


@pytest.mark.parametrize("state", [AssetState.AVAILABLE, AssetState.FAILED])
def test_a_file_returns_to_the_state_it_was_in(cast: Cast, state: AssetState) -> None:
    asset_id = make_asset(cast, state=state, reason_code=None if state is AssetState.AVAILABLE else "content_mismatch")
    discard(cast, asset_id)
    answer = cast.bob.api.post(cast.url(f"assets/{asset_id}/restore"))
    assert (answer.status_code, answer.get_json()["status"]) == (200, state.value)
    asset = read_asset(cast, asset_id)
    assert (asset.state, asset.state_before, asset.deleted_at, asset.purge_after) == (state, None, None, None)
    assert actions(cast) == ["asset.deleted", "asset.restored"]


def test_restoring_skips_no_verdict(cast: Cast) -> None:
    asset_id = make_asset(cast, scan_result=ScanResult.NOT_SCANNED, scan_reason="off")
    discard(cast, asset_id)
    answer = cast.bob.api.post(cast.url(f"assets/{asset_id}/restore"))
    assert answer.get_json()["scan"]["verdict"] == "not_scanned"
    held = make_asset(cast, "held.jpg", state=AssetState.QUARANTINED, previews=PreviewState.NONE)
    assert cast.bob.api.post(cast.url(f"assets/{held}/restore")).get_json()["status"] == "quarantined"


def test_previews_that_were_due_are_due_again(cast: Cast) -> None:
    asset_id = make_asset(cast, previews=PreviewState.PENDING)
    discard(cast, asset_id)
    assert find_task(cast, "purge", asset_id) is not None
    cast.bob.api.post(cast.url(f"assets/{asset_id}/restore"))
    task = find_task(cast, "render_previews", asset_id)
    assert task is not None and task.due_at is not None and task.due_at <= now()
    assert find_task(cast, "purge", asset_id) is None


def test_restoring_twice_changes_nothing_more(cast: Cast) -> None:
    asset_id = make_asset(cast)
    discard(cast, asset_id)
    for _ in range(2):
        assert cast.bob.api.post(cast.url(f"assets/{asset_id}/restore")).status_code == 200
    assert actions(cast).count("asset.restored") == 1


def test_what_is_on_its_way_out_can_not_be_restored(cast: Cast) -> None:
    asset_id = make_asset(cast)
    discard(cast, asset_id)
    change_asset(cast, asset_id, purge_after=now())
    answer = cast.bob.api.post(cast.url(f"assets/{asset_id}/restore"))
    assert (answer.status_code, answer.get_json()["code"]) == (409, "conflict")
    assert read_asset(cast, asset_id).state is AssetState.DELETED


def test_a_viewer_may_not_and_mallory_finds_nothing(cast: Cast) -> None:
    asset_id = make_asset(cast)
    discard(cast, asset_id)
    assert cast.vera.api.post(cast.url(f"assets/{asset_id}/restore")).status_code == 403
    assert cast.mallory.api.post(cast.url(f"assets/{asset_id}/restore")).status_code == 404
    assert cast.mallory.api.post(cast.url(f"assets/{asset_id}/restore", cast.lair)).status_code == 404
