"""The gallery, a file's page and the trash, as a browser gets them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event, update

from portal.assets.models import AssetState, PreviewState, Variant
from portal.database import db, transaction
from portal.identity.models import User
from tests.support.factories import change_asset, make_asset, make_assets, read_asset
from tests.support.people import Cast
from tests.support.statement_counter import CACHED

HTMX = {"HX-Request": "true"}


def shown(page: str) -> list[str]:
    """The ids of the assets on a page, in order."""
    return re.findall(r'id="asset-([0-9a-f-]{36})"', page)


@contextmanager
def counted_statements(cast: Cast) -> Iterator[list[str]]:
    """What is asked of the database meanwhile."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if CACHED not in statement:
            statements.append(statement)

    with cast.app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("view", ["grid", "list"])
def test_the_gallery_shows_the_newest_first_and_leads_to_the_rest(cast: Cast, view: str) -> None:
    made = [str(asset_id) for asset_id in make_assets(cast, 5)]
    page = cast.vera.browser.get(cast.page(f"files?limit=3&view={view}"))
    assert (page.status_code, shown(page.text)) == (200, made[:1:-1])
    more = html.unescape(re.search(r'<a class="btn" href="([^"]+)"', page.text)[1])  # type: ignore[index]
    rest = cast.vera.browser.get(more, headers=HTMX)
    assert shown(rest.text) == made[1::-1]
    assert "<html" not in rest.text
    whole = cast.vera.browser.get(more)
    assert shown(whole.text) == made[1::-1]
    assert "<html" in whole.text


def test_the_facts_of_a_small_picture_are_told_once_and_in_order(cast: Cast) -> None:
    facts = {"format": "JPEG", "width": 40, "height": 30, "exif": {"orientation": 6, "camera_model": "EOS 5D"}}
    asset_id = make_asset(cast, size_bytes=68, facts=facts)
    with cast.app.app_context(), transaction(cast.acme.id) as session:
        session.execute(update(Variant).where(Variant.asset_id == asset_id).values(width=40, height=30))
    page = cast.vera.browser.get(cast.page(f"files/{asset_id}")).text
    names = ["thumb", "small", "medium", "large", "web"]
    assert re.findall(r'<th scope="row">(\w+)</th><td>40 × 30', page) == names
    assert "EOS 5D" in page and "rientation" not in page
    assert page.partition(">Size<")[2].partition("</dd>")[0].count("68 bytes") == 2  # once, and on hover


def test_the_view_is_kept_in_a_cookie(cast: Cast) -> None:
    make_asset(cast)
    assert "<article" in cast.vera.browser.get(cast.page("files")).text
    assert "<article" not in cast.vera.browser.get(cast.page("files?view=list")).text
    assert "<article" not in cast.vera.browser.get(cast.page("files")).text
    assert "<article" in cast.vera.browser.get(cast.page("files?view=grid")).text


def test_filters_are_in_the_address_and_stay_in_its_links(cast: Cast) -> None:
    make_assets(cast, 3)
    other = make_asset(cast, "other.pdf", kind="document")
    page = cast.vera.browser.get(cast.page("files?q=other&kind=document&status=available"))
    assert shown(page.text) == [str(other)]
    narrowed = html.unescape(cast.vera.browser.get(cast.page("files?q=file&limit=2")).text)
    assert re.search(r'href="[^"]*files\?[^"]*q=file[^"]*cursor=|href="[^"]*cursor=[^"]*q=file', narrowed)


def test_a_page_costs_the_same_six_statements_for_one_asset_and_for_twenty(cast: Cast) -> None:
    """The session with its places, the tenant's scope, the files with their previews; for the frame storage profiles,
    libraries, usage.
    """
    browser = cast.vera.browser  # is logged in with this
    make_asset(cast)
    with counted_statements(cast) as few:
        browser.get(cast.page("files"))
    make_assets(cast, 20)
    with counted_statements(cast) as many:
        browser.get(cast.page("files"))
    assert len(many) == len(few) == 6


def test_names_can_not_break_the_page(cast: Cast) -> None:
    asset_id = make_asset(cast, '"><script>alert(1)</script>.jpg')
    for path in ("files", "files?view=list", f"files/{asset_id}"):
        assert "<script>alert" not in cast.vera.browser.get(cast.page(path)).text


