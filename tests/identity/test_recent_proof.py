"""What outlasts a session needs the password again when it was entered more than 15 minutes ago."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from portal.database import db, now, transaction
from portal.identity.models import ApiToken, Session
from tests.support.people import PASSWORD, Actor, Browser, Cast

TOKEN = {"name": "Nightly", "days": "30", "scopes": "read"}


def leave_open(cast: Cast, who: Actor) -> Browser:
    """A session whose password was entered 16 minutes ago."""
    browser = who.browser
    with cast.app.app_context(), transaction():
        past = now() - timedelta(minutes=16)
        db.session.execute(update(Session).where(Session.user_id == who.id).values(proved_at=past))
    return browser


def tokens(cast: Cast, who: Actor) -> list[str]:
    with cast.app.app_context():
        return list(db.session.scalars(select(ApiToken.name).where(ApiToken.user_id == who.id)))


def hidden(page: TestResponse) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
    return {name: value for name, value in found if name != "csrf_token"}


def test_a_token_is_made_after_the_password_and_with_what_was_sent(cast: Cast) -> None:
    browser = leave_open(cast, cast.alice)
    asked = browser.post("/account/tokens", data=TOKEN)
    assert asked.status_code == 403 and "Enter your password" in asked.text
    assert tokens(cast, cast.alice) == []
    form = hidden(asked)
    wrong = browser.post("/account/confirm", data=form | {"proof": "wrong"})
    assert wrong.status_code == 403 and "This is not your password." in wrong.text and hidden(wrong) == form
    right = form | {"proof": PASSWORD}
    on = browser.post("/account/confirm", data=right)
    assert (on.status_code, on.location) == (307, "/account/tokens")
    assert browser.post(on.location, data=right).status_code == 201  # as a browser follows it
    assert tokens(cast, cast.alice) == ["Nightly"]
    assert browser.post("/account/tokens", data=TOKEN).status_code == 201  # for 15 minutes


def test_the_acts_that_need_it(cast: Cast) -> None:
    leave_open(cast, cast.tina)
    leave_open(cast, cast.alice)
    t, w, none = f"/t/{cast.acme.slug}", cast.page("storage"), "00000000-0000-0000-0000-000000000000"
    for who, method, address, form in (
        (cast.tina, "POST", f"{t}/webhooks/new", {}),
        (cast.tina, "POST", f"{t}/webhooks/{none}/secret", {}),
        (cast.tina, "POST", f"{t}/quarantine/decide", {"decision": "release", "id": none}),
        (cast.tina, "POST", f"{t}/people/{none}/role", {"role": "admin"}),
        (cast.tina, "POST", f"{t}/people/{none}/disable", {}),
        (cast.tina, "POST", f"{t}/people/{none}/enable", {}),
        (cast.tina, "POST", f"{t}/people/{none}/remove", {}),
        (cast.alice, "POST", cast.page(f"members/{none}/role"), {"role": "owner"}),
        (cast.alice, "POST", cast.page(f"members/{none}/remove"), {}),
        (cast.alice, "GET", f"{w}/new", {}),
        (cast.alice, "POST", f"{w}/new", {}),
        (cast.alice, "POST", f"{w}/{none}/keys", {}),
    ):
        answer = who.browser.open(address, method=method, data=form)
        assert (answer.status_code, "Enter your password" in answer.text) == (403, True), address
    keeping = cast.tina.browser.post(
        f"{t}/quarantine/decide", data={"decision": "delete", "id": none, "reason": "a test"}
    )
    assert keeping.status_code == 303


def test_scripts_of_a_session_are_told_and_tokens_are_exempt(cast: Cast) -> None:
    address = f"/v1/tenants/{cast.acme.id}/webhooks"
    refused = leave_open(cast, cast.tina).post(address, json={"url": "https://hooks.example.com/x"})
    assert (refused.status_code, refused.get_json()["code"]) == (403, "proof_required")
    # A token was made under proof, and is a credential of its own: it gets as far as the address that it names.
    assert cast.tina.api.post(address, json={"url": "nowhere"}).status_code == 422


def test_no_secret_is_written_into_the_page_that_asks(cast: Cast) -> None:
    secret = "a-secret-that-somebody-typed"  # of nothing
    form = {"bucket": "mine", "secret_access_key": secret, "old_password": secret}
    asked = leave_open(cast, cast.alice).post(cast.page("storage/new"), data=form)
    assert asked.status_code == 403 and secret not in asked.text
    assert hidden(asked)["bucket"] == "mine"


def test_a_part_of_a_page_leads_to_the_whole_page_that_asks(cast: Cast) -> None:
    here = f"http://localhost/t/{cast.acme.slug}/webhooks?state=failed"
    headers = {"HX-Request": "true", "HX-Current-URL": here}
    answer = leave_open(cast, cast.tina).post(f"/t/{cast.acme.slug}/webhooks/new", headers=headers)
    assert answer.status_code == 403 and answer.headers["HX-Redirect"].startswith("/account/confirm?target=/t/")
    page = cast.tina.browser.get(answer.headers["HX-Redirect"])
    assert hidden(page)["proof_target"] == f"/t/{cast.acme.slug}/webhooks?state=failed"


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "/\n/x", ""]
)
def test_it_leads_nowhere_else(cast: Cast, target: str) -> None:
    form = {"proof": PASSWORD, "proof_target": target, "proof_method": "POST"}
    assert cast.alice.browser.post("/account/confirm", data=form).location == "/"
    assert hidden(cast.alice.browser.get("/account/confirm", query_string={"target": target}))["proof_target"] == "/"


def test_guessing_is_limited(cast: Cast) -> None:
    browser = leave_open(cast, cast.bob)
    answers = [browser.post("/account/confirm", data={"proof": "guess"}).status_code for _ in range(11)]
    assert answers == [403] * 10 + [429]
