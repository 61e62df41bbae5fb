"""In and out, and from place to place."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from portal.admin import service as admin
from portal.tenancy.models import TenantRole, WorkspaceRole
from tests.browser.conftest import Portal, Visits
from tests.support.people import PASSWORD, Cast


def test_a_person_logs_in_where_they_wanted_to_go_and_out_again(visit: Visits, cast: Cast) -> None:
    page = visit(path=cast.page("files"))
    expect(page).to_have_title("Log in · Stowage")
    page.get_by_label("mail address").fill(cast.alice.email)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("mail address")).to_have_value(cast.alice.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="All files")).to_be_visible()
    assert page.url.endswith(cast.page("files"))
    page.locator(".topbar-person summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_title("Log in · Stowage")
    page.goto(cast.page("files"))
    expect(page).to_have_title("Log in · Stowage")


def test_the_switcher_leads_to_every_workspace_and_tenant(visit: Visits, cast: Cast, portal: Portal) -> None:
    with portal.app.app_context():
        admin.open_workspace(cast.acme.slug, "archive", "Archive", cast.alice.email)
        admin.add_user(cast.evil.slug, cast.alice.email, TenantRole.MEMBER, None)
        admin.set_member(cast.evil.slug, "lair", cast.alice.email, WorkspaceRole.VIEWER)
    page = visit(cast.alice, cast.page("files"))
    switch = page.locator("#sidebar .switch")
    for name, address in (("Archive", f"/t/{cast.acme.slug}/w/archive/"), ("Lair", f"/t/{cast.evil.slug}/w/lair/")):
        switch.locator("summary").click()
        switch.get_by_role("link", name=name).click()
        expect(page).to_have_url(re.compile(re.escape(address)))
        expect(page).to_have_title(re.compile(f"{name} · Stowage"))
        expect(switch.locator("summary")).to_contain_text(name)
    page.go_back()
    expect(switch.locator("summary")).to_contain_text("Archive")


def test_the_address_follows_every_step_and_back_returns(visit: Visits, cast: Cast) -> None:
    page = visit(cast.alice, cast.page("files"))
    sidebar = page.locator("#sidebar")
    sidebar.get_by_role("link", name="Trash").click()
    expect(page.get_by_role("heading", name="Trash", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("/trash$"))
    expect(page).to_have_title(re.compile("^Trash"))
    expect(sidebar.get_by_role("link", name="Trash")).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(page).to_have_url(re.compile("/files$"))
    expect(sidebar.get_by_role("link", name="All files")).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("heading", name="All files")).to_be_visible()
    expect(page).to_have_title(re.compile("^All files"))
    page.go_forward()
    expect(page.get_by_role("heading", name="Trash", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Trash", exact=True)).to_be_visible()


def test_whoever_changes_their_mind_lands_where_they_clicked_last(visit: Visits, cast: Cast) -> None:
    page = visit(cast.alice, cast.page("files"))
    page.route("**/trash", lambda _route: None)  # the answer never comes
    page.locator("#sidebar").get_by_role("link", name="Trash").click()
    with page.expect_event("requestfailed") as given_up:
        page.locator("#search").fill("palace")
    assert given_up.value.url.endswith("/trash")
    expect(page.get_by_role("heading", name="Results for “palace”")).to_be_visible()
    page.unroute("**/trash")
    page.locator("#sidebar").get_by_role("link", name="Trash").click()
    expect(page.get_by_role("heading", name="Trash", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("/trash$"))
    expect(page.locator(".snack")).to_have_count(0)
