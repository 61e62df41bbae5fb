"""The frame around the pages: the bar at the top, what stands in the sidebar, menus that stay in the window."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import Page, expect

from tests.browser.conftest import Scene, Visits
from tests.browser.test_upload import tile
from tests.support.factories import make_assets
from tests.support.people import Cast


def test_the_bar_stays_when_one_scrolls_and_covers_nothing_that_gets_the_focus(visit: Visits, cast: Cast) -> None:
    make_assets(cast, 50, previews="none", placeholder=None)
    page = visit(cast.vera, cast.page("files?view=list"))
    bar = page.locator(".topbar")
    page.evaluate("scrollTo(0, 1.5 * innerHeight)")
    page.wait_for_function("scrollY > innerHeight")
    expect(bar).to_be_in_viewport(ratio=1)
    # Going back row by row: each one that gets the focus is below the bar.
    links = page.locator(".row-link")
    links.last.focus()
    for _ in range(40):
        page.keyboard.press("ArrowUp")
    below = "() => document.activeElement.getBoundingClientRect().top >= document.querySelector('.topbar').offsetHeight"
    page.wait_for_function(below)


def test_on_a_phone_a_cards_menu_stays_in_the_window_and_above_the_bar(visit: Visits, cast: Cast) -> None:
    make_assets(cast, 20, previews="none", placeholder=None)
    page = visit(cast.bob, cast.page("files?view=grid"), viewport={"width": 390, "height": 844})
    bar = page.locator(".bottombar").bounding_box()
    assert bar
    buttons = page.locator("#assets summary")
    low = next(each for each in buttons.all() if (box := each.bounding_box()) and box["y"] > 500)
    for button in (buttons.first, low):
        button.click()
        menu = page.locator("details[open] > .dropdown-menu")
        expect(menu.get_by_role("button", name="Move to trash")).to_be_visible()
        box = menu.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert box["y"] + box["height"] <= bar["y"]
        page.keyboard.press("Escape")
    page.mouse.click(100, bar["y"] - 20, button="right")
    box = menu.bounding_box()
    assert box
    assert box["y"] + box["height"] <= bar["y"]


def test_a_search_keeps_the_kind_and_the_state_and_is_one_step_of_the_history(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.vera, scene.cast.page("files"))
    box = page.get_by_label("Search files by name")
    page.get_by_role("link", name="Documents").click()
    expect(page).to_have_url(re.compile("kind=document"))
    box.press_sequentially("re", delay=20)
    expect(page).to_have_url(re.compile("q=re(&|$)"))
    assert query(page) == {"kind": "document", "q": "re"}
    box.press_sequentially("port")
    expect(page).to_have_url(re.compile("q=report"))
    box.press("Enter")
    expect(page.locator(".tile")).to_have_count(1)
    assert query(page) == {"kind": "document", "q": "report"}
    page.go_back()
    expect(page.get_by_role("heading", name="All files")).to_be_visible()
    expect(box).to_have_value("")
    assert query(page) == {"kind": "document"}
    page.go_forward()
    expect(page.get_by_role("heading", name="Results for “report”")).to_be_visible()
    expect(box).to_have_value("report")


def query(page: Page) -> dict[str, str]:
    """What the address asks for."""
    return dict(parse_qsl(urlsplit(page.url).query))


def test_the_space_in_the_sidebar_follows_uploads_and_the_trash(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("files"))
    foot = page.locator(".side-foot")
    before = foot.inner_text()
    with page.expect_file_chooser() as chooser:
        page.locator(".topbar-upload").click()
    chooser.value.set_files(files / "cat.jpg")
    expect(tile(page, "cat.jpg")).to_contain_text("Ready")
    expect(foot).not_to_have_text(before, use_inner_text=True)
    page.keyboard.press("Escape")
    tile(page, "cat.jpg").locator("summary").click()
    tile(page, "cat.jpg").get_by_role("button", name="Move to trash").click()
    page.locator("#sidebar").get_by_role("link", name="Trash").click()
    page.get_by_role("button", name="Empty the trash").click()
    page.locator("#confirm").get_by_role("button", name="Empty the trash").click()
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    expect(foot).to_have_text(before, use_inner_text=True)
