"""Folders: made, renamed, moved, filled, deleted and taken back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from portal.assets.models import AssetState, PreviewState
from tests.support.api_client import done, refused
from tests.support.client import Scene
from tests.support.factories import find_task, make_asset, make_assets, read_asset
from tests.support.people import Actor, Cast
from tests.support.quarantine import quarantined

RTL = "\u202egpj.exe"


def post(actor: Actor, cast: Cast, path: str, **body: Any) -> TestResponse:
    return actor.api.post(cast.url(path), json=body)


def folder(cast: Cast, name: str, parent: str | None = None, library: str | None = None) -> str:
    answer = post(cast.bob, cast, "folders", name=name, parent_id=parent, library_id=library)
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["id"])


def below(cast: Cast, parent: str | None = None, library: str | None = None) -> list[str]:
    asked = {"parent_id": parent, "library_id": library}
    query = "&".join(f"{name}={value}" for name, value in asked.items() if value)
    return [item["name"] for item in cast.vera.api.get(cast.url(f"folders?{query}")).get_json()["items"]]


def change(cast: Cast, of: str, **body: Any) -> TestResponse:
    return cast.bob.api.patch(cast.url(f"folders/{of}"), json=body)


def in_folder(cast: Cast, where: str) -> set[str]:
    items = cast.vera.api.get(cast.url(f"assets?folder_id={where}")).get_json()["items"]
    return {item["asset_id"] for item in items}


def test_a_folder_says_where_it_lies(cast: Cast) -> None:
    year = folder(cast, "2026")
    may = folder(cast, "May", year)
    shown = cast.vera.api.get(cast.url(f"folders/{may}")).get_json()
    assert [step["name"] for step in shown["path"]] == ["2026", "May"]
    assert (shown["parent_id"], shown["path"][0]["id"]) == (year, year)


def test_a_folder_is_renamed_and_moved_with_all_in_it(cast: Cast) -> None:
    year, archive = folder(cast, "2026"), folder(cast, "Archive")
    may = folder(cast, "May", year)
    asset = make_asset(cast, folder_id=UUID(may))
    assert change(cast, year, name="Last year", parent_id=archive).get_json()["name"] == "Last year"
    assert below(cast) == ["Archive"] and below(cast, archive) == ["Last year"] and below(cast, year) == ["May"]
    assert in_folder(cast, may) == {str(asset)}
    assert change(cast, year, parent_id=None).status_code == 200
    assert sorted(below(cast)) == ["Archive", "Last year"]


def test_a_folder_goes_to_another_library_with_its_folders_and_files(cast: Cast) -> None:
    press = post(cast.bob, cast, "libraries", name="Press kit").get_json()["id"]
    year = folder(cast, "2026")
    may = folder(cast, "May", year)
    kept, binned = make_asset(cast, folder_id=UUID(may)), make_asset(cast, "old.jpg", folder_id=UUID(may))
    cast.bob.api.delete(cast.url(f"assets/{binned}"))
    assert change(cast, year, library_id=press, parent_id=None).get_json()["library_id"] == press
    assert below(cast) == [] and below(cast, library=press) == ["2026"]
    assert {str(read_asset(cast, each).library_id) for each in (kept, binned)} == {press}
    assert cast.vera.api.get(cast.url(f"folders/{may}")).get_json()["library_id"] == press


def test_a_folder_can_not_lie_in_itself_nor_too_deep(cast: Cast) -> None:
    tops = [folder(cast, "1")]
    for depth in range(2, 21):
        tops.append(folder(cast, str(depth), tops[-1]))
    for target in (tops[0], tops[5]):
        answer = change(cast, tops[0], parent_id=target)
        assert (answer.status_code, answer.get_json()["code"]) == (409, "conflict")
        assert "into itself" in answer.get_json()["detail"]
    deep = post(cast.bob, cast, "folders", name="21", parent_id=tops[-1])
    pair = folder(cast, "pair")
    folder(cast, "inner", pair)
    for answer in (deep, change(cast, pair, parent_id=tops[18])):
        assert answer.status_code == 409 and "20 levels deep" in answer.get_json()["detail"]
    assert change(cast, pair, parent_id=tops[17]).status_code == 200


def test_a_name_that_is_taken_there_is_refused_and_free_elsewhere(cast: Cast) -> None:
    year, other = folder(cast, "2026"), folder(cast, "2025")
    inner = folder(cast, "2026", other)
    for answer in (change(cast, other, name="2026"), change(cast, inner, parent_id=None)):
        assert (answer.status_code, answer.get_json()["field"]) == (409, "name")
    assert change(cast, year, name="2026").status_code == 200  # its own


def test_of_two_who_rename_at_once_the_second_is_told(cast: Cast) -> None:
    year = folder(cast, "2026")
    assert change(cast, year, name="Photos", seen_name="2026").status_code == 200
    late = change(cast, year, name="Pictures", seen_name="2026")
    assert late.status_code == 409 and "Photos" in late.get_json()["detail"]
    assert below(cast) == ["Photos"]


@pytest.mark.parametrize("name", ["", " ", "..", "a/b", "a\\b", "line\nbreak", RTL, "😀" * 300, "\ud800"])
def test_a_name_that_can_not_be_one_is_refused(cast: Cast, name: str) -> None:
    year = folder(cast, "2026")
    for answer in (post(cast.bob, cast, "folders", name=name), change(cast, year, name=name)):
        assert answer.status_code in (400, 422)
    assert below(cast) == ["2026"]


def test_two_moves_at_once_make_no_circle(cast: Cast) -> None:
    first, second = folder(cast, "a"), folder(cast, "b")
    together([lambda: change(cast, first, parent_id=second), lambda: change(cast, second, parent_id=first)] * 4)
    tops = below(cast)
    assert len(tops) == 1
    assert len(below(cast, first)) + len(below(cast, second)) == 1


def together(calls: list[Callable[[], Any]]) -> list[Any]:
    """What they answer, all begun at one moment."""
    gate, answers = threading.Barrier(len(calls)), []

    def run(call: Callable[[], Any]) -> None:
        gate.wait()
        answers.append(call())

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_tree_of_paths_is_made_once_also_by_two_at_once(cast: Cast) -> None:
    trip = folder(cast, "Trip")
    paths = ["holiday", "holiday/day 1", "holiday/day 2/evening"]
    calls = [lambda: post(cast.bob, cast, "folders/paths", paths=paths, parent_id=trip).get_json()["items"]] * 4
    answers = together(calls)
    assert all(answer == answers[0] for answer in answers)
    assert [item["path"] for item in answers[0]] == paths and len({item["folder_id"] for item in answers[0]}) == 3
    assert below(cast, trip) == ["holiday"]
    assert sorted(below(cast, answers[0][0]["folder_id"])) == ["day 1", "day 2"]
    assert post(cast.bob, cast, "folders/paths", paths=paths, parent_id=trip).get_json()["items"] == answers[0]


def test_a_path_that_can_not_be_one_is_refused_by_itself(cast: Cast) -> None:
    bad = ["../etc", "a//b", "", "x/" * 25 + "x", f"trip/{RTL}", "trip/" + "😀" * 300, "a\\b"]
    items = post(cast.bob, cast, "folders/paths", paths=[*bad, "trip/ok"]).get_json()["items"]
    assert all(item["detail"] and item["folder_id"] is None for item in items[:-1])
    assert items[-1]["folder_id"] and items[-1]["detail"] is None
    assert below(cast) == ["trip"]
    assert post(cast.bob, cast, "folders/paths", paths=["a"] * 1001).status_code == 422
    assert post(cast.bob, cast, "folders/paths", paths=[]).status_code == 422


def test_files_are_put_into_a_folder_all_or_none(cast: Cast) -> None:
    year = folder(cast, "2026")
    ids = [str(each) for each in make_assets(cast, 3)]
    moved = post(cast.bob, cast, "assets/move", asset_ids=ids, folder_id=year)
    assert {item["asset_id"] for item in moved.get_json()["items"]} == set(ids)
    assert {item["folder_id"] for item in moved.get_json()["items"]} == {None}
    assert in_folder(cast, year) == set(ids)
    foreign = str(make_asset(cast, workspace=cast.lair))
    for wrong in (foreign, "01a209ee-6c61-7cb8-a178-73c927ec17b1"):
        answer = post(cast.bob, cast, "assets/move", asset_ids=[ids[0], wrong])
        assert answer.status_code == 404
    assert in_folder(cast, year) == set(ids)
    assert post(cast.bob, cast, "assets/move", asset_ids=ids[:1]).get_json()["items"][0]["folder_id"] == year
    assert in_folder(cast, year) == set(ids[1:])


def test_a_deleted_folder_takes_its_files_to_the_trash_and_brings_them_back(cast: Cast) -> None:
    year = folder(cast, "2026")
    may = folder(cast, "May", year)
    ready = make_asset(cast, folder_id=UUID(may))
    failed = make_asset(cast, "bad.jpg", folder_id=UUID(year), state=AssetState.FAILED, previews=PreviewState.NONE)
    pending = make_asset(cast, "new.jpg", folder_id=UUID(year), previews=PreviewState.PENDING)
    before = make_asset(cast, "before.jpg", folder_id=UUID(may))
    cast.bob.api.delete(cast.url(f"assets/{before}"))
    gone = cast.bob.api.delete(cast.url(f"folders/{year}"))
    assert (gone.status_code, gone.get_json()["folders"], gone.get_json()["files"], gone.get_json()["staying"]) == (
        200,
        1,
        3,
        0,
    )
    for each in (year, may):
        assert cast.vera.api.get(cast.url(f"folders/{each}")).status_code == 404
        assert cast.bob.api.post(cast.url("folders"), json={"name": "x", "parent_id": each}).status_code == 404
    assert {read_asset(cast, each).state for each in (ready, failed, pending)} == {AssetState.DELETED}
    assert cast.bob.api.delete(cast.url(f"folders/{year}")).get_json()["files"] == 0  # again
    back = post(cast.bob, cast, f"folders/{year}/restore").get_json()
    assert (back["name"], back["files"]) == ("2026", 3)
    states = [read_asset(cast, each).state.value for each in (ready, failed, pending, before)]
    assert states == ["available", "failed", "available", "deleted"]
    assert find_task(cast, "render_previews", pending) is not None
    assert in_folder(cast, may) == {str(ready)}
    assert post(cast.bob, cast, f"folders/{year}/restore").get_json()["files"] == 0  # again


def test_what_is_checked_or_held_stays_at_the_top_of_the_library(cast: Cast) -> None:
    year = folder(cast, "2026")
    staying = [
        make_asset(cast, folder_id=UUID(year), state=state, previews=PreviewState.NONE)
        for state in (AssetState.PROCESSING, AssetState.QUARANTINED)
    ]
    assert cast.bob.api.delete(cast.url(f"folders/{year}")).get_json()["staying"] == 2
    assert {read_asset(cast, each).folder_id for each in staying} == {None}


def test_a_name_is_free_once_its_folder_is_deleted_and_a_restored_one_gets_a_number(cast: Cast) -> None:
    outer = folder(cast, "Outer")
    year = folder(cast, "2026", outer)
    cast.bob.api.delete(cast.url(f"folders/{year}"))
    again = folder(cast, "2026", outer)
    assert post(cast.bob, cast, f"folders/{year}/restore").get_json()["name"] == "2026 (2)"
    cast.bob.api.delete(cast.url(f"folders/{again}"))
    cast.bob.api.delete(cast.url(f"folders/{outer}"))
    back = post(cast.bob, cast, f"folders/{again}/restore").get_json()
    assert (back["name"], back["parent_id"]) == ("2026", None)  # its place is gone
    assert below(cast) == ["2026"]


def test_a_file_whose_folder_is_gone_is_restored_to_the_top_and_says_so(cast: Cast) -> None:
    year = folder(cast, "2026")
    first, second = make_asset(cast, folder_id=UUID(year)), make_asset(cast, folder_id=UUID(year))
    cast.bob.api.delete(cast.url(f"folders/{year}"))
    assert post(cast.bob, cast, f"assets/{first}/restore").get_json()["folder_id"] is None
    answer = cast.bob.browser.post(cast.page(f"trash/{second}/restore"), follow_redirects=True)
    assert "its folder is gone" in answer.text
    assert post(cast.bob, cast, f"folders/{year}/restore").get_json()["files"] == 0
    assert {read_asset(cast, each).folder_id for each in (first, second)} == {None}


def test_an_owner_renames_a_library_an_editor_does_not(cast: Cast) -> None:
    (first,) = cast.vera.api.get(cast.url("libraries")).get_json()["items"]
    address = cast.url(f"libraries/{first['id']}")
    post(cast.bob, cast, "libraries", name="Press kit")
    assert (
        cast.alice.api.patch(address, json={"name": "Pictures", "seen_name": "Files"}).get_json()["name"] == "Pictures"
    )
    for body in ({"name": "Press kit"}, {"name": "Photos", "seen_name": "Files"}):
        assert cast.alice.api.patch(address, json=body).status_code == 409
    assert cast.alice.api.patch(address, json={"name": "a/b"}).status_code == 422
    assert cast.bob.api.patch(address, json={"name": "x"}).status_code == 403
    assert (
        cast.mallory.api.patch(cast.url(f"libraries/{first['id']}", cast.lair), json={"name": "x"}).status_code == 404
    )


def test_a_viewer_may_look_and_mallory_finds_nothing(cast: Cast) -> None:
    year, asset = folder(cast, "2026"), str(make_asset(cast))
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("PATCH", f"folders/{year}", {"name": "x"}),
        ("DELETE", f"folders/{year}", {}),
        ("POST", f"folders/{year}/restore", {}),
        ("POST", "folders/paths", {"paths": ["a"]}),
        ("POST", "assets/move", {"asset_ids": [asset], "folder_id": year}),
    ]
    for method, path, body in calls:
        assert cast.vera.api.open(cast.url(path), method=method, json=body).status_code == 403, path
        for place in (cast.press, cast.lair):
            answer = cast.mallory.api.open(cast.url(path, place), method=method, json=body)
            assert answer.status_code == 404 or path == "folders/paths", path
    assert cast.vera.api.get(cast.url(f"folders/{year}")).status_code == 200
    assert cast.mallory.api.get(cast.url(f"folders/{year}", cast.lair)).status_code == 404
    laid = cast.mallory.api.post(cast.url("folders/paths", cast.lair), json={"paths": ["a"], "parent_id": year})
    assert laid.status_code == 404


def test_the_trail_tells_what_was_done(cast: Cast) -> None:
    year = folder(cast, "2026")
    post(cast.bob, cast, "folders/paths", paths=["a/b"], parent_id=year)
    change(cast, year, name="2027")
    post(cast.bob, cast, "assets/move", asset_ids=[str(make_asset(cast))], folder_id=year)
    cast.bob.api.delete(cast.url(f"folders/{year}"))
    post(cast.bob, cast, f"folders/{year}/restore")
    acts = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/audit").get_json()["items"]
    told = {act["action"]: act["facts"] for act in acts}
    assert told["folder.renamed"]["before"] == "2026" and told["folder.renamed"]["name"] == "2027"
    assert told["folders.created"]["names"] == ["a", "b"]
    assert told["folder.deleted"]["count"] == told["folder.restored"]["count"] == 1
    assert {"folder.created", "assets.moved"} <= told.keys()


def test_an_upload_lands_in_its_folder_wherever_that_is_by_then(scene: Scene, text: bytes) -> None:
    bob, cast = scene.bob, scene.cast
    year, gone = folder(cast, "2026"), folder(cast, "Gone")
    press = post(cast.bob, cast, "libraries", name="Press kit").get_json()["id"]
    moved = bob.sent("a.txt", text, folder_id=year)
    lost = bob.sent("b.txt", text, folder_id=gone)
    assert change(cast, year, library_id=press, parent_id=None).status_code == 200
    cast.bob.api.delete(cast.url(f"folders/{gone}"))
    first = bob.asset(done(bob.commit(moved["upload_id"]))["asset_id"])
    assert (first["folder_id"], first["library_id"]) == (year, press)
    second = bob.asset(done(bob.commit(lost["upload_id"]))["asset_id"])
    assert second["folder_id"] is None and second["library_id"] != press
    refused(bob.begin("c.txt", 5, folder_id=gone), 404, "not_found")
    refused(bob.begin("c.txt", 5, folder_id=year, library_id=second["library_id"]), 422, "invalid")


@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_nothing_lands_in_a_folder_that_is_deleted_at_that_very_moment(scene: Scene, text: bytes, name: str) -> None:
    bob, cast = scene.bob, scene.cast
    year = folder(cast, name)
    sent = [bob.sent(f"{number}.txt", text + bytes([65 + number]), folder_id=year) for number in range(6)]
    ready = [str(each) for each in make_assets(cast, 3)]
    commits = [lambda begun=begun: bob.commit(begun["upload_id"]) for begun in sent]
    moves = [lambda one=one: post(cast.bob, cast, "assets/move", asset_ids=[one], folder_id=year) for one in ready]
    together([*commits[:3], *moves, lambda: cast.bob.api.delete(cast.url(f"folders/{year}")), *commits[3:]])
    lost = "SELECT count(*) FROM assets WHERE folder_id = %s AND state <> 'deleted'"
    assert scene.site.sql(lost, UUID(year)) == [(0,)]


def test_a_quarantined_file_is_not_moved_and_nothing_with_it(cast: Cast) -> None:
    year, ready, held = folder(cast, "2026"), str(make_asset(cast)), quarantined(cast)
    answer = post(cast.bob, cast, "assets/move", asset_ids=[ready, str(held)], folder_id=year)
    problem = answer.get_json()
    assert (answer.status_code, problem["code"], problem["asset_ids"]) == (409, "held", [str(held)])
    assert "quarantine" in problem["detail"]
    assert in_folder(cast, year) == set()


@pytest.mark.parametrize("to_another_library", [False, True])
def test_a_folder_is_moved_without_its_quarantined_files(cast: Cast, to_another_library: bool) -> None:
    year, other = folder(cast, "2026"), folder(cast, "other")
    may = folder(cast, "May", year)
    ready, held = make_asset(cast, folder_id=UUID(may)), quarantined(cast, folder_id=UUID(may))
    library = read_asset(cast, held).library_id
    target = {"parent_id": other}
    if to_another_library:
        target = {"library_id": cast.alice.api.post(cast.url("libraries"), json={"name": "B"}).get_json()["id"]}
    moved = change(cast, year, **target)
    assert (moved.status_code, moved.get_json()["staying"]) == (200, 1), moved.get_json()
    stayed = read_asset(cast, held)
    assert (stayed.library_id, stayed.folder_id, stayed.state) == (library, None, AssetState.QUARANTINED)
    assert read_asset(cast, ready).folder_id == UUID(may)


def test_a_folder_that_is_only_renamed_keeps_its_quarantined_files(cast: Cast) -> None:
    year = folder(cast, "2026")
    held = quarantined(cast, folder_id=UUID(year))
    assert change(cast, year, name="2027").get_json()["staying"] == 0
    assert read_asset(cast, held).folder_id == UUID(year)


def test_a_quarantined_file_is_not_renamed(cast: Cast) -> None:
    held = quarantined(cast)
    answer = cast.bob.api.patch(cast.url(f"assets/{held}"), json={"file_name": "harmless.txt"})
    assert answer.status_code == 409 and read_asset(cast, held).file_name == "invoice.txt"
