"""Inviting somebody, joining, another role and removal, in a real browser; axe finds nothing serious on these pages."""

from __future__ import annotations

import re
import secrets
import time

from playwright.sync_api import expect
from sqlalchemy import select

from portal.database import db
from portal.mail.models import Email
from tests.browser.conftest import Portal, Visits
from tests.browser.test_accessibility import EXAMINED, Examination
from tests.support.people import Cast


def link_for(portal: Portal, email: str, kind: str) -> str:
    """The path of the link in the last e-mail to this address; a worker writes it."""
    newest = select(Email.text).where(Email.recipient == email).order_by(Email.id.desc()).limit(1)
    for _ in range(120):
        with portal.app.app_context():
            found = re.search(rf"/{kind}/\S+", db.session.scalar(newest) or "")
        if found:
            return found[0]
        time.sleep(0.25)
    raise AssertionError(f"no e-mail with a link to {kind} was written to {email}")


def test_somebody_is_invited_joins_gets_another_role_and_is_removed(visit: Visits, cast: Cast, portal: Portal) -> None:
    examination, email = Examination(), f"nina-{secrets.token_hex(4)}@stowage.example"
    owner = visit(cast.alice, cast.page("files"), **EXAMINED)
    owner.get_by_role("link", name="Members").click()
    expect(owner.get_by_role("heading", name="Members")).to_be_visible()
    owner.get_by_label("E-mail addresses").fill(f"Nina <{email}>, nonsense")
    owner.get_by_role("button", name="Invite").click()
    expect(owner.get_by_text("One person was invited.")).to_be_visible()
    expect(owner.get_by_text("is not an e-mail address")).to_be_visible()
    examination.look_at(owner, "members")
    guest = visit(None, link_for(portal, email, "invitations"), **EXAMINED)
    examination.look_at(guest, "invitation")
    guest.get_by_label("Your name").fill("Nina Nord")
    guest.get_by_label("Password", exact=True).fill("several words of hers")
    guest.get_by_label("Password, once more").fill("several words of hers")
    guest.get_by_role("button", name="Create my account and join").click()
    expect(guest.get_by_role("heading", name="All files")).to_be_visible()
    owner.goto(cast.page("members"))
    row = owner.get_by_role("row").filter(has_text=email)
    row.get_by_label("Role of Nina Nord").select_option("viewer")
    row.get_by_role("button", name="Change").click()
    expect(owner.get_by_text("The role was changed")).to_be_visible()
    expect(row.get_by_label("Role of Nina Nord")).to_have_value("viewer")
    row.get_by_role("button", name="Remove").click()
    expect(owner.locator("dialog[open]")).to_contain_text("Remove Nina Nord from this workspace?")
    owner.locator("#confirm-yes").click()
    expect(row).to_have_count(0)
    guest.reload()
    expect(guest.get_by_role("heading", name="There is nothing here")).to_be_visible()
    assert examination.found == {}


def test_an_administrator_disables_somebody_on_a_phone(visit: Visits, cast: Cast) -> None:
    examination = Examination()
    page = visit(cast.tina, f"/t/{cast.acme.slug}/people", viewport={"width": 390, "height": 844}, **EXAMINED)
    expect(page.get_by_role("heading", name="People")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    examination.look_at(page, "people")
    page.get_by_role("button", name="Disable Vera").click()
    page.locator("#confirm-yes").click()
    expect(page.get_by_text("The person was disabled")).to_be_visible()
    expect(page.get_by_role("button", name="Enable Vera")).to_be_visible()
    page.get_by_label("Search for people").fill("vera")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert examination.found == {}


def test_a_forgotten_password_is_replaced(visit: Visits, cast: Cast, portal: Portal) -> None:
    examination = Examination()
    page = visit(None, "/login", **EXAMINED)
    page.get_by_role("link", name="Forgot your password?").click()
    examination.look_at(page, "forgotten")
    page.get_by_label("E-mail address").fill(cast.bob.email)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_text("If there is an account with this address")).to_be_visible()
    page.goto(link_for(portal, cast.bob.email, "reset-password"))
    examination.look_at(page, "new password")
    page.get_by_label("New password", exact=True).fill("several new words")
    page.get_by_label("New password, once more").fill("several new words")
    page.get_by_role("button", name="Set the password").click()
    page.get_by_label("E-mail address").fill(cast.bob.email)
    page.get_by_label("Password").fill("several new words")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="All files")).to_be_visible()
    assert examination.found == {}
