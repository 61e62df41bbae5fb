"""Into the trash and out of it; gone for good only after a question with numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits, holds
from tests.browser.test_upload import tile
from tests.support.api_client import ApiClient
from tests.support.people import Actor, Cast
from tests.support.pictures import photo

Client = Callable[[Actor], ApiClient]


@pytest.fixture
def alice(client: Callable[[Actor], ApiClient], cast: Cast) -> ApiClient:
    """Her API client, with two pictures in ``press``."""
    api = client(cast.alice)
    for name in ("cat", "rocket"):
        api.wait(api.upload(f"{name}.jpg", photo(name)).asset_id)
    return api


def confirm(page: Page, action: str) -> str:
    """Say yes to the question; its words."""
    box = page.locator("#confirm")
    expect(box).to_be_visible()
    words = box.inner_text()
    box.get_by_role("button", name=action).click()
    expect(box).to_be_hidden()
    return words


def test_a_file_goes_to_the_trash_and_comes_back_by_undo(visit: Visits, cast: Cast, alice: ApiClient) -> None:
    page = visit(cast.bob, cast.page("files"))
    tile(page, "cat.jpg").locator("summary").click()
    tile(page, "cat.jpg").get_by_role("button", name="Move to trash").click()
    expect(tile(page, "cat.jpg")).to_have_count(0)
    expect(page.locator(".snack")).to_contain_text("Moved to the trash. It stays there for 30 days.")
    page.locator(".snack").get_by_role("button", name="Undo").click()
    expect(tile(page, "cat.jpg")).to_contain_text("Ready")
    expect(page.locator(".tile")).to_have_count(2)


def test_the_trash_restores_and_deletes_for_good_with_numbers(visit: Visits, cast: Cast, alice: ApiClient) -> None:
    page = visit(cast.alice, cast.page("files"))
    for name in ("cat.jpg", "rocket.jpg"):
        tile(page, name).locator(".tile-link").click()
        page.get_by_role("button", name="Move to trash").click()
        expect(page.get_by_role("button", name="Restore")).to_be_visible()
        page.locator("#sidebar").get_by_role("link", name="All files").click()
        expect(page.get_by_role("heading", name="All files")).to_be_visible()
        expect(tile(page, name)).to_have_count(0)
    page.locator("#sidebar").get_by_role("link", name="Trash").click()
    expect(page.locator(".page-sub")).to_contain_text("2 files, 151 KB.")
    page.get_by_role("button", name="Restore cat.jpg").click()
    expect(page.get_by_role("status").filter(has_text="“cat.jpg” was restored.")).to_be_visible()
    expect(page.locator("#assets tr")).to_have_count(1)
    page.get_by_role("button", name="Delete rocket.jpg for good").click()
    assert "“rocket.jpg”, 110 KB, is removed from the storage. This cannot be undone." in confirm(
        page, "Delete for good"
    )
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Deleted for good")).to_be_visible()
    page.locator("#sidebar").get_by_role("link", name="All files").click()
    expect(tile(page, "cat.jpg")).to_contain_text("Ready")
    expect(page.locator(".tile")).to_have_count(1)
    holds(alice, len(photo("cat")))


def test_emptying_the_trash_asks_with_its_numbers_and_no_is_an_answer(
    visit: Visits, cast: Cast, alice: ApiClient
) -> None:
    for item in alice.call("GET", "assets").json()["items"]:
        assert alice.call("DELETE", f"assets/{item['asset_id']}").status_code == 204
    page = visit(cast.alice, cast.page("trash"))
    page.get_by_role("button", name="Empty the trash").click()
    box = page.locator("#confirm")
    expect(box).to_contain_text("2 files, 151 KB, are removed from the storage. This cannot be undone.")
    page.keyboard.press("Escape")
    expect(page.locator("#assets tr")).to_have_count(2)
    page.get_by_role("button", name="Empty the trash").click()
    confirm(page, "Empty the trash")
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    holds(alice, 0)


def test_on_a_phone_a_button_without_words_still_has_its_name(visit: Visits, cast: Cast, alice: ApiClient) -> None:
    asset_id = alice.call("GET", "assets?q=cat").json()["items"][0]["asset_id"]
    assert alice.call("DELETE", f"assets/{asset_id}").status_code == 204
    page = visit(cast.alice, cast.page("trash"), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Restore cat.jpg").tap()
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    page.get_by_role("navigation", name="Actions").get_by_role("link", name="Files").tap()
    expect(tile(page, "cat.jpg")).to_contain_text("Ready")
    page.get_by_role("button", name="More").tap()
    expect(page.locator("#sidebar")).to_be_in_viewport()
    page.locator("#sidebar").get_by_role("link", name="Trash").tap()
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    expect(page.locator("#sidebar")).not_to_be_in_viewport()
