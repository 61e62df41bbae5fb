"""Everything by keyboard, with the focus where one can see it."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Scene, Visits
from tests.browser.test_upload import tile
from tests.support.factories import make_assets
from tests.support.people import Cast


def tab_to(page: Page, words: str, limit: int = 60) -> None:
    """Press Tab until the focus is on what is called so."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "() => document.activeElement.matches('a, button, summary, input') &&"
            " (document.activeElement.getAttribute('aria-label') || document.activeElement.innerText)"
        )
        if words in (name or ""):
            return
    raise AssertionError(f"Tab never came to '{words}'")


def test_the_first_tab_skips_to_the_content(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.vera, scene.cast.page("files"))
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_the_focus_is_visible_wherever_it_goes(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.alice, scene.cast.page("files"))
    for _ in range(25):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
                const element = document.activeElement;
                // The ring of a card is around the whole of it.
                const style = getComputedStyle(element.matches(".tile-link") ? element.parentElement : element);
                const box = element.getBoundingClientRect(), what = element.outerHTML.slice(0, 120);
                const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
                const inside = box.width > 0 && box.bottom > 0 && box.top < innerHeight;
                return { marked: outlined || style.boxShadow !== "none", inside, what };
            }"""
        )
        assert seen["marked"], seen
        assert seen["inside"], seen


def test_an_upload_and_the_way_to_the_trash_and_back_by_keyboard(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob)
    page.on("filechooser", lambda chooser: chooser.set_files(files / "cat.jpg"))
    page.goto(cast.page("files"))
    page.keyboard.press("u")
    expect(page.locator("#tray-words")).to_have_text("1 uploaded")
    expect(tile(page, "cat.jpg")).to_contain_text("Ready")
    tab_to(page, "Hide the uploads")
    page.keyboard.press("Enter")
    expect(page.locator("#tray")).to_be_hidden()
    expect(page.locator("#tray-button")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(tile(page, "cat.jpg").locator(".tile-link")).to_be_focused()
    page.keyboard.press("Delete")
    expect(tile(page, "cat.jpg")).to_have_count(0)
    tab_to(page, "Undo")
    page.keyboard.press("Enter")
    expect(tile(page, "cat.jpg")).to_contain_text("Ready")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="cat.jpg")).to_be_visible()
    tab_to(page, "Move to trash")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Restore")).to_be_visible()
    tab_to(page, "Delete for good")
    page.keyboard.press("Enter")
    expect(page.locator("#confirm")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#confirm")).to_be_hidden()
    tab_to(page, "Restore")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Download").first).to_be_visible()


def test_the_keys_are_listed_and_menus_open_and_close(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.alice, scene.cast.page("files"))
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Keyboard")).to_be_hidden()
    tab_to(page, "Your account")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="My tokens")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="My account")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="My tokens")).to_be_hidden()
    expect(page.locator(".topbar-person summary")).to_be_focused()


def test_several_are_deleted_in_a_row_and_the_focus_goes_on(visit: Visits, cast: Cast) -> None:
    make_assets(cast, 4, previews="none", placeholder=None)
    page = visit(cast.bob, cast.page("files?view=grid"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    for gone, then in (("file-002", "file-001"), ("file-001", "file-000"), ("file-000", "file-003")):
        expect(tile(page, f"{gone}.jpg").locator(".tile-link")).to_be_focused()
        page.keyboard.press("Delete")
        expect(tile(page, f"{gone}.jpg")).to_have_count(0)
        expect(tile(page, f"{then}.jpg").locator(".tile-link")).to_be_focused()
    page.keyboard.press("Delete")
    expect(page.locator(".tile")).to_have_count(0)
    expect(page.locator("#main")).to_be_focused()


def test_space_opens_the_page_of_a_file_that_has_no_preview(visit: Visits, cast: Cast) -> None:
    make_assets(cast, 30, previews="none", placeholder=None)
    page = visit(cast.bob, cast.page("files?view=list"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator("#asset h1")).to_have_text("file-029.jpg")
