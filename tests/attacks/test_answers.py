"""What an answer and a log line make of what others send."""

from __future__ import annotations

import json
import logging

import pytest

from portal.web import logs
from tests.support.people import Cast


def test_an_address_can_not_forge_a_line_of_the_log(cast: Cast, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.configure("text")
        cast.nobody.get("/v1/x%0A2026-01-01%20CRITICAL%20forged%1b%5b31m%E2%80%A8%E2%80%AE")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    (line,) = [each for each in capsys.readouterr().err.split("\n") if "CRITICAL" in each]
    assert line.isprintable()
    assert r"/v1/x\n2026-01-01 CRITICAL forged\x1b[31m\u2028\u202e 404" in line


def test_a_body_full_of_mistakes_is_not_answered_with_all_of_them(cast: Cast) -> None:
    body = json.dumps({f"field{number}": 1 for number in range(50_000)} | {"x" * 100_000: 1})
    answer = cast.bob.api.post(cast.url("uploads"), data=body, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json and len(answer.json["errors"]) == 20
    assert len(answer.data) < 10_000


def test_a_long_name_of_a_field_is_not_said_back_in_full(cast: Cast) -> None:
    answer = cast.bob.api.post(cast.url("folders"), json={"name": "a", "x" * 100_000: 1})
    assert answer.status_code == 422
    assert len(answer.data) < 2_000


@pytest.mark.parametrize("address", ["/login", "/v1/me", "/nothing", "/static/icon.svg", "/healthz"])
def test_no_other_site_embeds_an_answer_and_no_page_asks_for_a_camera(cast: Cast, address: str) -> None:
    with cast.nobody.get(address) as answer:
        headers = answer.headers
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"] and "geolocation=()" in headers["Permissions-Policy"]
