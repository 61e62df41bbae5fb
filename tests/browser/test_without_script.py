"""Without JavaScript the pages are whole, and what matters works by plain forms."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Scene, Visits
from tests.browser.test_upload import tile
from tests.support.api_client import ApiClient
from tests.support.people import PASSWORD, Actor, Cast
from tests.support.pictures import photo


def test_login_trash_restore_and_log_out_work_by_forms(
    visit: Visits, cast: Cast, client: Callable[[Actor], ApiClient]
) -> None:
    api = client(cast.alice)
    api.wait(api.upload("cat.jpg", photo("cat")).asset_id)
    page = visit(path=cast.page("files"), java_script_enabled=False)
    page.get_by_label("mail address").fill(cast.alice.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    card = tile(page, "cat.jpg")
    card.locator("summary").click()
    card.get_by_role("link", name="Open", exact=True).click()
    page.get_by_role("button", name="Move to trash").click()
    page.wait_for_url("**/files**")
    expect(page.get_by_role("status").filter(has_text="Moved to the trash")).to_be_visible()
    expect(card).to_have_count(0)
    page.get_by_role("link", name="Trash").first.click()
    page.get_by_role("button", name="Restore cat.jpg").click()
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    page.get_by_role("link", name="All files").first.click()
    expect(card).to_contain_text("Ready")
    page.locator(".topbar-person summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_title("Log in · Stowage")


def test_nothing_offers_an_upload_that_would_not_come(visit: Visits, cast: Cast) -> None:
    page = visit(cast.bob, cast.page("files"), java_script_enabled=False)
    for button in page.locator("[data-upload], #tray-button").all():
        expect(button).to_be_hidden()
    expect(page.locator(".topbar .no-script")).to_be_visible()
    page = visit(cast.bob, cast.page("files"))
    expect(page.locator(".topbar-upload")).to_be_visible()
    expect(page.locator(".topbar .no-script")).to_be_hidden()


def test_filters_search_paging_and_downloads_work_as_plain_links(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.vera, scene.cast.page("files?limit=6"), java_script_enabled=False)
    expect(page.locator(".tile")).to_have_count(6)
    page.get_by_role("link", name="Show more").click()
    expect(page.locator(".tile")).to_have_count(4)
    expect(page.locator("#sidebar")).to_be_visible()
    page.get_by_role("link", name="Documents").click()
    expect(page.locator(".tile")).to_have_count(1)
    page.get_by_label("Search files by name").fill("palace")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("kind=document"))  # a search keeps what is set
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    page.locator(".filter-kinds").get_by_role("link", name="All", exact=True).click()
    page.get_by_label("Search files by name").fill("palace")
    page.keyboard.press("Enter")
    expect(page.locator(".tile")).to_have_count(1)
    tile(page, "summer-palace.jpg").locator(".tile-link").click()
    with page.expect_download() as saved:
        page.locator(".page-acts").get_by_role("link", name="Download").click()
    assert saved.value.suggested_filename == "summer-palace.jpg"
