"""The pages of outgoing e-mails: for operators, with the HTML of an e-mail behind a policy of its own."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from portal import database
from portal.admin import service as admin
from portal.database import db, transaction
from portal.mail import service as mail
from portal.mail.models import Email, EmailState
from portal.mail.service import Addressee
from tests.support.people import Cast


@pytest.fixture
def email_id(cast: Cast) -> UUID:
    """An e-mail that is stored, because the portal of the tests has no mail server; tina is an operator."""
    to = Addressee("Olga", f"olga-{uuid4().hex}@example.com")
    with cast.app.app_context():
        admin.make_operator(cast.tina.email)
        with transaction():
            words, at = "<b>Three</b> bytes.", database.now()
            mail.enqueue("task_alarm", [to], None, task="The recount", detail=words, at=at, path="/")
        return db.session.scalars(select(Email.id).where(Email.recipient == to.email)).one()


def set_state(cast: Cast, email_id: UUID, state: EmailState) -> EmailState:
    """Write a state into the row; returns the state before."""
    with cast.app.app_context(), transaction() as session:
        row = session.get_one(Email, email_id)
        before, row.state = row.state, state
        return before


def test_an_operator_can_read_a_stored_email(cast: Cast, email_id: UUID) -> None:
    listed = cast.tina.browser.get("/operator/mail").get_data(as_text=True)
    assert f"/operator/mail/{email_id}" in listed and "PORTAL_MAIL_URL" in listed
    shown = cast.tina.browser.get(f"/operator/mail/{email_id}")
    page = shown.get_data(as_text=True)
    assert "&lt;b&gt;Three&lt;/b&gt; bytes." in page and "<b>Three" not in page
    assert f'src="/operator/mail/{email_id}/html"' in page
    policy = shown.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy and "unsafe" not in policy and policy.endswith("frame-src 'self'")


def test_its_html_runs_nothing(cast: Cast, email_id: UUID) -> None:
    shown = cast.tina.browser.get(f"/operator/mail/{email_id}/html")
    policy = shown.headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox allow-popups"
    assert shown.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "&lt;b&gt;Three" in shown.get_data(as_text=True)


def test_an_email_that_was_given_up_can_be_sent_again(cast: Cast, email_id: UUID) -> None:
    path = f"/operator/mail/{email_id}/send"
    assert cast.tina.browser.post(path).status_code == 409, "an e-mail that is stored"
    set_state(cast, email_id, EmailState.GIVEN_UP)
    assert cast.tina.browser.post(path).status_code == 303
    assert set_state(cast, email_id, EmailState.KEPT) is EmailState.WAITING


def test_the_list_can_be_filtered_and_paged(cast: Cast, email_id: UUID) -> None:
    assert str(email_id) in cast.tina.browser.get("/operator/mail?state=kept").get_data(as_text=True)
    assert str(email_id) not in cast.tina.browser.get("/operator/mail?state=sent").get_data(as_text=True)
    assert cast.tina.browser.get("/operator/mail?state=lost").status_code == 422
    assert cast.tina.browser.get("/operator/mail?limit=1").status_code == 200


def test_only_operators_can_read_emails(cast: Cast, email_id: UUID) -> None:
    for path in ("/operator/mail", f"/operator/mail/{email_id}", f"/operator/mail/{email_id}/html"):
        assert cast.alice.browser.get(path).status_code == 403
        assert cast.nobody.get(path).status_code == 302
    assert cast.tina.browser.get(f"/operator/mail/{uuid4()}").status_code == 404
