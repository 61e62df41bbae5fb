"""The other pages: tokens, the tenant's overview, the quarantine, usage, and addresses that do not exist."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Portal, Scene, Visits
from tests.support.api_client import ApiClient
from tests.support.engines import EICAR, SIGNATURE
from tests.support.people import Actor, Cast
from tests.support.pictures import photo

Client = Callable[[Actor], ApiClient]


def test_a_token_is_shown_once_works_and_is_revoked(visit: Visits, cast: Cast, portal: Portal) -> None:
    page = visit(cast.bob, "/account/tokens")
    page.get_by_label("Name").fill("Nightly export")
    page.get_by_label("Upload files").uncheck()
    page.get_by_label("Press").check()
    page.get_by_label("Days").fill("30")
    page.get_by_role("button", name="Create token").click()
    token = page.get_by_role("textbox", name="Token", exact=True).input_value()
    with httpx.Client(base_url=portal.origin, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as api:
        assert api.get("/v1/me").json()["user"]["email"] == cast.bob.email
        page.goto("/account/tokens")
        expect(page.get_by_role("row").filter(has_text="Nightly export")).to_contain_text("Only in Press")
        assert token not in page.content()
        page.get_by_role("button", name="Revoke Nightly export").click()
        expect(page.locator("#confirm")).to_contain_text("Programs that use “Nightly export” are refused from now on.")
        page.locator("#confirm").get_by_role("button", name="Revoke").click()
        expect(page.get_by_role("row").filter(has_text="Nightly export")).to_have_count(0)
        assert api.get("/v1/me").status_code == 401


def test_a_token_without_a_name_is_refused_beside_the_field(visit: Visits, cast: Cast) -> None:
    page = visit(cast.bob, "/account/tokens")
    page.get_by_label("Name").fill("   ")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".invalid-feedback")).to_be_visible()


def test_an_admin_sees_the_tenant_and_its_quarantined_files(visit: Visits, cast: Cast, client: Client) -> None:
    alice = client(cast.alice)
    alice.wait(alice.upload("eicar.txt", EICAR).asset_id, "quarantined")
    page = visit(cast.tina, "/")
    page.get_by_role("link", name="Overview").first.click()
    expect(page.get_by_role("heading", name="Acme", exact=True).first).to_be_visible()
    page.get_by_role("link", name="4 people").click()
    for person in ("Alice", "Bob", "Vera", "Tina"):
        expect(page.locator("#main")).to_contain_text(person)
    link = page.locator("#sidebar").get_by_role("link", name="Quarantine")
    expect(link).to_contain_text("1")
    link.click()
    row = page.locator("#quarantined tr")
    for text in ("eicar.txt", "Press", SIGNATURE, "Alice"):
        expect(row).to_contain_text(text)
    (only,) = page.locator("#quarantined a").all()
    assert "/download" not in (only.get_attribute("href") or "")


def test_an_admin_decides_about_a_quarantined_file(visit: Visits, cast: Cast, client: Client) -> None:
    alice = client(cast.alice)
    alice.wait(alice.upload("eicar.txt", EICAR).asset_id, "quarantined")
    page = visit(cast.tina, f"/t/{cast.acme.slug}/quarantine")
    delete = page.get_by_role("button", name="Delete now")
    expect(delete).to_be_disabled()
    page.get_by_label("All shown").check()
    expect(page.locator("[data-pick-count]")).to_contain_text("1 chosen")
    delete.click()
    expect(page.get_by_role("heading", name="Delete 1 file, 68 bytes?")).to_be_visible()
    page.get_by_label("Reason").fill("Nobody needs it.")
    page.get_by_role("button", name="Delete now").click()
    expect(page.locator("#main")).to_contain_text("being removed")
    expect(page.locator("#main")).to_contain_text("The quarantine is empty")


@pytest.mark.parametrize(
    ("percent", "words"), [(50, None), (82, "Filling up"), (92, "Nearly full"), (97, "Almost no space left")]
)
def test_the_bar_warns_a_member_at_three_levels(
    visit: Visits, cast: Cast, client: Client, percent: int, words: str | None
) -> None:
    size, alice = len(photo("cat")), client(cast.alice)
    alice.wait(alice.upload("cat.jpg", photo("cat")).asset_id)
    limit = size * 100 // percent
    assert client(cast.tina).call("PUT", "quota", {"limit_bytes": limit}).status_code == 200
    bar = visit(cast.vera, cast.page("files")).locator("#sidebar .quota")
    expect(bar).to_contain_text(f"{size / 1024:.0f} KB of {limit / 1024:.0f} KB")
    expect(bar.locator("progress")).to_have_js_property("position", size / limit)
    if words:
        expect(bar.locator(".quota-level")).to_have_text(words)
    else:
        expect(bar.locator(".quota-level")).to_have_count(0)


def test_without_a_limit_of_its_own_a_workspace_shows_the_tenants(visit: Visits, cast: Cast, client: Client) -> None:
    bar = visit(cast.vera, cast.page("files")).locator("#sidebar .quota")
    expect(bar).to_contain_text("0 bytes used, 100 GB left")
    expect(bar.locator("progress")).to_have_js_property("position", 0)


def test_pages_that_are_none_say_so_and_lead_back(visit: Visits, scene: Scene) -> None:
    for address, way_back in (
        ("/nowhere", "Go to your workspaces"),
        ("/t/acme/w/nowhere/files", "Go to your workspaces"),
        (scene.cast.page("files/01a209ee-6c61-7cb8-a178-73c927ec17b1"), "Go to the files"),
    ):
        page = visit(scene.cast.vera, address)
        expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
        expect(page.locator(".error-code")).to_contain_text(re.compile("Code to quote: .{6,}"))
        page.get_by_role("link", name=way_back).click()
        expect(page).to_have_title(re.compile("Workspaces|All files"))


def test_an_error_in_a_part_of_a_page_becomes_a_message(visit: Visits, cast: Cast, client: Client) -> None:
    alice = client(cast.alice)
    asset_id = alice.wait(alice.upload("cat.jpg", photo("cat")).asset_id)["asset_id"]
    page = visit(cast.bob, cast.page("files"))
    page.route("**/discard", lambda route: route.abort())
    page.locator(".tile summary").click()
    page.get_by_role("button", name="Move to trash").click()
    expect(page.locator(".snack")).to_contain_text("The portal does not answer.")
    expect(page.locator(f"#asset-{asset_id}")).to_be_visible()
