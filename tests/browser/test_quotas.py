"""The pages of quotas in a real browser: limits in their rows, charts under the policy, requests for more space."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from playwright.sync_api import expect

from portal.database import transaction
from portal.quotas import limits
from portal.usage import measurement, snapshots
from portal.usage.models import TenantSnapshot, UsageSnapshot
from tests.browser.conftest import Visits
from tests.browser.test_accessibility import EXAMINED, Examination
from tests.support.factories import make_asset
from tests.support.people import Cast

GB = 1 << 30


def set_scene(cast: Cast) -> None:
    """A month of steady growth in ``press``, up to 9 of 10 GB."""
    make_asset(cast, size_bytes=9 * GB, charged_bytes=9 * GB)
    today = snapshots.today()
    with cast.app.app_context():
        limits.set_limit(cast.acme.id, cast.press.id, None, 10 * GB)
        with transaction(cast.acme.id) as session:
            for n in range(30):
                row = {"tenant_id": cast.acme.id, "day": today - timedelta(days=30 - n), "used_files": 1}
                session.add(UsageSnapshot(workspace_id=cast.press.id, used_bytes=(60 + n) * GB // 10, **row))
                session.add(TenantSnapshot(used_bytes=(60 + n) * GB // 10, **row))
        snapshots.take_of(cast.acme.id)
        measurement.measure(cast.acme.id, cast.press.id)


def test_a_limit_is_changed_in_its_row_and_the_charts_are_drawn(visit: Visits, cast: Cast) -> None:
    set_scene(cast)
    page = visit(cast.tina, f"/t/{cast.acme.slug}/quotas")
    row = page.locator("tr", has_text="Press")
    row.get_by_role("button", name="Change the limit").click()
    field = row.get_by_label("Limit of Press")
    expect(field).to_be_focused()
    field.fill("1e99")
    field.press("Enter")
    expect(row.get_by_role("alert")).to_contain_text("Write a number and a unit")
    expect(field).to_have_value("1e99")
    field.fill("20 GB")
    field.press("Enter")
    expect(page.locator(".snack-text")).to_have_text("The limit was changed.")
    expect(row.locator(".quotas-limit")).to_contain_text("20 GB")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status").filter(has_text="1 limit was restored.")).to_be_visible()
    expect(row.locator(".quotas-limit")).to_contain_text("10 GB")
    row.get_by_role("link", name="Press").click()
    expect(page.locator("canvas[width]").first).to_be_visible()
    assert page.evaluate("Object.keys(Chart.instances).length") == 1
    page.get_by_text("Show as a table").click()
    expect(page.get_by_role("columnheader", name="Expected")).to_be_visible()
    page.goto(f"/t/{cast.acme.slug}/quotas/report")
    expect(page.locator("canvas[width]")).to_have_count(5)
    page.emulate_media(color_scheme="dark")
    expect(page.locator("canvas[width]")).to_have_count(5)


def test_more_space_takes_two_clicks_and_giving_it_one(visit: Visits, cast: Cast, files: Path) -> None:
    set_scene(cast)
    with cast.app.app_context():
        limits.set_limit(cast.acme.id, cast.press.id, None, 9 * GB)
    page = visit(cast.bob, cast.page("files"))
    page.locator("#pick-files").set_input_files([files / "cat.jpg"])
    page.locator("#tray-problems").get_by_role("link", name="Ask for more space").click()
    page.get_by_role("button", name="Send request").click()
    expect(page.get_by_role("status").filter(has_text="Your administrators were notified.")).to_be_visible()
    admin = visit(cast.tina, f"/t/{cast.acme.slug}/quotas")
    admin.get_by_role("button", name="Approve 10 GB").click()
    expect(admin.get_by_role("status").filter(has_text="Press got 10 GB more.")).to_be_visible()
    expect(admin.locator("tr", has_text="Press").locator(".quotas-limit")).to_contain_text("19 GB")


def test_the_pages_can_be_used_by_everybody(visit: Visits, cast: Cast) -> None:
    set_scene(cast)
    examination = Examination()
    page = visit(cast.tina, f"/t/{cast.acme.slug}/quotas", **EXAMINED)
    page.get_by_label("Choose Press").check()
    examination.look_at(page, "quotas")
    for name in (str(cast.press.id), "report"):
        page.goto(f"/t/{cast.acme.slug}/quotas/{name}")
        expect(page.locator("canvas[width]").first).to_be_visible()
        examination.look_at(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page = visit(cast.alice, cast.page("more-space"), **EXAMINED)
    examination.look_at(page, "more space")
    assert examination.found == {}
