"""Another name for a file."""

from __future__ import annotations

import re

import pytest

from portal.assets.models import AssetState, PreviewState
from tests.library.test_trash import actions
from tests.support.factories import make_asset, read_asset
from tests.support.people import Cast

HTMX = {"HX-Request": "true"}


def test_a_file_gets_another_name_and_is_found_and_downloaded_by_it(cast: Cast) -> None:
    asset_id = make_asset(cast, "IMG_0042.JPG")
    key = read_asset(cast, asset_id).object_key
    answer = cast.bob.api.patch(cast.url(f"assets/{asset_id}"), json={"file_name": " Palast fru\u0308h.jpg "})
    assert (answer.status_code, answer.get_json()["file_name"]) == (200, "Palast früh.jpg")
    assert read_asset(cast, asset_id).object_key == key  # the bytes stay where they are
    assert cast.vera.api.get(cast.url("assets?q=palast")).get_json()["items"][0]["asset_id"] == str(asset_id)
    assert "fr%C3%BCh.jpg" in cast.vera.api.get(cast.url(f"assets/{asset_id}/download")).headers["Location"].replace(
        "%25C3%25BC", "%C3%BC"
    )
    assert actions(cast) == ["asset.renamed"]
    again = cast.bob.api.patch(cast.url(f"assets/{asset_id}"), json={"file_name": "Palast früh.jpg"})
    assert (again.status_code, actions(cast)) == (200, ["asset.renamed"])


@pytest.mark.parametrize(
    "name", ["file.exe", "file", ".jpg", "  ", "a/b.jpg", "gpj\u202e.jpg", "x" * 252 + ".jpg", "two\nlines.jpg"]
)
def test_what_can_be_no_name_or_ends_otherwise_is_refused(cast: Cast, name: str) -> None:
    asset_id = make_asset(cast, "file.jpg")
    answer = cast.alice.api.patch(cast.url(f"assets/{asset_id}"), json={"file_name": name})
    assert (answer.status_code, answer.get_json()["field"]) == (422, "file_name")
    assert read_asset(cast, asset_id).file_name == "file.jpg"


@pytest.mark.parametrize(
    "state", [AssetState.PROCESSING, AssetState.QUARANTINED, AssetState.FAILED, AssetState.DELETED]
)
def test_only_what_is_ready_is_renamed(cast: Cast, state: AssetState) -> None:
    asset_id = make_asset(cast, "file.jpg", state=state, previews=PreviewState.NONE)
    answer = cast.alice.api.patch(cast.url(f"assets/{asset_id}"), json={"file_name": "other.jpg"})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "conflict")
    assert read_asset(cast, asset_id).file_name == "file.jpg"


def test_whoever_saw_an_older_name_is_told_so(cast: Cast) -> None:
    asset_id = make_asset(cast, "file.jpg")
    change = {"file_name": "mine.jpg", "seen_name": "file.jpg"}
    assert cast.alice.api.patch(cast.url(f"assets/{asset_id}"), json=change).status_code == 200
    late = cast.bob.api.patch(cast.url(f"assets/{asset_id}"), json={**change, "file_name": "his.jpg"})
    assert late.status_code == 409
    assert "mine.jpg" in late.get_json()["detail"]


def test_viewers_and_strangers_rename_nothing(cast: Cast) -> None:
    asset_id = make_asset(cast, "file.jpg")
    change = {"file_name": "other.jpg"}
    assert cast.vera.api.patch(cast.url(f"assets/{asset_id}"), json=change).status_code == 403
    assert cast.mallory.api.patch(cast.url(f"assets/{asset_id}"), json=change).status_code == 404
    assert cast.vera.browser.get(cast.page(f"files/{asset_id}/rename")).status_code == 403
    assert cast.mallory.browser.post(cast.page(f"files/{asset_id}/rename"), data={"name": "other"}).status_code == 404
    assert read_asset(cast, asset_id).file_name == "file.jpg"


def test_the_form_asks_for_what_stands_before_the_ending(cast: Cast) -> None:
    asset_id = make_asset(cast, "day 1.JPG")
    form = cast.bob.browser.get(cast.page(f"files/{asset_id}/rename"), headers=HTMX).text
    assert re.search(r'name="name" value="day 1"', form)
    assert ">.JPG<" in form
    sent = {"name": "night", "seen_name": "day 1.JPG"}
    done = cast.bob.browser.post(cast.page(f"files/{asset_id}/rename"), data=sent, headers=HTMX)
    assert (done.status_code, read_asset(cast, asset_id).file_name) == (200, "night.JPG")
    refused = cast.bob.browser.post(cast.page(f"files/{asset_id}/rename"), data={"name": "a/b"}, headers=HTMX)
    assert refused.status_code == 422
    assert 'value="a/b"' in refused.text
    plain = cast.bob.browser.post(cast.page(f"files/{asset_id}/rename"), data={"name": "without script"})
    assert (plain.status_code, plain.headers["Location"]) == (303, cast.page(f"files/{asset_id}"))
