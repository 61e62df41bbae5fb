"""What is refused under /v1 is refused as problem+json, whatever was wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from htmx_flask import Htmx
from werkzeug.test import TestResponse

from portal.errors import Unavailable
from portal.web.access import public
from tests.support.people import Cast, Client


def problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    body: dict[str, Any] = answer.get_json()
    assert body["status"] == status and body["code"] == code
    assert body["type"] and body["title"] and body["detail"]
    return body


def test_an_address_that_is_none(cast: Cast) -> None:
    problem(cast.alice.api.get("/v1/nothing"), 404, "not_found")
    problem(cast.alice.api.get("/v1"), 404, "not_found")
    problem(cast.nobody.get("/tus/x"), 404, "not_found")


@pytest.mark.parametrize("wrong", ["x", "123", "00000000-0000-0000-0000-00000000000g", "../../etc/passwd", "%00"])
def test_an_id_in_the_address_that_is_no_uuid(cast: Cast, wrong: str) -> None:
    problem(cast.alice.api.get(f"/v1/workspaces/{wrong}/quota"), 404, "not_found")


def test_a_method_that_the_address_does_not_answer(cast: Cast) -> None:
    answer = cast.alice.api.delete("/v1/me")
    problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("body", ["", "{", "not json", '{"limit_bytes": 1,}', "\xff", "[" * 100_000])
def test_malformed_json(cast: Cast, body: str) -> None:
    answer = cast.tina.api.put(cast.url("quota"), data=body.encode("latin-1"), content_type="application/json")
    if body:
        assert problem(answer, 400, "invalid")["field"] == "body"
    else:
        assert problem(answer, 422, "invalid")["field"] == "limit_bytes"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ("x", "body"),
        (None, "body"),
        ({}, "limit_bytes"),
        ({"limit_bytes": "5"}, "limit_bytes"),
        ({"limit_bytes": -1}, "limit_bytes"),
        ({"limit_bytes": 1.5}, "limit_bytes"),
        ({"limit_bytes": True}, "limit_bytes"),
        ({"limit_bytes": 10**30}, "limit_bytes"),
        ({"limit_bytes": 5, "limit": 5}, "limit"),
    ],
)
def test_json_of_the_wrong_shape_names_the_field(cast: Cast, body: Any, field: str) -> None:
    raw = json.dumps(body).encode()
    said = problem(cast.tina.api.put(cast.url("quota"), data=raw, content_type="application/json"), 422, "invalid")
    assert said["field"] == field
    assert said["errors"][0]["detail"].endswith(".")


def test_ids_in_a_body_that_are_no_uuids(cast: Cast) -> None:
    body = {"file_name": "a.jpg", "mime_type": "image/jpeg", "size_bytes": 5, "library_id": "x"}
    assert problem(cast.alice.api.post(cast.url("uploads"), json=body), 422, "invalid")["field"] == "library_id"


def test_a_text_with_a_nul_character(cast: Cast) -> None:
    body = {"file_name": "a\0b.jpg", "mime_type": "image/jpeg", "size_bytes": 5}
    problem(cast.alice.api.post(cast.url("uploads"), json=body), 422, "invalid")
    problem(cast.alice.api.get(cast.url("assets?q=%00")), 422, "invalid")


def test_a_body_that_is_not_json(cast: Cast) -> None:
    answer = cast.tina.api.put(cast.url("quota"), data={"limit_bytes": "5"})
    assert problem(answer, 415, "unsupported_type")["allowed"] == ["application/json"]


def test_a_body_beyond_all_measure(cast: Cast) -> None:
    answer = cast.tina.api.put(cast.url("quota"), data=b" " * (1 << 21), content_type="application/json")
    problem(answer, 413, "too_large")


def test_access_is_asked_before_the_body(cast: Cast) -> None:
    problem(cast.mallory.api.put(cast.url("quota"), data=b"{", content_type="application/json"), 404, "not_found")
    problem(cast.vera.api.put(cast.url("quota"), data=b"{", content_type="application/json"), 403, "forbidden")


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "", "1.5", "9999999999", "٣"])
def test_a_limit_that_is_none(cast: Cast, limit: str) -> None:
    said = problem(cast.alice.api.get(cast.url("assets"), query_string={"limit": limit}), 422, "invalid")
    assert said["field"] == "limit"


@pytest.mark.parametrize("cursor", ["x", "!!!", "W10", "WzFd", "e30", "bnVsbA", "WyJ4Il0", "%F0%9F%92%A9", "W" * 5000])
def test_a_cursor_that_nobody_gave_out(cast: Cast, cursor: str) -> None:
    said = problem(cast.alice.api.get(cast.url(f"assets?cursor={cursor}")), 422, "invalid")
    assert said["field"] == "cursor"


@pytest.fixture(scope="module")
def broken(app: Flask) -> Flask:
    """An application of the same parts with two routes that fail."""
    from portal.web import languages, logs, problems

    other = Flask("portal", template_folder=app.template_folder, static_folder=app.static_folder)
    other.extensions["portal.settings"] = app.extensions["portal.settings"]
    languages.install(other, languages.CATALOGUES)
    logs.install(other)
    Htmx(other)
    problems.install(other)

    @other.get("/v1/broken")
    @public
    def fails() -> str:
        raise RuntimeError("the password is hunter2")

    @other.get("/v1/away")
    @public
    def away() -> str:
        raise Unavailable("The storage does not answer.", code="storage_unavailable", retry_after=5)

    return other


def test_an_unexpected_error_is_logged_and_not_shown(broken: Flask, caplog: pytest.LogCaptureFixture) -> None:
    answer = Client(broken).get("/v1/broken")
    said = problem(answer, 500, "internal")
    assert "hunter2" not in answer.text
    assert said["request_id"] == answer.headers["X-Request-ID"] and said["request_id"] in said["detail"]
    assert "hunter2" in caplog.text


def test_what_is_away_says_when_to_come_back(broken: Flask) -> None:
    answer = Client(broken).get("/v1/away")
    problem(answer, 503, "storage_unavailable")
    assert answer.headers["Retry-After"] == "5"
