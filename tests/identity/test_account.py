"""A person's own page: the name that others see, and e-mails about what happened to the account."""

from __future__ import annotations

from sqlalchemy import select

from portal.database import db
from portal.mail.models import Email
from tests.identity.test_login import form_token, log_in
from tests.support.people import PASSWORD, Cast


def emails(cast: Cast, address: str) -> list[str]:
    """Which e-mails somebody got, the oldest first."""
    with cast.app.app_context():
        return list(db.session.scalars(select(Email.template).where(Email.recipient == address).order_by(Email.id)))


def test_a_person_changes_their_name(cast: Cast) -> None:
    assert 'value="Bob"' in cast.bob.browser.get("/account").text
    assert cast.bob.browser.post("/account/name", data={"name": " Bob  <b>Brook</b> "}).status_code == 303
    assert cast.bob.api.get("/v1/me").get_json()["user"]["name"] == "Bob <b>Brook</b>"
    page = cast.alice.browser.get(cast.page("members")).text
    assert "Bob &lt;b&gt;Brook" in page and "<b>Brook" not in page
    for wrong in ("", "x" * 201, "B\u202eob", "B\u3164ob"):
        refused = cast.bob.browser.post("/account/name", data={"name": wrong})
        assert refused.status_code == 422 and "is-invalid" in refused.text, wrong


def test_another_password_is_announced(cast: Cast) -> None:
    form = {"current": PASSWORD, "password": "several words of mine", "again": "several words of mine"}
    assert cast.bob.browser.post("/account/password", data=form).status_code == 303
    assert emails(cast, cast.bob.email) == ["password_changed"]


def test_a_new_device_is_announced_and_a_known_one_is_not(cast: Cast) -> None:
    first, second = cast.nobody, cast.nobody
    assert log_in(first, cast.vera.email).status_code == 302
    assert emails(cast, cast.vera.email) == [], "the first login of all"
    first.post("/logout", data={"csrf_token": form_token(first.get("/account"))})
    log_in(first, cast.vera.email)
    assert emails(cast, cast.vera.email) == [], "the same browser"
    log_in(second, cast.vera.email, password="wrong")
    assert emails(cast, cast.vera.email) == []
    log_in(second, cast.vera.email)
    assert emails(cast, cast.vera.email) == ["new_device"]
