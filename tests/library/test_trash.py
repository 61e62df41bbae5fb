"""Into the trash."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.assets.models import AssetState, PreviewState
from portal.audit import AuditEvent
from portal.database import db, enter, now
from tests.support.factories import make_asset, read_asset
from tests.support.people import Cast


def actions(cast: Cast) -> list[str]:
    with cast.app.app_context():
        enter(cast.acme.id)
        events = db.session.scalars(select(AuditEvent).order_by(AuditEvent.id)).all()
        return [event.action for event in events if event.action.startswith(("asset.", "trash."))]


@pytest.mark.parametrize("state", [AssetState.AVAILABLE, AssetState.FAILED])
def test_a_file_goes_into_the_trash_for_thirty_days(cast: Cast, state: AssetState) -> None:
    asset_id = make_asset(cast, state=state)
    assert cast.bob.api.delete(cast.url(f"assets/{asset_id}")).status_code == 204
    asset = read_asset(cast, asset_id)
    assert (asset.state, asset.state_before, asset.deleted_by) == (AssetState.DELETED, state, cast.bob.id)
    assert asset.purge_after is not None
    assert timedelta(days=29, hours=23) < asset.purge_after - now() <= timedelta(days=30)
    assert cast.vera.api.get(cast.url(f"assets/{asset_id}")).get_json()["status"] == "deleted"
    assert actions(cast) == ["asset.deleted"]


def test_a_second_delete_changes_nothing(cast: Cast) -> None:
    asset_id = make_asset(cast)
    for _ in range(2):
        assert cast.bob.api.delete(cast.url(f"assets/{asset_id}")).status_code == 204
    first = read_asset(cast, asset_id)
    assert cast.alice.api.delete(cast.url(f"assets/{asset_id}")).status_code == 204
    assert read_asset(cast, asset_id).deleted_by == first.deleted_by == cast.bob.id
    assert actions(cast) == ["asset.deleted"]


@pytest.mark.parametrize("permanent", ["", "?permanent=true"])
def test_what_is_held_can_not_be_deleted(cast: Cast, permanent: str) -> None:
    asset_id = make_asset(cast, state=AssetState.QUARANTINED, previews=PreviewState.NONE, reason_code="infected")
    answer = cast.alice.api.delete(cast.url(f"assets/{asset_id}{permanent}"))
    assert (answer.status_code, answer.get_json()["code"]) == (409, "held")
    assert read_asset(cast, asset_id).state is AssetState.QUARANTINED
    assert actions(cast) == []


def test_what_is_being_checked_can_not_be_deleted_yet(cast: Cast) -> None:
    asset_id = make_asset(cast, state=AssetState.PROCESSING, previews=PreviewState.NONE)
    answer = cast.alice.api.delete(cast.url(f"assets/{asset_id}"))
    assert (answer.status_code, answer.get_json()["code"]) == (409, "conflict")


def test_a_viewer_may_not_and_mallory_finds_nothing(cast: Cast) -> None:
    asset_id = make_asset(cast)
    for query in ("", "?permanent=true"):
        assert cast.vera.api.delete(cast.url(f"assets/{asset_id}{query}")).status_code == 403
        assert cast.mallory.api.delete(cast.url(f"assets/{asset_id}{query}")).status_code == 404
        assert cast.mallory.api.delete(cast.url(f"assets/{asset_id}{query}", cast.lair)).status_code == 404
    assert read_asset(cast, asset_id).state is AssetState.AVAILABLE


def test_the_trash_still_counts(cast: Cast) -> None:
    asset_id = make_asset(cast)
    before = cast.vera.api.get(cast.url("quota")).get_json()["used_bytes"]
    cast.bob.api.delete(cast.url(f"assets/{asset_id}"))
    assert cast.vera.api.get(cast.url("quota")).get_json()["used_bytes"] == before > 0
