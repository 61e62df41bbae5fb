"""Login and logout, by the form."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.app import create_app
from portal.database import db, transaction
from portal.identity import service
from portal.identity.models import User
from tests.support.engines import TestEngines
from tests.support.people import PASSWORD, Cast, Client


def form_token(page: TestResponse) -> str:
    found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def log_in(client: Client, email: str, password: str = PASSWORD, address: str = "/login", **more: str) -> TestResponse:
    token = form_token(client.get(address))
    return client.post(address, data={"email": email, "password": password, "csrf_token": token, **more})


def test_the_right_password_opens_the_page_that_was_asked_for(cast: Cast) -> None:
    client = cast.nobody
    asked = client.get(cast.page("files?q=cat"))
    assert asked.status_code == 302
    answer = log_in(client, cast.alice.email.upper(), address=asked.location)
    assert answer.status_code == 302, answer.text
    assert answer.location == cast.page("files?q=cat")
    assert client.get(answer.location).status_code == 200


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(cast: Cast) -> None:
    answer = log_in(cast.nobody, cast.alice.email)
    (cookie,) = [each for each in answer.headers.getlist("Set-Cookie") if each.startswith("stowage_session=")]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Secure" not in cookie


def test_a_wrong_password_and_a_wrong_address_look_the_same(cast: Cast) -> None:
    wrong = log_in(cast.nobody, cast.alice.email, "not this one")
    unknown = log_in(cast.nobody, "nobody-at-all@stowage.example", "not this one")
    words = "The e-mail address or the password is wrong."
    assert wrong.status_code == unknown.status_code == 200
    assert words in wrong.text and words in unknown.text


@pytest.mark.parametrize("domain", ["files.local", "localhost", "company.test", "münchen.example"])
def test_people_of_a_private_network_have_logins_too(cast: Cast, domain: str) -> None:
    email = f"Zoë-{cast.acme.slug}@{domain}"
    with cast.app.app_context(), transaction():
        service.create_user(email, PASSWORD)
    assert log_in(cast.nobody, email).status_code == 302


@pytest.mark.parametrize("email", ["", " ", "alice", "a@", "a\0@b.example", "x" * 10_000])
def test_what_is_no_address_is_nobodys(cast: Cast, email: str) -> None:
    answer = log_in(cast.nobody, email)
    assert answer.status_code == 200
    assert "invalid-feedback" in answer.text or "is wrong" in answer.text


def test_a_next_address_elsewhere_is_not_followed(cast: Cast) -> None:
    for elsewhere in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        answer = log_in(cast.nobody, cast.alice.email, address=f"/login?next={elsewhere}")
        assert answer.status_code in (200, 302)
        if answer.location:
            assert answer.location.startswith("/") and answer.location[1:2] not in ("/", "\\")


def test_who_is_not_active_has_neither_session_nor_login_nor_token(cast: Cast) -> None:
    assert cast.bob.browser.get("/workspaces").status_code == 200
    assert cast.bob.api.get("/v1/me").status_code == 200
    with cast.app.app_context(), transaction() as session:
        session.get_one(User, cast.bob.id).active = False
    assert cast.bob.browser.get("/workspaces").status_code == 302
    assert cast.bob.api.get("/v1/me").status_code == 401
    assert cast.bob.api.get(cast.url("quota")).status_code == 401
    assert log_in(cast.nobody, cast.bob.email).status_code == 200


def test_logout_is_a_form_and_ends_the_session(cast: Cast) -> None:
    client = cast.nobody
    log_in(client, cast.alice.email)
    assert client.get("/logout").status_code == 405
    token = form_token(client.get("/account/tokens"))
    answer = client.post("/logout", data={"csrf_token": token})
    assert answer.status_code == 302 and answer.location == "/login"
    assert client.get("/workspaces").status_code == 302


def test_ten_wrong_passwords_and_the_eleventh_attempt_must_wait(cast: Cast) -> None:
    client = Client(cast.app)
    client.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    token = form_token(client.get("/login"))
    attempt = {"email": cast.vera.email, "password": "wrong", "csrf_token": token}
    for _ in range(10):
        assert client.post("/login", data=attempt).status_code == 200
    answer = client.post("/login", data={**attempt, "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 301
    assert log_in(Client(cast.app), cast.vera.email).status_code == 302  # from elsewhere she may


def test_attempts_are_counted_while_valkey_is_away(engines: TestEngines, cast: Cast) -> None:
    lonely = create_app(replace(engines.settings(), redis_url="redis://127.0.0.1:1/0"))
    client = Client(lonely)
    token = form_token(client.get("/login"))
    attempt = {"email": cast.alice.email, "password": "wrong", "csrf_token": token}
    statuses = [client.post("/login", data=attempt).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    with lonely.app_context():
        db.engine.dispose()


def test_a_session_outlives_the_rotation_of_keys(engines: TestEngines, cast: Cast) -> None:
    settings = engines.settings()
    rotated = create_app(replace(settings, secret_keys=("n" * 40, *settings.secret_keys)))
    client = Client(rotated)
    old = cast.alice.browser.get_cookie("stowage_session")
    assert old is not None
    client.set_cookie("stowage_session", old.value)
    assert client.get("/workspaces").status_code == 200
    with rotated.app_context():
        db.engine.dispose()


def test_https_makes_cookies_secure_and_says_so(app: Flask, engines: TestEngines) -> None:
    secure = create_app(replace(engines.settings(), base_url="https://files.example.com"))
    answer = Client(secure).get("/login")
    assert "max-age=" in answer.headers["Strict-Transport-Security"]
    assert "Secure" in answer.headers["Set-Cookie"]
    assert Client(secure).get("/login", base_url="http://files.example.com").status_code == 200  # behind a proxy
