"""A password is not one that is guessed first; another one ends what the old one opened."""

from __future__ import annotations

import pytest

from portal.admin import service as admin
from portal.database import transaction
from portal.errors import Invalid
from portal.identity import service as identity
from portal.identity.passwords import weakness
from tests.identity.test_sessions import change_password, goes_on
from tests.support.people import PASSWORD, Cast


@pytest.mark.usefixtures("in_app")
@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("password", "everybody tries first"),
        ("iloveyou", "everybody tries first"),
        ("qwertyuiop", "everybody tries first"),
        ("Passw0rd!", "a common password"),
        ("summer2024", "a common password"),
        ("aaaaaaaaaaaa", "repeated"),
        ("abcabcabcabc", "repeated"),
        ("zxcvbnm,./", "side by side"),
        ("26.11.1984", "dates"),
        ("a" * 128, "repeated"),
    ],
)
def test_common_and_breached_passwords_are_refused_with_the_reason(password: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason) as refusal:
        identity.checked_password(password, "alice@stowage.example")
    assert refusal.value.facts["field"] == "password"


@pytest.mark.usefixtures("in_app")
@pytest.mark.parametrize("password", ["Liddell2024", "alice1234", "Stowage2026", "liddell!"])
def test_what_a_guesser_knows_of_a_person_is_refused(password: str) -> None:
    with pytest.raises(Invalid):
        identity.checked_password(password, "alice@stowage.example", "Alice Liddell")


@pytest.mark.parametrize(
    "password", [PASSWORD, "x7!Kq-2vLm9p", "Grüße aus Köln am Rhein", "写真を預ける場所です", "8Fh2_" * 25]
)
def test_others_are_taken_whatever_their_length_and_script(password: str) -> None:
    assert weakness(password, "alice@stowage.example") is None


def test_the_page_says_why(cast: Cast) -> None:
    answer = change_password(cast.alice.browser, password="letmein123", again="letmein123")
    assert answer.status_code == 422 and "too easy to guess" in answer.text


def test_tokens_go_on_with_another_password_unless_they_are_to_end(cast: Cast) -> None:
    api = cast.alice.api
    with cast.app.app_context(), transaction():
        identity.create_token(cast.alice.id, "second")
    assert "Also revoke my 2 API tokens" in cast.alice.browser.get("/account").text
    assert change_password(cast.alice.browser).status_code == 303
    assert "2 API tokens go on working" in cast.alice.browser.get("/account").text
    assert api.get("/v1/me").status_code == 200
    again = {"current": "another good one", "password": "yet another good one", "again": "yet another good one"}
    assert change_password(cast.alice.browser, **again, revoke_tokens="y").status_code == 303
    page = cast.alice.browser.get("/account").text
    assert "2 API tokens were revoked" in page and "Also revoke" not in page
    assert api.get("/v1/me").status_code == 401


def test_a_reset_ends_sessions_and_tokens(cast: Cast) -> None:
    browser, api, others = cast.alice.browser, cast.alice.api, cast.bob.api
    assert api.get("/v1/me").status_code == 200
    with cast.app.app_context():
        assert admin.reset_password(cast.alice.email, "several words of mine") == (1, 1)
        with pytest.raises(Invalid):
            admin.reset_password(cast.alice.email, "12345678")
        assert identity.proves(cast.alice.id, "several words of mine")
    assert not goes_on(browser)
    assert api.get("/v1/me").status_code == 401 and others.get("/v1/me").status_code == 200
