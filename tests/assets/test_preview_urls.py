"""Addresses of derived files."""

from __future__ import annotations

import time

import httpx
import pytest

from portal.assets import preview_urls
from tests.support.factories import PIXEL, make_asset, store_objects
from tests.support.people import Cast


def address(cast: Cast, asset_id: object) -> str:
    url: str = cast.vera.api.get(cast.url(f"assets/{asset_id}")).get_json()["variants"][0]["url"]
    return url


def test_the_store_answers_with_the_file_for_browsers_to_keep(cast: Cast) -> None:
    asset_id = make_asset(cast, 'a "b" ü.jpg')
    store_objects(cast, asset_id)
    answer = httpx.get(address(cast, asset_id), trust_env=False)
    assert (answer.status_code, answer.content) == (200, PIXEL)
    assert answer.headers["cache-control"] == "private, max-age=3600, immutable"
    assert answer.headers["content-disposition"].startswith("inline; filename=")


def test_an_address_stays_the_same_for_half_an_hour_and_is_good_for_another(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset_id = make_asset(cast)
    begin = 1_800_000_000 // preview_urls.WINDOW * preview_urls.WINDOW
    monkeypatch.setattr(time, "time", lambda: begin + 0.5)
    first = address(cast, asset_id)
    monkeypatch.setattr(time, "time", lambda: begin + preview_urls.WINDOW - 0.5)
    assert address(cast, asset_id) == first
    monkeypatch.setattr(time, "time", lambda: begin + preview_urls.WINDOW + 0.5)
    assert address(cast, asset_id) != first
    assert "X-Amz-Expires=3600" in first
    assert preview_urls.LIFE - preview_urls.WINDOW == 1800
