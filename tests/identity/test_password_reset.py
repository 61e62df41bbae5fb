"""A forgotten password: a link that works once, for an hour, and ends every session and token."""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from portal.database import db, transaction
from portal.identity import password_reset, password_reset_views
from portal.identity import service as identity
from portal.identity.jobs import send_password_reset
from portal.identity.models import User
from portal.mail.models import Email
from portal.tasks import NOWHERE, Task
from portal.web.rate_limits import Rate
from tests.support.people import PASSWORD, Browser, Cast

NEW = {"password": "several new words", "again": "several new words"}
SAID = "If there is an account with this address"


@pytest.fixture(autouse=True)
def own_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted for each test apart: all come from one network."""
    for name in ("BY_NETWORK", "BY_ADDRESS"):
        limit = getattr(password_reset_views, name).limit
        monkeypatch.setattr(password_reset_views, name, Rate(f"{name}-{uuid4()}", limit))


def visitor(cast: Cast) -> Browser:
    """Somebody without a session, whose forms carry a token."""
    return Browser(cast.app).sign_in("nobody")


def ask(cast: Cast, email: str) -> str:
    return visitor(cast).post("/forgot-password", data={"email": email}, follow_redirects=True).text


def deliver(user_id: UUID) -> int:
    due = select(Task).where(Task.kind == "send_password_reset", Task.target_id == user_id)
    found = db.session.scalars(due).all()
    for _each in found:
        send_password_reset(str(NOWHERE), str(NOWHERE), str(user_id))
    return len(found)


def link(cast: Cast, email: str) -> str:
    """Ask for a link, and read it in the e-mail."""
    assert SAID in ask(cast, email)
    with cast.app.app_context():
        assert deliver(identity.find_user(email).id) == 1  # type: ignore[union-attr]
        newest = select(Email.text).where(Email.recipient == email.lower()).order_by(Email.id.desc()).limit(1)
        found = re.search(r"/reset-password/\S+", db.session.scalars(newest).one())
    assert found
    return found[0]


def logs_in(cast: Cast, password: str) -> bool:
    return visitor(cast).post("/login", data={"email": cast.alice.email, "password": password}).status_code == 302


def test_a_link_sets_another_password_and_ends_everything(cast: Cast) -> None:
    assert cast.alice.browser.get("/workspaces").status_code == 200
    assert cast.alice.api.get("/v1/me").status_code == 200
    place = link(cast, cast.alice.email.upper().replace("@STOWAGE.EXAMPLE", "@stowage.example"))
    assert cast.alice.email in cast.nobody.get(place).text
    done = visitor(cast).post(place, data=NEW)
    assert (done.status_code, done.location) == (303, "/login")
    assert cast.alice.browser.get("/workspaces").status_code == 302
    assert cast.alice.api.get("/v1/me").status_code == 401
    assert logs_in(cast, NEW["password"]) and not logs_in(cast, PASSWORD)


def test_a_link_works_once_and_ends_the_other_ones(cast: Cast) -> None:
    first, second = link(cast, cast.alice.email), link(cast, cast.alice.email)
    assert visitor(cast).post(first, data=NEW).status_code == 303
    for used in (first, second):
        page = cast.nobody.get(used)
        assert page.status_code == 404 and "was used already" in page.text and 'href="/forgot-password"' in page.text
        assert visitor(cast).post(used, data=NEW).status_code == 404


def test_a_changed_password_ends_links_that_are_under_way(cast: Cast) -> None:
    place = link(cast, cast.alice.email)
    form = {"current": PASSWORD, "password": "others of mine", "again": "others of mine"}
    assert cast.alice.browser.post("/account/password", data=form).status_code == 303
    assert cast.nobody.get(place).status_code == 404


def test_a_link_is_valid_for_an_hour(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    place = link(cast, cast.alice.email)
    assert timedelta(hours=1) == password_reset.WITHIN
    monkeypatch.setattr(password_reset, "WITHIN", timedelta(seconds=-1))  # as if it had passed
    answer = cast.nobody.get(place)
    assert answer.status_code == 409 and "has expired" in answer.text


def test_a_forged_link_opens_nothing(cast: Cast) -> None:
    place = link(cast, cast.alice.email)
    for forged in (place[:-2], place + "A", "/reset-password/" + secrets.token_urlsafe(64), "/reset-password/W10.x.y"):
        assert cast.nobody.get(forged).status_code == 404


def test_a_weak_password_is_refused_and_the_link_stays(cast: Cast) -> None:
    place = link(cast, cast.alice.email)
    for wrong in (
        {"password": "12345678", "again": "12345678"},
        {**NEW, "again": "else"},
        {"password": "", "again": ""},
    ):
        answer = visitor(cast).post(place, data=wrong)
        assert answer.status_code == 422 and "is-invalid" in answer.text
    assert visitor(cast).post(place, data=NEW).status_code == 303


def test_nobody_learns_who_has_an_account(cast: Cast) -> None:
    with cast.app.app_context(), transaction() as session:
        session.get_one(User, cast.bob.id).active = False
    for email in (f"nobody-{secrets.token_hex(4)}@x.example", cast.bob.email, "no address", "x\0y@z.example"):
        assert SAID in ask(cast, email)
    with cast.app.app_context():
        assert deliver(cast.bob.id) == 0, "a blocked person gets no link"


def test_a_mailbox_is_not_filled(cast: Cast) -> None:
    for _ in range(5):
        link(cast, cast.vera.email)
    assert SAID in ask(cast, cast.vera.email)
    with cast.app.app_context():
        assert deliver(cast.vera.id) == 0


def test_the_form_wants_an_address(cast: Cast) -> None:
    assert visitor(cast).post("/forgot-password", data={"email": ""}).status_code == 422
    assert visitor(cast).post("/forgot-password", data={"email": "x" * 300}).status_code == 422


@pytest.mark.parametrize("path", ["/forgot-password", "/login"])
def test_the_pages_lead_to_each_other(cast: Cast, path: str) -> None:
    page = cast.nobody.get(path).text
    assert ('href="/login"' in page) if path != "/login" else ('href="/forgot-password"' in page)
