"""Guessing passwords, and what the login form does with what is no form."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.identity.test_login import form_token, log_in
from tests.support.people import PASSWORD, Cast

WIDE = {letter: chr(ord(letter) + 0xFEE0) for letter in "stowage"}  # the same letters to a mail system, and to IDNA


def test_another_spelling_of_the_address_is_no_further_account_to_guess_at(cast: Cast) -> None:
    name, _, domain = cast.vera.email.partition("@")
    spellings = [domain[:at] + WIDE[domain[at]] + domain[at + 1 :] for at in range(5)]
    answers = [log_in(cast.nobody, f"{name}@{each}", "not this one").status_code for each in spellings * 2]
    assert answers == [200] * 10
    assert log_in(cast.nobody, cast.vera.email, "not this one").status_code == 429


@pytest.mark.parametrize("body", ['{"email": {"a": 1}, "password": "x"}', '"x"', "5", "[]", "{", "null"])
def test_the_login_takes_a_form_and_no_json(cast: Cast, body: str) -> None:
    client = cast.nobody
    answer = _post_json(client, body)
    assert answer.status_code == 415
    assert "Something went wrong" not in answer.text


@pytest.mark.parametrize("email", ["vera", "nobody"])
def test_an_endless_password_is_a_wrong_one(cast: Cast, email: str) -> None:
    address = cast.vera.email if email == "vera" else "nobody-here@stowage.example"
    answer = log_in(cast.nobody, address, PASSWORD + "x" * 300_000)
    assert answer.status_code == 200
    assert "The e-mail address or the password is wrong." in answer.text


def test_a_token_from_before_the_login_serves_no_form_after_it(cast: Cast) -> None:
    client = cast.nobody
    before = form_token(client.get("/login"))
    login = {"email": cast.vera.email, "password": PASSWORD, "csrf_token": before}
    assert client.post("/login", data=login).status_code == 302
    form = {"name": "planted", "days": "1", "scopes": "read"}
    assert client.post("/account/tokens", data=form | {"csrf_token": before}).status_code == 400
    own = form_token(client.get("/account/tokens"))
    assert client.post("/account/tokens", data=form | {"csrf_token": own}).status_code == 201


def test_a_cookie_from_before_the_login_opens_nothing_after_it(cast: Cast) -> None:
    client, thief = cast.nobody, cast.nobody
    client.get("/login")
    planted = client.get_cookie("stowage_session")
    assert planted
    assert log_in(client, cast.vera.email).status_code == 302
    thief.set_cookie("stowage_session", planted.value)
    assert thief.get("/account/tokens").status_code == 302


def _post_json(client: FlaskClient, body: str) -> TestResponse:
    token = form_token(client.get("/login"))
    return client.post("/login", data=body, content_type="application/json", headers={"X-CSRFToken": token})
