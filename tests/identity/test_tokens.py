"""API tokens: made once, kept as a hash, ended by time or by hand."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from portal.database import db, now, transaction
from portal.errors import Invalid, NotFound
from portal.identity import service
from portal.identity.models import ApiToken
from tests.support.people import Cast


def stored(cast: Cast, plain: str) -> ApiToken:
    with cast.app.app_context():
        row = db.session.scalar(select(ApiToken).where(ApiToken.token_hash == service.hash_token(plain)))
    assert row is not None
    return row


def test_a_token_acts_for_its_person_and_is_stored_as_a_hash(cast: Cast) -> None:
    plain = cast.alice.token
    assert re.fullmatch(r"stw_[A-Za-z0-9_-]{43}", plain)
    row = stored(cast, plain)
    assert plain not in (row.token_hash, row.hint, row.name)
    assert plain.startswith(row.hint) and len(row.hint) < 12
    assert cast.alice.api.get("/v1/me").get_json()["user"]["email"] == cast.alice.email


@pytest.mark.parametrize("change", ["expires_at", "revoked_at"])
def test_an_expired_or_revoked_token_opens_nothing(cast: Cast, change: str) -> None:
    assert cast.alice.api.get(cast.url("quota")).status_code == 200
    row = stored(cast, cast.alice.token)
    with cast.app.app_context(), transaction() as session:
        setattr(session.get_one(ApiToken, row.id), change, now() - timedelta(seconds=1))
    for address in ("/v1/me", cast.url("quota")):
        answer = cast.alice.api.get(address)
        assert answer.status_code == 401
        assert answer.get_json()["code"] == "unauthenticated"
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer x", "bearer stw_" + "x" * 43, "Bearer " + "x" * 9000])
def test_what_is_no_token_opens_nothing(cast: Cast, header: str) -> None:
    for address in ("/v1/me", cast.url("quota")):
        assert cast.nobody.get(address, headers={"Authorization": header}).status_code == 401


def test_its_last_use_is_noted_at_most_once_a_minute(cast: Cast) -> None:
    def last_used() -> object:
        return stored(cast, cast.alice.token).last_used_at

    assert last_used() is None
    cast.alice.api.get(cast.url("quota"))
    first = last_used()
    assert first is not None
    cast.alice.api.get(cast.url("quota"))
    cast.alice.api.get("/v1/me")
    assert last_used() == first
    with cast.app.app_context(), transaction() as session:
        session.execute(text("UPDATE api_tokens SET last_used_at = last_used_at - interval '61 seconds'"))
    cast.alice.api.get("/v1/me")
    assert last_used() >= first  # type: ignore[operator]


def test_the_page_shows_a_new_token_once(cast: Cast) -> None:
    browser = cast.alice.browser
    made = browser.post("/account/tokens", data={"name": "Nightly export", "days": "30", "scopes": "read"})
    assert made.status_code == 201
    (plain,) = set(re.findall(r"stw_[A-Za-z0-9_-]{43}", made.text))
    assert cast.nobody.get("/v1/me", headers={"Authorization": f"Bearer {plain}"}).status_code == 200
    again = browser.get("/account/tokens").text
    assert "Nightly export" in again and plain not in again


@pytest.mark.parametrize(
    "data", [{"name": ""}, {"name": "x" * 101}, {"days": "0"}, {"days": "x"}, {"days": "366"}, {"scopes": "all"}]
)
def test_the_page_says_what_is_wrong_with_a_token(cast: Cast, data: dict[str, str]) -> None:
    answer = cast.alice.browser.post("/account/tokens", data={"name": "a", "scopes": "read"} | data)
    assert answer.status_code == 422
    assert "invalid-feedback" in answer.text


def test_revoking_ends_one_token_of_ones_own(cast: Cast) -> None:
    row = stored(cast, cast.alice.token)
    assert cast.mallory.browser.post(f"/account/tokens/{row.id}/revoke").status_code == 404
    assert cast.alice.api.get("/v1/me").status_code == 200
    assert cast.alice.browser.post(f"/account/tokens/{row.id}/revoke").status_code == 303
    assert cast.alice.api.get("/v1/me").status_code == 401
    assert cast.alice.browser.post(f"/account/tokens/{row.id}/revoke").status_code == 404


def test_the_service_refuses_names_and_lives_that_make_no_sense(cast: Cast) -> None:
    with cast.app.app_context(), transaction():
        for name, days in (("", 1), (" \t", 1), ("x" * 101, 1), ("a\0b", 1), ("ok", 0), ("ok", 366)):
            with pytest.raises(Invalid):
                service.create_token(cast.alice.id, name, days=days)
        with pytest.raises(NotFound):
            service.revoke_token(cast.alice.id, cast.bob.id)
