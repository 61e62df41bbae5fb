"""The operations page updates itself while it is open, and is accessible."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from portal import database
from portal.admin import service as admin
from portal.assets.models import PreviewState
from portal.lifecycle import periodic_tasks
from portal.texts import Text
from tests.browser.conftest import Visits
from tests.browser.test_accessibility import EXAMINED, Examination
from tests.support.factories import make_asset
from tests.support.people import Actor, Cast


@pytest.fixture
def olga(cast: Cast) -> Actor:
    """Tina, an operator, too."""
    with cast.app.app_context():
        admin.make_operator(cast.tina.email)
    return cast.tina


def test_the_dashboard_updates_itself_and_its_buttons_keep_one_page(visit: Visits, cast: Cast, olga: Actor) -> None:
    page = visit(olga, "/operator")
    expect(page.get_by_text("12 parts answer")).to_have_count(0)
    with cast.app.app_context():
        periodic_tasks._finish(
            periodic_tasks.RunResult("doctor", ok=True, result=Text("12 parts answer.")),
            database.now(),
            periodic_tasks.RETRY,
        )
    expect(page.get_by_text("12 parts answer")).to_be_visible()
    make_asset(cast, previews=PreviewState.FAILED, previews_code="bad_code", previews_detail=Text("no"))
    retry = page.get_by_role("row", name="bad code").get_by_role("button", name="Retry")
    retry.click()
    expect(page.get_by_text("file was processed")).to_be_visible()
    expect(page.locator("#sidebar")).to_have_count(1)
    expect(page.get_by_role("heading", name="Operations", exact=True)).to_have_count(1)


def test_the_pages_are_accessible(visit: Visits, cast: Cast, olga: Actor) -> None:
    examination = Examination()
    page = visit(olga, "/operator", **EXAMINED)
    examination.look_at(page, "operations")
    page.goto("/operator/scanner")
    examination.look_at(page, "scanner")
    page.goto(f"/t/{cast.acme.slug}/scanner")
    examination.look_at(page, "tenant's scanner")
    assert not examination.found, examination.found
