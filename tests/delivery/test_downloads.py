"""Downloads over HTTP: who gets a link, to what, for how long, and what is noted."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
import urllib3
from sqlalchemy import select

from portal.assets.models import AssetState
from portal.database import db, enter, new_id
from portal.delivery.models import IssuedLink
from tests.support.factories import PIXEL, make_asset, read_asset, store_objects
from tests.support.people import Cast


@pytest.fixture(scope="module")
def web() -> Iterator[urllib3.PoolManager]:
    """A browser that knows no key."""
    with urllib3.PoolManager(timeout=30, retries=False) as http:
        yield http


def _links(cast: Cast, asset_id: UUID) -> list[IssuedLink]:
    with cast.app.app_context():
        enter(cast.acme.id)
        return list(db.session.scalars(select(IssuedLink).filter_by(asset_id=asset_id).order_by(IssuedLink.id)))


def test_a_viewer_saves_the_original_under_its_true_name(cast: Cast, web: urllib3.PoolManager) -> None:
    name = "Übersicht “2026” \U0001f4c4.txt"
    asset_id = make_asset(cast, name)
    store_objects(cast, asset_id)
    answer = cast.vera.api.get(cast.url(f"assets/{asset_id}/download"))
    assert answer.status_code == 302, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    link = answer.headers["Location"]
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["300"]
    got = web.request("GET", link)
    assert (got.status, got.data) == (200, PIXEL)
    assert got.headers["Content-Disposition"].startswith("attachment;")
    assert "filename*=UTF-8''%C3%9Cbersicht%20" in got.headers["Content-Disposition"]


def test_a_link_is_recorded_and_the_file_counts_as_opened(cast: Cast) -> None:
    asset_id = make_asset(cast, size_bytes=5)
    assert read_asset(cast, asset_id).last_opened_at is None
    cast.vera.api.get(cast.url(f"assets/{asset_id}/download"))
    (link,) = _links(cast, asset_id)
    assert (link.user_id, link.variant, link.size_bytes, link.workspace_id) == (cast.vera.id, None, 5, cast.press.id)
    assert 290 < (link.expires_at - link.created_at).total_seconds() <= 300
    assert read_asset(cast, asset_id).last_opened_at is not None


def test_a_variant_is_shown_inline_and_its_link_stays_the_same(cast: Cast, web: urllib3.PoolManager) -> None:
    asset_id = make_asset(cast, "cat.jpg")
    store_objects(cast, asset_id)
    first, second = (cast.vera.api.get(cast.url(f"assets/{asset_id}/download?variant=thumb")) for _ in range(2))
    assert first.status_code == 302, first.text
    assert first.headers["Location"] == second.headers["Location"]
    got = web.request("GET", first.headers["Location"])
    assert (got.status, got.data) == (200, PIXEL)
    assert got.headers["Content-Disposition"] == "inline; filename=cat-thumb.webp"
    assert "private" in got.headers["Cache-Control"]
    assert "immutable" in got.headers["Cache-Control"]
    assert [link.variant for link in _links(cast, asset_id)] == ["thumb", "thumb"]
    left = _links(cast, asset_id)[0].expires_at - _links(cast, asset_id)[0].created_at
    assert 1790 < left.total_seconds() <= 3600
    assert read_asset(cast, asset_id).last_opened_at is None


def test_a_page_saves_a_variant_under_its_name(cast: Cast, web: urllib3.PoolManager) -> None:
    asset_id = make_asset(cast, "cat.jpg")
    store_objects(cast, asset_id)
    got = {}
    for query in ("", "?variant=web"):
        answer = cast.vera.browser.get(cast.page(f"files/{asset_id}/download{query}"))
        assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
        got[query] = web.request("GET", answer.headers["Location"])
    assert [each.status for each in got.values()] == [200, 200]
    assert got[""].headers["Content-Disposition"] == "attachment; filename=cat.jpg"
    assert got["?variant=web"].headers["Content-Disposition"] == "attachment; filename=cat-web.webp"


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        (AssetState.PROCESSING, "conflict", "still being checked"),
        (AssetState.QUARANTINED, "held", "in quarantine"),
        (AssetState.FAILED, "conflict", "was rejected"),
        (AssetState.DELETED, "conflict", "in the trash"),
    ],
)
def test_what_is_not_available_has_no_link(cast: Cast, state: AssetState, code: str, words: str) -> None:
    asset_id = make_asset(cast, state=state)
    for query in ("", "?variant=thumb"):
        answer = cast.alice.api.get(cast.url(f"assets/{asset_id}/download{query}"))
        assert answer.status_code == 409
        assert answer.get_json()["code"] == code
        assert words in answer.get_json()["detail"]
    assert _links(cast, asset_id) == []


def test_mallory_and_an_admin_who_is_no_member_get_404(cast: Cast) -> None:
    asset_id = make_asset(cast)
    for actor in (cast.mallory, cast.tina):
        assert actor.api.get(cast.url(f"assets/{asset_id}/download")).status_code == 404
        assert actor.browser.get(cast.page(f"files/{asset_id}/download")).status_code == 404
    foreign = cast.url(f"assets/{asset_id}/download", cast.lair)
    missing = cast.url(f"assets/{new_id()}/download", cast.lair)
    assert cast.mallory.api.get(foreign).get_json() == cast.mallory.api.get(missing).get_json()
    assert _links(cast, asset_id) == []


def test_a_version_that_is_not_there_is_not_found(cast: Cast) -> None:
    asset_id = make_asset(cast)
    for query, status in (("?variant=huge", 404), ("?variant=" + "x" * 50, 422), ("?variant=", 422)):
        assert cast.vera.api.get(cast.url(f"assets/{asset_id}/download{query}")).status_code == status


def test_nobody_gets_a_link(cast: Cast) -> None:
    asset_id = make_asset(cast)
    assert cast.nobody.get(cast.url(f"assets/{asset_id}/download")).status_code == 401
    assert "/login" in cast.nobody.get(cast.page(f"files/{asset_id}/download")).headers["Location"]
