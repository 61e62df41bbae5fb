"""Folders in the pages: what a place shows, and the forms that change it, with and without script."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from uuid import UUID

from tests.folders.test_folders import change, folder, post
from tests.library.test_gallery import shown
from tests.support.factories import make_asset, make_assets, read_asset
from tests.support.people import Actor, Cast
from tests.support.quarantine import quarantined
from tests.support.statement_counter import counted

HTMX = {"HX-Request": "true", "HX-Target": "sheet-body"}


def page_of(cast: Cast, where: str, actor: Actor | None = None) -> str:
    answer = (actor or cast.bob).browser.get(cast.page(f"files?{where}"))
    assert answer.status_code == 200, answer.text
    return answer.text


def folders_on(page: str) -> list[str]:
    return [html.unescape(name) for name in re.findall(r'<bdi class="folder-name" title="([^"]*)"', page)]


def first_library(cast: Cast) -> str:
    return str(cast.vera.api.get(cast.url("libraries")).get_json()["items"][0]["id"])


def test_a_place_shows_its_folders_by_name_then_its_own_files(cast: Cast) -> None:
    for name in ("zebra", "Apple", "banana"):
        folder(cast, name)
    inner = folder(cast, "inner", folder(cast, "Ahead"))
    top, deep = make_asset(cast, "top.jpg"), make_asset(cast, "deep.jpg", folder_id=UUID(inner))
    library = first_library(cast)
    for view in ("grid", "list"):
        page = page_of(cast, f"library={library}&view={view}")
        assert folders_on(page) == ["Ahead", "Apple", "banana", "zebra"]
        assert shown(page) == [str(top)]
        page = page_of(cast, f"folder_id={inner}&view={view}")
        assert folders_on(page) == [] and shown(page) == [str(deep)]
        assert [name in page for name in ("Ahead", "inner", "Files")] == [True] * 3
    assert set(shown(page_of(cast, ""))) == {str(top), str(deep)}  # all files, wherever they lie
    assert folders_on(page_of(cast, "")) == []


def test_many_folders_come_in_pages(cast: Cast) -> None:
    names = [f"folder {number:03}" for number in range(130)]
    post(cast.bob, cast, "folders/paths", paths=names)
    address, found = cast.page(f"files?library={first_library(cast)}"), list[str]()
    while address:
        page = cast.vera.browser.get(address, headers=HTMX).text
        found += folders_on(page)
        more = re.search(r'href="([^"]*folders=[^"]*)"', page)
        address = html.unescape(more[1]) if more else ""
    assert found == names


def test_a_place_costs_one_statement_more_however_many_folders_there_are(cast: Cast) -> None:
    make_asset(cast)
    library = first_library(cast)
    page_of(cast, "")
    with counted() as plain:
        page_of(cast, "")
    folder(cast, "one")
    page_of(cast, f"library={library}")
    with counted() as few:
        page_of(cast, f"library={library}")
    made = post(cast.bob, cast, "folders/paths", paths=[f"{number}/a/b" for number in range(50)]).get_json()["items"]
    make_asset(cast, folder_id=UUID(made[0]["folder_id"]))
    with counted() as many:
        page_of(cast, f"library={library}")
    with counted() as deep:
        page_of(cast, f"folder_id={made[0]['folder_id']}")
    # The switches are read again every three seconds, whichever page it is.
    numbers = [len([each for each in seen if "FROM switches" not in each]) for seen in (plain, few, many, deep)]
    assert numbers == [numbers[0]] + [numbers[0] + 1] * 3


def test_a_search_looks_everywhere_and_says_where(cast: Cast) -> None:
    may = folder(cast, "May & June", folder(cast, "2026"))
    deep = make_asset(cast, "palace.jpg", folder_id=UUID(may))
    make_asset(cast, "palace-two.jpg")
    for view in ("grid", "list"):
        page = page_of(cast, f"q=palace&view={view}")
        assert len(shown(page)) == 2
        assert "Files / 2026 / May &amp; June" in page
    post(cast.bob, cast, "assets/move", asset_ids=[str(deep)])
    assert "May &amp; June" not in page_of(cast, "q=palace")


def test_another_place_does_not_exist(cast: Cast) -> None:
    year, press = folder(cast, "2026"), post(cast.bob, cast, "libraries", name="Press").get_json()["id"]
    nowhere = "01a209ee-6c61-7cb8-a178-73c927ec17b1"
    for where in (f"folder_id={nowhere}", f"library={nowhere}", f"library={press}&folder_id={year}"):
        assert cast.bob.browser.get(cast.page(f"files?{where}")).status_code == 404
    cast.bob.api.delete(cast.url(f"folders/{year}"))
    assert cast.bob.browser.get(cast.page(f"files?folder_id={year}")).status_code == 404
    lair = f"/t/{cast.evil.slug}/w/{cast.lair.slug}/files?library={press}"
    assert cast.mallory.browser.get(lair).status_code == 404


def test_a_card_is_given_to_its_own_place_alone(cast: Cast) -> None:
    year, library = folder(cast, "2026"), first_library(cast)
    asset = make_asset(cast, folder_id=UUID(year))
    card = f"files/{asset}/card?view=grid"
    sizes = [
        len(cast.vera.browser.get(cast.page(card + where), headers=HTMX).text)
        for where in ("", f"&folder_id={year}", f"&library={library}", f"&folder_id={folder(cast, 'other')}")
    ]
    assert sizes[0] == sizes[1] > 0 and sizes[2:] == [0, 0]


def told(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.headers["HX-Trigger"])
    return found


def test_a_folder_is_made_and_renamed_above_the_page(cast: Cast) -> None:
    year = folder(cast, "2026")
    new = cast.page(f"folders/new?folder_id={year}")
    form = cast.bob.browser.get(new, headers=HTMX)
    assert "<html" not in form.text and 'name="name"' in form.text
    taken = cast.bob.browser.post(cast.page("folders/new"), data={"name": "2026"}, headers=HTMX)
    assert taken.status_code == 409 and "already" in taken.text and 'value="2026"' in taken.text
    made = cast.bob.browser.post(new, data={"name": "May"}, headers=HTMX)
    assert (made.status_code, made.text) == (200, "") and "May" in told(made)["toast"]["text"]
    rename = cast.page(f"folders/{year}/rename")
    seen = {"name": "2027", "seen_name": "2025"}
    assert cast.bob.browser.post(rename, data=seen, headers=HTMX).status_code == 409
    assert cast.bob.browser.post(rename, data=seen | {"seen_name": "2026"}, headers=HTMX).text == ""
    assert folders_on(page_of(cast, f"library={first_library(cast)}")) == ["2027"]
    assert folders_on(page_of(cast, f"folder_id={year}")) == ["May"]


def test_without_script_the_same_forms_are_pages_that_lead_on(cast: Cast) -> None:
    assert "<html" in cast.bob.browser.get(cast.page("folders/new")).text
    made = cast.bob.browser.post(cast.page("folders/new"), data={"name": "2026"})
    assert made.status_code == 303
    page = cast.bob.browser.get(made.location).text
    assert folders_on(page) == ["2026"] and "made." in page
    (year,) = re.findall(r'data-folder="([0-9a-f-]{36})"', page)
    ids = [str(each) for each in make_assets(cast, 2)]
    chooser = cast.bob.browser.post(cast.page("move"), data={"asset": ids})
    assert "Move 2 files" in chooser.text and "2026" in chooser.text
    assert "They lie here already." in chooser.text and "disabled>Move to" in chooser.text
    deeper = cast.bob.browser.post(cast.page("move"), data={"asset": ids, "at": f"folder:{year}"})
    assert f'name="into" value="folder:{year}" autofocus>' in deeper.text
    done = cast.bob.browser.post(cast.page("move"), data={"asset": ids, "into": f"folder:{year}"})
    assert set(shown(cast.bob.browser.get(done.location).text)) == set(ids)
    assert cast.bob.browser.post(cast.page("move"), data={}).status_code == 303
    away = cast.bob.browser.post(cast.page(f"folders/{year}/delete"))
    assert folders_on(cast.bob.browser.get(away.location).text) == []


def test_where_everything_lies_already_there_is_nothing_to_move(cast: Cast) -> None:
    year = folder(cast, "2026")
    inner, here = folder(cast, "inner", year), make_asset(cast, folder_id=UUID(year))
    elsewhere = make_asset(cast)
    for chosen, lie in (
        ({"asset": [str(here)]}, True),
        ({"folder": [inner]}, True),
        ({"asset": [str(here)], "folder": [inner]}, True),
        ({"asset": [str(here), str(elsewhere)]}, False),
        ({"folder": [year]}, False),
    ):
        page = cast.bob.browser.post(cast.page("move"), data={**chosen, "at": f"folder:{year}"}, headers=HTMX).text
        assert ("here already" in page) is lie
        assert ("disabled>Move to" in page) is lie


def test_a_move_is_undone_from_its_toast(cast: Cast) -> None:
    year, other = folder(cast, "2026"), folder(cast, "other")
    first, second = make_asset(cast, folder_id=UUID(year)), make_asset(cast)
    chosen = {"asset": [str(first), str(second)], "folder": [year], "into": f"folder:{other}"}
    toast = told(cast.bob.browser.post(cast.page("move"), data=chosen, headers=HTMX))["toast"]
    assert "3 moved to “other”" in toast["text"]
    assert {str(read_asset(cast, each).folder_id) for each in (first, second)} == {other}
    assert folders_on(page_of(cast, f"folder_id={other}")) == ["2026"]
    assert cast.bob.browser.post(toast["undo_url"], data=toast["undo_values"]).status_code == 303
    assert [read_asset(cast, each).folder_id for each in (first, second)] == [UUID(year), None]
    assert folders_on(page_of(cast, f"library={first_library(cast)}")) == ["2026", "other"]


def test_a_move_that_can_not_be_is_answered_in_the_form(cast: Cast) -> None:
    year = folder(cast, "2026")
    inner = folder(cast, "inner", year)
    into_itself = {"folder": [year], "into": f"folder:{inner}"}
    answer = cast.bob.browser.post(cast.page("move"), data=into_itself, headers=HTMX)
    assert answer.status_code == 409 and "into itself" in answer.text
    for bad in ({"asset": ["x"]}, {"asset": ["x"] * 501}, {"folder": [year], "into": "folder:x"}):
        assert cast.bob.browser.post(cast.page("move"), data=bad).status_code == 422
    assert cast.bob.browser.post(cast.page("put-back"), data={"was": ["asset:x:y"]}).status_code == 422


def test_the_question_before_a_folder_is_deleted_has_real_numbers(cast: Cast) -> None:
    year = folder(cast, "2026")
    may = folder(cast, "May", year)
    make_asset(cast, folder_id=UUID(may), size_bytes=3 * 1024 * 1024)
    make_asset(cast, folder_id=UUID(year), size_bytes=1024 * 1024)
    make_asset(cast, folder_id=UUID(year), state="processing", previews="none")
    asked = cast.bob.browser.get(cast.page(f"folders/{year}/delete"), headers=HTMX).text
    for words in (
        "Delete “2026”?",
        "2 files, 4 MB, go to the trash",
        "1 folder in it",
        "1 file is still being checked",
    ):
        assert words in asked
    toast = told(cast.bob.browser.post(cast.page(f"folders/{year}/delete"), headers=HTMX))["toast"]
    assert "2 files are in the trash" in toast["text"]
    cast.bob.browser.post(toast["undo_url"])
    assert folders_on(page_of(cast, f"library={first_library(cast)}")) == ["2026"]


def test_chosen_files_go_to_the_trash_and_come_back(cast: Cast) -> None:
    year = folder(cast, "2026")
    kept = make_asset(cast, folder_id=UUID(year))
    busy = make_asset(cast, state="processing", previews="none")
    chosen = {"asset": [str(kept), str(busy)]}
    toast = told(cast.bob.browser.post(cast.page("discard"), data=chosen, headers=HTMX))["toast"]
    assert toast["text"].startswith("1 file moved to the trash. 1 is still being checked")
    assert read_asset(cast, kept).state == "deleted"
    cast.bob.browser.post(toast["undo_url"], data=toast["undo_values"])
    assert (read_asset(cast, kept).state, read_asset(cast, kept).folder_id) == ("available", UUID(year))


def test_libraries_are_made_and_renamed_in_the_pages(cast: Cast) -> None:
    made = cast.bob.browser.post(cast.page("libraries/new"), data={"name": "Press kit"})
    page = cast.bob.browser.get(made.location).text
    assert "Press kit" in page and "This library is empty" in page
    rename = cast.page(f"libraries/{first_library(cast)}/rename")
    assert cast.bob.browser.post(rename, data={"name": "x"}).status_code == 403
    assert cast.alice.browser.post(rename, data={"name": "Pictures"}).status_code == 303
    assert "Pictures" in page_of(cast, "", cast.vera)


def test_a_viewer_is_offered_nothing_that_changes(cast: Cast) -> None:
    year = folder(cast, "2026")
    make_asset(cast, folder_id=UUID(year))
    page = page_of(cast, f"folder_id={year}", cast.vera)
    assert "New folder" not in page and "data-download-all" in page
    assert 'value="move"' not in page and 'value="discard"' not in page
    for path in ("folders/new", f"folders/{year}/rename", f"folders/{year}/delete", "move", "put-back", "discard"):
        assert cast.vera.browser.post(cast.page(path)).status_code == 403, path


def test_names_can_not_break_the_page(cast: Cast) -> None:
    name = '"><script>alert(1)<\\'.replace("\\", "")
    evil = folder(cast, name)
    make_asset(cast, "palace.jpg", folder_id=UUID(evil))
    assert change(cast, evil, name=name + "!").status_code == 200
    for where in (f"folder_id={evil}", f"library={first_library(cast)}", "q=palace&view=list", "q=palace&view=grid"):
        assert "<script>alert" not in page_of(cast, where)


def test_quarantined_files_stay_when_others_are_moved_and_the_toast_says_so(cast: Cast) -> None:
    other, ready, held = folder(cast, "other"), make_asset(cast), quarantined(cast)
    chosen = {"asset": [str(ready), str(held)], "into": f"folder:{other}"}
    toast = told(cast.bob.browser.post(cast.page("move"), data=chosen, headers=HTMX))["toast"]
    assert toast["text"].startswith("Moved to “other”. 1 file is in quarantine and stays")
    assert [read_asset(cast, each).folder_id for each in (ready, held)] == [UUID(other), None]


def test_quarantined_files_alone_are_not_moved_and_the_form_says_why(cast: Cast) -> None:
    other, held = folder(cast, "other"), quarantined(cast)
    chosen = {"asset": [str(held)], "into": f"folder:{other}"}
    answer = cast.bob.browser.post(cast.page("move"), data=chosen, headers=HTMX)
    assert answer.status_code == 409 and "is in quarantine and can&#39;t be moved" in answer.text
    assert read_asset(cast, held).folder_id is None


def test_a_folder_is_moved_without_its_quarantined_files_and_the_toast_says_so(cast: Cast) -> None:
    year, other = folder(cast, "2026"), folder(cast, "other")
    held = quarantined(cast, folder_id=UUID(year))
    toast = told(
        cast.bob.browser.post(cast.page("move"), data={"folder": [year], "into": f"folder:{other}"}, headers=HTMX)
    )["toast"]
    assert "1 file is in quarantine and stays" in toast["text"]
    assert read_asset(cast, held).folder_id is None