@pytest.mark.parametrize(
    ("state", "previews", "asks_again"),
    [
        (AssetState.PROCESSING, PreviewState.NONE, True),
        (AssetState.AVAILABLE, PreviewState.PENDING, True),
        (AssetState.AVAILABLE, PreviewState.READY, False),
        (AssetState.AVAILABLE, PreviewState.FAILED, False),
        (AssetState.QUARANTINED, PreviewState.NONE, False),
        (AssetState.FAILED, PreviewState.NONE, False),
    ],
)
def test_a_card_asks_for_itself_until_it_is_final(
    cast: Cast, state: AssetState, previews: PreviewState, asks_again: bool
) -> None:
    asset_id = make_asset(cast, state=state, previews=previews)
    for path in (f"files/{asset_id}/card?view=grid", f"files/{asset_id}/card?view=list", f"files/{asset_id}/panel"):
        fragment = cast.vera.browser.get(cast.page(path), headers=HTMX).text
        assert ('hx-trigger="load' in fragment) is asks_again
        assert "<html" not in fragment


def test_a_card_shows_the_next_state_at_once(cast: Cast) -> None:
    asset_id = make_asset(cast, state=AssetState.PROCESSING, previews=PreviewState.NONE)
    assert "Checking" in cast.vera.browser.get(cast.page("files")).text
    change_asset(cast, asset_id, waiting_for="scanner_unavailable")
    assert "Waiting for the virus scanner" in cast.vera.browser.get(cast.page("files")).text
    change_asset(cast, asset_id, state=AssetState.QUARANTINED, scan_result="infected", waiting_for=None)
    assert "Quarantined: virus found" in cast.vera.browser.get(cast.page("files")).text


@pytest.mark.parametrize("view", ["grid", "list"])
def test_new_cards_come_in_their_place(cast: Cast, view: str) -> None:
    page = cast.page(f"files?view={view}")
    made = make_assets(cast, 3)
    assert shown(cast.vera.browser.get(page).text) == [str(each) for each in made[::-1]]
    change_asset(cast, made[1], file_name="changed.jpg")
    made.append(make_asset(cast, "newest.jpg"))
    again = cast.vera.browser.get(page).text
    assert shown(again) == [str(each) for each in made[::-1]]
    assert again.index("newest.jpg") < again.index("changed.jpg")


def test_a_list_shows_the_present_name_of_who_added_a_file(cast: Cast) -> None:
    make_asset(cast)
    page = cast.page("files?view=list")
    assert "Alice" in cast.vera.browser.get(page).text
    with cast.app.app_context(), transaction():
        db.session.execute(update(User).where(User.id == cast.alice.id).values(name="Alicia"))
    assert "Alicia" in cast.vera.browser.get(page).text


def test_the_frame_shows_what_has_changed(cast: Cast) -> None:
    page = cast.page("files")
    before = cast.bob.browser.get(page).text
    assert 'type="search" name="q" value="sea"' in cast.bob.browser.get(page + "?q=sea").text
    cast.bob.api.post(cast.url("libraries"), json={"name": "Press kit"})
    make_asset(cast, size_bytes=3 * 1024**3, charged_bytes=3 * 1024**3)
    after = cast.bob.browser.get(page).text
    assert ("Press kit" in before, "Press kit" in after) == (False, True)
    assert ("3 GB" in before, "3 GB" in after) == (False, True)


def test_a_card_in_the_trash_is_nothing(cast: Cast) -> None:
    asset_id = make_asset(cast)
    cast.bob.api.delete(cast.url(f"assets/{asset_id}"))
    answer = cast.vera.browser.get(cast.page(f"files/{asset_id}/card"), headers=HTMX)
    assert (answer.status_code, answer.text) == (200, "")


def test_each_person_gets_their_own_form_token_name_and_rights(cast: Cast) -> None:
    make_asset(cast)
    pages = [actor.browser.get(cast.page("files")).text for actor in (cast.bob, cast.alice)]
    assert [cast.bob.email in page for page in pages] == [True, False]
    tokens = [re.findall(r'name="csrf_token" value="([^"]+)"', page) for page in pages]
    assert all(tokens) and not set(tokens[0]) & set(tokens[1])
    assert "discard" not in cast.vera.browser.get(cast.page("files")).text


