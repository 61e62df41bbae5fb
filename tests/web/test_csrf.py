"""Requests that another site could make a browser send."""

from __future__ import annotations

from tests.support.people import Cast, Client


def test_a_form_without_its_token_changes_nothing_and_says_why(cast: Cast) -> None:
    browser = cast.alice.browser
    browser.fixed = {}
    answer = browser.post("/account/tokens", data={"name": "stolen", "days": "5"})
    assert answer.status_code == 400
    assert answer.mimetype == "text/html"
    assert "load the page again" in answer.text
    assert "stolen" not in browser.get("/account/tokens").text


def test_json_by_session_needs_the_header(cast: Cast) -> None:
    browser = cast.tina.browser
    header = browser.fixed
    browser.fixed = {}
    for wrong in ({}, {"X-CSRFToken": "made up"}):
        answer = browser.put(cast.url("quota"), json={"limit_bytes": 5}, headers=wrong)
        assert answer.status_code == 400
        assert answer.get_json()["code"] == "csrf"
    assert browser.put(cast.url("quota"), json={"limit_bytes": None}, headers=header).status_code == 200


def test_a_bearer_token_needs_none_and_its_cookies_are_not_looked_at(cast: Cast) -> None:
    browser = cast.tina.browser
    browser.fixed = {}
    bearer = {"Authorization": f"Bearer {cast.vera.token}"}
    assert browser.put(cast.url("quota"), json={"limit_bytes": 5}, headers=bearer).status_code == 403  # vera, not tina
    invalid = {"Authorization": "Bearer stw_nothing"}
    assert browser.get("/v1/me", headers=invalid).status_code == 401
    assert browser.get("/v1/me").get_json()["user"]["name"] == "Tina"


def test_pages_take_no_bearer_token(cast: Cast) -> None:
    client = Client(cast.app)
    bearer = {"Authorization": f"Bearer {cast.alice.token}"}
    assert client.get("/workspaces", headers=bearer).status_code == 302
    assert client.post("/account/tokens", data={"name": "x"}, headers=bearer).status_code == 400


def test_the_token_of_one_session_does_not_serve_another(cast: Cast) -> None:
    browser = cast.tina.browser
    browser.fixed = cast.alice.browser.fixed
    assert browser.put(cast.url("quota"), json={"limit_bytes": 5}).status_code == 400


def test_nobody_is_told_to_sign_in_rather_than_to_send_a_token(cast: Cast) -> None:
    assert cast.nobody.put(cast.url("quota"), json={"limit_bytes": 5}).status_code == 401
