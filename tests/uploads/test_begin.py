"""What is refused before a byte moves: it names the rule, holds no quota and leaves no session."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.support.api_client import done, refused
from tests.support.client import Scene, Site, scene_at

MB = 1024 * 1024


def nothing_happened(scene: Scene) -> None:
    assert scene.alice.quota() == (0, 0)
    assert scene.site.sql("SELECT id FROM uploads WHERE workspace_id = %s", scene.cast.press.id) == []
    assert scene.objects() == []


@pytest.mark.parametrize("name", ["run.exe", "page.html", "noextension", ".jpg", "a.jpg.js"])
def test_a_type_outside_the_policy_names_those_inside(scene: Scene, name: str) -> None:
    problem = refused(scene.alice.begin(name, 10), 415, "unsupported_type")
    assert {"jpg", "pdf", "zip"} <= set(problem["allowed"])
    nothing_happened(scene)


@pytest.mark.parametrize(
    ("name", "limit"), [("a.jpg", 100), ("a.svg", 10), ("a.mp4", 500), ("a.pdf", 50), ("a.zip", 100), ("a.DNG", 100)]
)
def test_a_file_above_the_limit_of_its_kind_is_refused_with_the_limit(scene: Scene, name: str, limit: int) -> None:
    problem = refused(scene.alice.begin(name, limit * MB + 1), 413, "file_too_large")
    assert problem["limit_bytes"] == limit * MB
    assert f"{limit} MB" in problem["detail"]
    nothing_happened(scene)
    done(scene.alice.begin(name, limit * MB), 201)


def test_an_empty_file_is_refused(scene: Scene) -> None:
    assert "empty" in refused(scene.alice.begin("a.txt", 0), 422, "invalid")["detail"]
    nothing_happened(scene)


@pytest.mark.parametrize(
    "name",
    ["", " ", "../../etc/passwd", "a/b.jpg", "a\\b.jpg", "a" * 252 + ".jpg", "a\x00.jpg", "a\nb.jpg", "gpj\u202e.jpg"],
)
def test_an_invalid_name_is_refused(scene: Scene, name: str) -> None:
    answer = scene.alice.begin(name, 10)
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] == "invalid"
    nothing_happened(scene)


@pytest.mark.parametrize("name", ['a"; filename=x.exe.txt', "\U0001f600" * 200 + ".txt", "CON.txt", "Ü b'c;d&e=f.txt"])
def test_a_strange_name_is_kept_as_it_is(scene: Scene, name: str, text: bytes) -> None:
    sent = scene.alice.upload(name, text)
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["file_name"], asset["status"]) == (name, "available")
    answer = scene.alice.download(sent.asset_id)
    assert answer.content == text
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert all(key.isascii() and '"' not in key and ";" not in key for key in scene.objects())


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {},
        {"file_name": "a.txt"},
        {"file_name": 7, "mime_type": "text/plain", "size_bytes": 1},
        {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": "many"},
        {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": -1},
        {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 2**70},
        {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 1, "sha256": "abc"},
        {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 1, "folder_id": "no-uuid"},
        {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 1, "resumable_protocol": "carrier-pigeon"},
    ],
)
def test_json_of_the_wrong_shape_is_refused(scene: Scene, body: object) -> None:
    answer = scene.alice.call("POST", "uploads", body)
    assert answer.status_code in (400, 415, 422), answer.text
    assert answer.json()["code"] in ("invalid", "unsupported_type")
    nothing_happened(scene)


def test_a_folder_or_library_of_somebody_else_does_not_exist(scene: Scene) -> None:
    theirs = scene.site.sql("SELECT id FROM libraries WHERE workspace_id = %s", scene.cast.lair.id)[0][0]
    for place in ({"library_id": str(theirs)}, {"library_id": str(uuid4())}, {"folder_id": str(uuid4())}):
        refused(scene.alice.begin("a.txt", 10, **place), 404, "not_found")
    nothing_happened(scene)


def test_a_viewer_gets_403_and_another_tenant_404(scene: Scene) -> None:
    refused(scene.vera.begin("a.txt", 10), 403, "forbidden")
    stranger = scene.mallory.begin("a.txt", 10)
    scene.mallory.workspace = f"/v1/workspaces/{uuid4()}"
    missing = scene.mallory.begin("a.txt", 10)
    assert stranger.status_code == missing.status_code == 404
    assert stranger.json() == missing.json()
    nothing_happened(scene)


def test_a_file_above_the_quota_is_refused_with_the_shortage(post_site: Site, text: bytes) -> None:
    for scene in scene_at(post_site, limit_bytes=1000):
        done(scene.alice.begin("a.txt", 900), 201)
        problem = refused(scene.alice.begin("b.txt", 150), 413, "quota_exceeded")
        facts = {name: problem[name] for name in ("scope", "used_bytes", "reserved_bytes", "limit_bytes")}
        assert facts == {"scope": "workspace", "used_bytes": 0, "reserved_bytes": 900, "limit_bytes": 1000}
        assert (problem["required_bytes"], problem["shortage_bytes"], problem["percent"]) == (150, 50, 90.0)
        assert problem["help_url"].startswith("http")
        assert scene.alice.quota() == (0, 900)
        done(scene.alice.begin("b.txt", 100), 201)
