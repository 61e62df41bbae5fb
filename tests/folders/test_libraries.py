"""Libraries and folders."""

from __future__ import annotations

import pytest

from tests.support.people import Cast


def test_a_workspace_begins_with_the_library_files(cast: Cast) -> None:
    listed = cast.vera.api.get(cast.url("libraries")).get_json()
    assert ([item["name"] for item in listed["items"]], listed["next_cursor"]) == (["Files"], None)


def test_an_editor_adds_libraries_and_folders(cast: Cast) -> None:
    press = cast.bob.api.post(cast.url("libraries"), json={"name": "  Press kit "})
    assert (press.status_code, press.get_json()["name"]) == (201, "Press kit")
    year = cast.bob.api.post(
        cast.url("folders"), json={"name": "2026", "library_id": press.get_json()["id"]}
    ).get_json()
    may = cast.bob.api.post(
        cast.url("folders"), json={"name": "May", "library_id": press.get_json()["id"], "parent_id": year["id"]}
    )
    assert (may.status_code, may.get_json()["parent_id"]) == (201, year["id"])
    top = cast.vera.api.get(cast.url(f"folders?library_id={press.get_json()['id']}")).get_json()["items"]
    below = cast.vera.api.get(
        cast.url(f"folders?library_id={press.get_json()['id']}&parent_id={year['id']}")
    ).get_json()["items"]
    assert ([item["name"] for item in top], [item["name"] for item in below]) == (["2026"], ["May"])
    assert cast.vera.api.get(cast.url("folders")).get_json()["items"] == []


def test_a_name_is_there_once(cast: Cast) -> None:
    for path, body in (("libraries", {"name": "Files"}), ("folders", {"name": "2026"})):
        if path == "folders":
            assert cast.bob.api.post(cast.url(path), json=body).status_code == 201
        again = cast.bob.api.post(cast.url(path), json=body)
        assert (again.status_code, again.get_json()["code"], again.get_json()["field"]) == (409, "conflict", "name")


@pytest.mark.parametrize("name", ["", "  ", "a/b", "line\nbreak", "x" * 256])
def test_a_name_that_can_not_be_one_is_refused(cast: Cast, name: str) -> None:
    for path in ("libraries", "folders"):
        answer = cast.bob.api.post(cast.url(path), json={"name": name})
        assert (answer.status_code, answer.get_json()["field"]) == (422, "name")


def test_a_folder_of_another_library_or_workspace_is_no_parent(cast: Cast) -> None:
    press = cast.bob.api.post(cast.url("libraries"), json={"name": "Press kit"}).get_json()["id"]
    (files, _) = cast.bob.api.get(cast.url("libraries")).get_json()["items"]
    year = cast.bob.api.post(cast.url("folders"), json={"name": "2026", "library_id": press}).get_json()["id"]
    for actor, body in (
        (cast.bob, {"name": "May", "parent_id": year, "library_id": files["id"]}),
        (cast.mallory, {"name": "May", "parent_id": year}),
        (cast.mallory, {"name": "May", "library_id": press}),
    ):
        place = cast.press if actor is cast.bob else cast.lair
        assert actor.api.post(cast.url("folders", place), json=body).status_code == 404


def test_a_viewer_may_look_not_add_and_mallory_finds_nothing(cast: Cast) -> None:
    for path in ("libraries", "folders"):
        assert cast.vera.api.get(cast.url(path)).status_code == 200
        assert cast.vera.api.post(cast.url(path), json={"name": "x"}).status_code == 403
        assert cast.mallory.api.get(cast.url(path)).status_code == 404
        assert cast.mallory.api.post(cast.url(path), json={"name": "x"}).status_code == 404