def test_opening_the_page_counts_as_opening_and_a_thumbnail_does_not(cast: Cast) -> None:
    asset_id = make_asset(cast)
    for path in ("files", f"files/{asset_id}/card", f"files/{asset_id}/panel"):
        cast.vera.browser.get(cast.page(path))
    assert read_asset(cast, asset_id).last_opened_at is None
    assert cast.vera.browser.get(cast.page(f"files/{asset_id}")).status_code == 200
    assert read_asset(cast, asset_id).last_opened_at is not None


def test_the_page_of_a_file_shows_its_facts(cast: Cast) -> None:
    exif = {"camera_model": "X-T5", "exposure": "1/250", "gps": {"lat": 48.1, "lon": 11.5}}
    asset_id = make_asset(cast, "sea.jpg", facts={"format": "JPEG", "width": 40, "height": 30, "exif": exif})
    page = cast.vera.browser.get(cast.page(f"files/{asset_id}")).text
    for words in ("sea.jpg", "X-T5", "1/250 s", "48.10000, 11.50000", "Alice", "image/jpeg", "Clean"):
        assert words in page
    assert cast.mallory.browser.get(cast.page(f"files/{asset_id}")).status_code == 404


def test_moving_to_the_trash_offers_undo_and_works_without_script(cast: Cast) -> None:
    asset_id, other = make_asset(cast), make_asset(cast, "other.jpg")
    answer = cast.bob.browser.post(cast.page(f"files/{asset_id}/discard"), headers=HTMX)
    assert (answer.status_code, answer.text) == (200, "")
    assert cast.page(f"trash/{asset_id}/restore") in answer.headers["HX-Trigger"]
    came_from = {"Referer": "http://localhost" + cast.page("files?kind=photo")}
    plain = cast.bob.browser.post(cast.page(f"files/{other}/discard"), headers=came_from)
    assert (plain.status_code, plain.headers["Location"]) == (303, cast.page("files?kind=photo"))
    assert {read_asset(cast, each).state for each in (asset_id, other)} == {AssetState.DELETED}
    assert cast.vera.browser.post(cast.page(f"files/{other}/discard")).status_code == 403


def test_nobody_is_led_to_another_site(cast: Cast) -> None:
    asset_id = make_asset(cast)
    for place in ("https://evil.example/t/x", "//evil.example" + cast.page("files"), "https://evil.example//evil"):
        answer = cast.bob.browser.post(cast.page(f"files/{asset_id}/discard"), headers={"Referer": place})
        assert answer.headers["Location"] == cast.page("files")


def test_the_trash_lists_restores_and_empties(cast: Cast) -> None:
    ids = make_assets(cast, 3)
    for asset_id in ids:
        cast.bob.api.delete(cast.url(f"assets/{asset_id}"))
    page = cast.bob.browser.get(cast.page("trash"))
    assert shown(page.text) == [str(asset_id) for asset_id in reversed(ids)]
    assert "3 files" in page.text
    part = cast.bob.browser.get(cast.page("trash?limit=2")).text
    more = html.unescape(re.search(r'<a class="btn" href="([^"]+)"', part)[1])  # type: ignore[index]
    assert shown(cast.bob.browser.get(more, headers=HTMX).text) == [str(ids[0])]
    assert cast.bob.browser.post(cast.page(f"trash/{ids[0]}/restore")).status_code == 303
    assert cast.bob.browser.post(cast.page(f"trash/{ids[1]}/purge")).headers["Location"] == cast.page("trash")
    assert shown(cast.bob.browser.get(cast.page("trash")).text) == [str(ids[2])]
    assert cast.bob.browser.post(cast.page("trash/empty")).status_code == 303
    assert shown(cast.bob.browser.get(cast.page("trash")).text) == []
    for path in (f"trash/{ids[2]}/restore", f"trash/{ids[2]}/purge", "trash/empty"):
        assert cast.vera.browser.post(cast.page(path)).status_code == 403
        assert cast.mallory.browser.post(cast.page(path)).status_code == 404


def test_an_empty_workspace_teaches(cast: Cast) -> None:
    assert "What may be uploaded" in cast.bob.browser.get(cast.page("files")).text
    assert "Nothing found" in cast.bob.browser.get(cast.page("files?q=zebra")).text
