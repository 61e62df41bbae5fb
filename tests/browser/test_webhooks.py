"""A webhook from the page that teaches to its end, in a real browser; axe finds nothing serious on its pages."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Portal, Visits
from tests.browser.test_accessibility import EXAMINED, Examination
from tests.support.people import Cast


def test_a_webhook_is_added_tried_and_removed(visit: Visits, cast: Cast, portal: Portal) -> None:
    receiver = portal.engines.settings().egress_allow[0]  # the store: it is there, and wants no webhooks
    examination = Examination()
    page = visit(cast.tina, f"/t/{cast.acme.slug}/overview", **EXAMINED)
    page.get_by_role("link", name="Webhooks").click()
    expect(page.get_by_role("heading", name="No webhooks yet")).to_be_visible()
    examination.look_at(page, "empty")
    page.get_by_role("link", name="Add a webhook").click()
    page.get_by_label("Address").fill("https://10.0.0.1/")
    page.get_by_role("button", name="Add the webhook").click()
    expect(page.get_by_text("not a public address")).to_be_visible()
    examination.look_at(page, "form")
    page.get_by_label("Address").fill(f"{receiver}/nowhere/told")
    page.get_by_label("A file is ready").check()
    page.get_by_role("button", name="Add the webhook").click()
    expect(page.get_by_label("Secret", exact=True)).to_have_value(re.compile("^whsec_"))
    examination.look_at(page, "secret")
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator("#delivery .state-bad")).to_have_text("Failed")
    examination.look_at(page, "delivery")
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link").last.click()
    expect(page.locator(".page-sub .state")).to_have_text("Failing")
    examination.look_at(page, "webhook")
    page.get_by_role("link", name="Webhooks").first.click()
    expect(page.get_by_role("row")).to_have_count(2)
    examination.look_at(page, "list")
    page.get_by_role("row").last.get_by_role("link").click()
    page.get_by_role("button", name="Remove").click()
    page.locator("#confirm-yes").click()
    expect(page.get_by_role("heading", name="No webhooks yet")).to_be_visible()
    assert examination.found == {}
