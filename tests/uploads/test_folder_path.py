"""A file is uploaded into a folder by its path; missing folders are created with the upload."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from portal.database import transaction
from portal.identity import service as identity
from portal.identity.scopes import Scope
from tests.support.api_client import ApiClient, done, refused
from tests.support.client import Scene, Site, scene_at

BATCH = "uploads/batch"


def folders_of(scene: Scene) -> list[str]:
    """The paths of all living folders of the workspace, sorted."""
    rows = scene.site.sql(
        "SELECT id, parent_id, name FROM folders WHERE workspace_id = %s AND deleted_at IS NULL", scene.cast.press.id
    )
    found = {row[0]: row for row in rows}

    def path(folder_id: UUID) -> str:
        _id, parent_id, name = found[folder_id]
        return f"{path(parent_id)}/{name}" if parent_id else str(name)

    return sorted(path(each) for each in found)


def folder(scene: Scene, name: str, **place: Any) -> dict[str, Any]:
    return done(scene.alice.call("POST", "folders", {"name": name, **place}), 201)


def test_missing_folders_are_created_and_existing_ones_are_used(scene: Scene, text: bytes) -> None:
    first = scene.alice.upload("a.txt", text, folder_path="trip/day 1")
    second = done(scene.alice.begin("b.txt", 10, folder_path="trip/day 1"), 201)
    third = done(scene.alice.begin("c.txt", 10, folder_path="trip"), 201)
    assert folders_of(scene) == ["trip", "trip/day 1"]
    assert first.begun["folder_id"] == second["folder_id"] != third["folder_id"]
    asset = scene.alice.asset(first.asset_id)
    assert (asset["folder_id"], asset["library_id"]) == (second["folder_id"], second["library_id"])
    facts = scene.site.sql("SELECT facts FROM audit_events WHERE action = 'folders.created'")
    assert [each["names"] for (each,) in facts if each["names"][0] == "trip"] == [["trip", "day 1"]]


def test_a_path_begins_at_the_folder_or_the_library_that_is_named(scene: Scene) -> None:
    press = done(scene.alice.call("POST", "libraries", {"name": "Press kit"}), 201)["id"]
    year = folder(scene, "2026")
    inside = done(scene.alice.begin("a.txt", 10, folder_id=year["id"], folder_path="May"), 201)
    beside = done(scene.alice.begin("b.txt", 10, library_id=press, folder_path="May"), 201)
    assert folders_of(scene) == ["2026", "2026/May", "May"]
    assert (inside["library_id"], beside["library_id"]) == (year["library_id"], press)


def test_files_of_one_new_folder_begun_at_once_share_it(scene: Scene) -> None:
    def begin(number: int) -> str:
        items = [
            {
                "file_name": f"{number} {each}.txt",
                "mime_type": "text/plain",
                "size_bytes": 10,
                "folder_path": f"trip/day {each}",
            }
            for each in range(3)
        ]
        answers = done(scene.alice.call("POST", BATCH, {"items": items}))["items"]
        return json.dumps([each["folder_id"] for each in answers])

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(begin, range(6)))) == 1
    assert folders_of(scene) == ["trip", "trip/day 0", "trip/day 1", "trip/day 2"]
    assert scene.site.broken(scene.cast) == []


@pytest.mark.parametrize(
    "path",
    ["", "/", "../etc", "a//b", "/a", "a/", "a\\b", "a\x00", "a\nb", "trip/\u202egpj", "x/" * 20 + "x", "x" * 256],
)
def test_a_path_that_can_not_be_one_is_refused_and_leaves_no_folder(scene: Scene, path: str) -> None:
    problem = refused(scene.alice.begin("a.txt", 10, folder_path=path), 422, "invalid")
    assert problem["field"] in ("folder_path", "body")  # body: a NUL is refused wherever it stands
    assert folders_of(scene) == []
    assert scene.alice.quota() == (0, 0)


def test_a_path_is_as_deep_as_folders_may_be_counted_from_the_top(scene: Scene) -> None:
    year = folder(scene, "2026")
    deep = "/".join(["x"] * 19)
    problem = refused(scene.alice.begin("a.txt", 10, folder_id=year["id"], folder_path=f"{deep}/y"), 422, "invalid")
    assert "20 levels deep" in problem["detail"]
    done(scene.alice.begin("a.txt", 10, folder_id=year["id"], folder_path=deep), 201)


def test_one_bad_path_of_a_batch_is_refused_by_itself(scene: Scene) -> None:
    items = [
        {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 10, "folder_path": path}
        for path in ("trip", "a//b", "trip/day 1")
    ]
    answers = done(scene.alice.call("POST", BATCH, {"items": items}))["items"]
    assert [each.get("code") for each in answers] == [None, "invalid", None]
    assert folders_of(scene) == ["trip", "trip/day 1"]


def test_an_upload_that_is_refused_leaves_no_folder(post_site: Site) -> None:
    for scene in scene_at(post_site, limit_bytes=1000):
        refused(scene.alice.begin("a.txt", 2000, folder_path="trip"), 413, "quota_exceeded")
        refused(scene.alice.begin("a.exe", 10, folder_path="trip"), 415, "unsupported_type")
        assert folders_of(scene) == []


def test_the_same_key_gives_the_same_upload_and_creates_no_folder_again(scene: Scene) -> None:
    first = done(scene.alice.begin("a.txt", 10, key="one", folder_path="trip"), 201)
    done(scene.alice.call("PATCH", f"folders/{first['folder_id']}", {"name": "journey"}))
    again = done(scene.alice.begin("a.txt", 10, key="one", folder_path="trip"), 201)
    assert (again["upload_id"], again["folder_id"]) == (first["upload_id"], first["folder_id"])
    assert folders_of(scene) == ["journey"]
    refused(scene.alice.begin("a.txt", 10, key="one", folder_path="other"), 409, "conflict")


def test_a_key_from_before_there_were_paths_still_gives_its_upload(scene: Scene) -> None:
    begun = done(scene.alice.begin("a.txt", 10, key="one"), 201)
    facts = {
        "file_name": "a.txt",
        "mime_type": "application/octet-stream",
        "size_bytes": 10,
        "sha256": None,
        "library_id": None,
        "folder_id": None,
        "in_parts": False,
    }
    before = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    assert scene.site.sql("SELECT request_hash FROM uploads WHERE id = %s", UUID(begun["upload_id"])) == [(before,)]


def test_who_may_not_create_folders_uploads_into_existing_ones_only(scene: Scene) -> None:
    with scene.cast.app.app_context(), transaction():
        _row, plain = identity.create_token(scene.cast.alice.id, "uploads", scopes=[Scope.UPLOAD])
    with closing(ApiClient(str(scene.alice.http.base_url), plain, scene.cast.press.id)) as uploader:
        problem = refused(uploader.begin("a.txt", 10, folder_path="trip"), 403, "insufficient_scope")
        assert problem["scope"] == "manage"
        assert folders_of(scene) == []
        folder(scene, "trip")
        done(uploader.begin("a.txt", 10, folder_path="trip"), 201)
    refused(scene.vera.begin("a.txt", 10, folder_path="trip"), 403, "forbidden")


def test_a_path_below_a_deleted_or_foreign_folder_is_not_found(scene: Scene) -> None:
    year = folder(scene, "2026")
    done(scene.alice.call("DELETE", f"folders/{year['id']}"))
    theirs = done(scene.mallory.http.post(f"/v1/workspaces/{scene.cast.lair.id}/folders", json={"name": "x"}), 201)
    for parent in (year, theirs):
        refused(scene.alice.begin("a.txt", 10, folder_id=parent["id"], folder_path="May"), 404, "not_found")
    assert folders_of(scene) == []
