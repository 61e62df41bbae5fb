"""Cookies, form tokens, plain http, and names: what a browser, or somebody on the way to it, may not be made to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from flask import Flask

from portal import names
from portal.database import transaction
from portal.errors import Invalid
from portal.identity import service as identity
from portal.tenancy import service as tenancy
from tests.identity.test_login import form_token, log_in
from tests.identity.test_sessions import goes_on
from tests.support.engines import TestEngines
from tests.support.people import Cast, Client, make_cast
from tests.support.processes import application, close

BASE = "https://files.example"
KEY = {"secret_access_key": "x" * 40}
INVISIBLE = "\u00ad\u180e\u3164\u115f\u1160\uffa0\U000e0041\u2800"


@pytest.fixture(scope="module")
def secure(engines: TestEngines) -> Iterator[Flask]:
    """A portal that people reach by https, behind one proxy."""
    app = application(replace(engines.settings(), base_url=BASE, trusted_proxies=1))
    yield app
    close(app)


def by_http(app: Flask, method: str, address: str, proto: str = "http") -> tuple[int, str, str]:
    headers = {"X-Forwarded-Proto": proto, "X-Forwarded-For": "192.0.2.1"}
    answer = Client(app).open(address, method=method, base_url="http://files.example", headers=headers)
    return answer.status_code, answer.headers.get("Location", ""), answer.text


def test_cookies_belong_to_this_host_alone_under_https(secure: Flask) -> None:
    cast = make_cast(secure)
    client = Client(secure)
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1", "Referer": f"{BASE}/login"}
    token = form_token(client.get("/login", headers=proxied))
    form = {"email": cast.alice.email, "password": "correct horse battery", "csrf_token": token, "remember": "y"}
    answer = client.post("/login", data=form, headers=proxied)
    cookies = answer.headers.getlist("Set-Cookie")
    assert sorted(each.partition("=")[0] for each in cookies) == [
        "__Host-stowage_device",
        "__Host-stowage_remember",
        "__Host-stowage_session",
    ]
    for cookie in cookies:
        assert "Secure" in cookie and "Path=/" in cookie.split("; ") and "Domain" not in cookie, cookie
    assert client.get("/account", headers=proxied).status_code == 200


def test_plain_http_leads_to_https_and_takes_nothing(secure: Flask) -> None:
    assert by_http(secure, "GET", "/login?next=/account")[:2] == (308, f"{BASE}/login?next=/account")
    for method, address in (("POST", "/login"), ("GET", "/v1/me"), ("POST", "/v1/me/tokens")):
        status, location, text = by_http(secure, method, address)
        assert (status, location) == (403, "") and BASE in text, (method, address)
    assert by_http(secure, "GET", "/healthz")[0] == 200
    assert by_http(secure, "GET", "/login", proto="https")[0] == 200


def test_a_form_token_is_never_the_same_twice_and_each_is_taken(cast: Cast) -> None:
    browser = cast.alice.browser
    pages = [browser.get("/account").text for _ in range(3)]
    found = [token for page in pages for token in re.findall(r'name="csrf_token" value="([^"]+)"', page)]
    assert len(found) > 3 and len(set(found)) == len(found)
    raw = browser.fixed.pop("X-CSRFToken")
    for token in (found[0], found[-1], raw):
        answer = browser.post("/account/sessions/end-others", data={"csrf_token": token})
        assert answer.status_code == 303
        by_script = {"X-CSRFToken": token}
        assert browser.post("/account/sessions/end-others", headers=by_script).status_code == 303
    for token in ("", "m.", "m.!!", "m.AAAA", found[0][:-8], "x" * 50):
        assert browser.post("/account/sessions/end-others", data={"csrf_token": token}).status_code == 400, token


@pytest.mark.parametrize("address", ["/account", "/account/tokens", "/workspaces"])
def test_no_page_has_the_token_as_the_session_keeps_it(cast: Cast, address: str) -> None:
    browser = cast.alice.browser
    kept = browser.fixed["X-CSRFToken"].partition(".")[0]
    page = browser.get(address).text
    assert 'name="csrf-token"' in page and kept not in page


@pytest.mark.parametrize("address", ["/login", "/account/password"])
def test_a_form_of_a_hundred_thousand_fields_is_too_large(cast: Cast, address: str) -> None:
    fields = "&".join(f"f{number}=1" for number in range(100_000))
    answer = cast.alice.browser.post(address, data=fields, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 413
    parts = {f"f{number}": "1" for number in range(2000)}
    answer = cast.alice.browser.post(address, data=parts, content_type="multipart/form-data")
    assert answer.status_code == 413


def test_being_remembered_survives_another_key(cast: Cast) -> None:
    client, config = cast.nobody, cast.app.config
    log_in(client, cast.alice.email, remember="y")
    client.delete_cookie("stowage_session", domain="localhost")
    before = config["SECRET_KEY"], config["SECRET_KEY_FALLBACKS"]
    try:
        config.update(SECRET_KEY="n" * 40, SECRET_KEY_FALLBACKS=[before[0]])
        assert goes_on(client)
        client.delete_cookie("stowage_session", domain="localhost")
        config.update(SECRET_KEY_FALLBACKS=[])  # it was signed anew
        assert goes_on(client)
        config.update(SECRET_KEY="f" * 40, SECRET_KEY_FALLBACKS=[])
        client.delete_cookie("stowage_session", domain="localhost")
        assert not goes_on(client)
    finally:
        config.update(SECRET_KEY=before[0], SECRET_KEY_FALLBACKS=before[1])


@pytest.mark.parametrize("character", INVISIBLE)
def test_invisible_characters_make_no_second_name(cast: Cast, character: str) -> None:
    name = f"inv{character}oice.pdf"
    assert names.flaw_in(name) is names.Flaw.DECEPTIVE
    assert cast.alice.api.post(cast.url("folders"), json={"name": name}).status_code == 422
    begun = cast.alice.api.post(
        cast.url("uploads"), json={"file_name": name, "mime_type": "application/pdf", "size_bytes": 5}
    )
    assert begun.status_code == 422
    with cast.app.app_context(), pytest.raises(Invalid):
        tenancy.checked_name(f"Acme{character}")


@pytest.mark.parametrize("character", INVISIBLE)
def test_invisible_characters_make_no_second_person_token_library_storage_or_webhook(
    cast: Cast, character: str
) -> None:
    name = f"Al{character}ice"
    with cast.app.app_context(), pytest.raises(Invalid) as refused, transaction():
        identity.create_user(f"al-{uuid4().hex}@acme.example", "a long enough one 7", name=name)
    assert "invisible" in str(refused.value)
    with cast.app.app_context(), pytest.raises(Invalid) as refused, transaction():
        identity.create_token(cast.alice.id, name)
    assert "invisible" in str(refused.value)
    bucket = {"bucket": "their-bucket", "region": "eu-central-1", "access_key_id": "AKIA" + "X" * 16}
    webhooks = f"/v1/tenants/{cast.acme.id}/webhooks"
    for answer, field in (
        (cast.alice.api.post(cast.url("libraries"), json={"name": name}), "name"),
        (cast.alice.api.post(cast.url("storage-profiles"), json={**bucket, **KEY, "name": name}), "name"),
        (cast.tina.api.post(webhooks, json={"url": "https://example.com/", "description": name}), "description"),
    ):
        problem = answer.get_json()
        assert (answer.status_code, problem.get("field")) == (422, field) and "invisible" in problem["detail"], problem


@pytest.mark.parametrize("name", ["Grüße.pdf", "写真.jpg", "👨‍👩‍👧.jpg", "می‌خواهم.txt", "한글.txt", "☺️.png"])
def test_names_of_every_script_stay_possible(name: str) -> None:
    assert names.flaw_in(name) is None
