"""The gallery and a file's page, as somebody looks for a picture and at it."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route, expect

from portal.assets.models import PreviewState
from portal.texts import Text
from tests.browser.conftest import Portal, Scene, Visits
from tests.browser.test_upload import tile
from tests.support.factories import change_asset, make_asset, make_assets
from tests.support.people import Cast
from tests.support.pictures import photo

# Adds up what moved after it was first painted, in the unit of Cumulative Layout Shift.
WATCH_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shifted += entry.value; })
    .observe({ type: "layout-shift", buffered: true });
"""


def drawn(page: Page, selector: str = ".tile .picture-img") -> None:
    """Wait until these pictures are there."""
    for picture in page.locator(selector).all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("image => image.naturalWidth") > 0


def test_files_are_found_by_kind_state_and_name_and_the_address_says_so(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.vera, scene.cast.page("files"))
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(10)
    page.get_by_role("link", name="Documents").click()
    expect(tiles).to_have_count(1)
    expect(page).to_have_url(re.compile("kind=document"))
    page.get_by_label("State").select_option("Failed")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    expect(page).to_have_url(re.compile("kind=document.*status=failed|status=failed.*kind=document"))
    page.go_back()
    expect(tiles).to_have_count(1)
    page.locator(".filter-kinds").get_by_role("link", name="All", exact=True).click()
    expect(tiles).to_have_count(10)
    page.keyboard.press("/")
    page.keyboard.type("palace")
    expect(page.get_by_role("heading", name="Results for “palace”")).to_be_visible()
    expect(tiles).to_have_count(1)
    expect(page).to_have_url(re.compile("q=palace"))
    expect(page.get_by_label("Search files by name")).to_be_focused()
    page.reload()
    expect(tiles).to_have_count(1)
    expect(page.get_by_label("Search files by name")).to_have_value("palace")
    page.get_by_label("Search files by name").fill("")
    expect(tiles).to_have_count(10)


def test_grid_or_list_is_remembered(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.vera, scene.cast.page("files"))
    page.get_by_role("link", name="List", exact=True).click()
    expect(page.locator("table.files tbody tr")).to_have_count(10)
    page.goto(scene.cast.page("files"))
    expect(page.locator("table.files tbody tr")).to_have_count(10)
    page.get_by_role("link", name="Grid", exact=True).click()
    expect(page.locator(".tile")).to_have_count(10)


def test_more_files_come_when_one_scrolls_there(visit: Visits, cast: Cast) -> None:
    make_assets(cast, 120, previews="none", placeholder=None)
    page = visit(cast.vera, cast.page("files"))
    expect(page.locator(".tile")).to_have_count(50)
    for count in (100, 120):
        page.get_by_role("link", name="Show more").scroll_into_view_if_needed()
        expect(page.locator(".tile")).to_have_count(count)
    expect(page.get_by_role("link", name="Show more")).to_have_count(0)
    names = page.locator(".tile .file-name").evaluate_all("all => all.map((each) => each.title)")
    assert names == [f"file-{number:03}.jpg" for number in reversed(range(120))]


def test_back_returns_to_the_place_in_the_list_and_to_the_file(visit: Visits, cast: Cast) -> None:
    make_assets(cast, 120, previews="none", placeholder=None)
    page = visit(cast.vera, cast.page("files"))
    tiles = page.locator(".tile")
    for count in (100, 120):
        page.get_by_role("link", name="Show more").scroll_into_view_if_needed()
        expect(tiles).to_have_count(count)
    late = tile(page, "file-030.jpg").locator(".tile-link")
    late.hover()
    before = late.bounding_box()
    late.click()
    expect(page.locator("#asset h1")).to_be_visible()
    page.go_back()
    expect(late).to_be_in_viewport()
    expect(late).to_be_focused()
    assert before
    is_there = "([link, y]) => Math.abs(link.getBoundingClientRect().top - y) < 10"
    page.wait_for_function(is_there, arg=[late.element_handle(), before["y"]])
    assert len(set(tiles.evaluate_all("all => all.map((each) => each.id)"))) == tiles.count()


def test_the_right_button_opens_the_menu_of_one_file_or_of_all_that_are_chosen(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.alice, scene.cast.page("files?kind=photo"))
    files = page.locator("#assets .tile:has(.picture-img)")
    files.nth(1).click(button="right")
    menu = page.locator("details[open] .dropdown-menu")
    expect(menu.get_by_role("link", name="Open")).to_be_focused()
    expect(menu.get_by_role("button", name="Copy link")).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    files.nth(1).get_by_role("link").first.focus()
    page.keyboard.press("F2")
    name = page.get_by_role("dialog").get_by_label("Name")
    expect(name).to_be_focused()
    expect(name).not_to_have_value(re.compile(r"\."))  # the ending stays, so it is not asked for
    page.keyboard.press("Escape")
    for number in (0, 1):
        files.nth(number).hover()
        files.nth(number).get_by_role("checkbox").check()
    files.nth(0).click(button="right")
    expect(menu.locator(".dropdown-header")).to_contain_text("2 selected")
    saved: list[str] = []
    page.on("download", lambda download: saved.append(download.suggested_filename))
    menu.get_by_role("button", name="Download").click()
    expect(page.locator("#toasts")).to_contain_text("Downloading 2 files")
    page.wait_for_timeout(2500)
    assert len(set(saved)) == 2
    page.keyboard.press("Escape")
    expect(page.locator("input[data-pick]:checked")).to_have_count(0)


def test_pictures_come_from_the_browsers_cache_on_the_second_visit(visit: Visits, scene: Scene, portal: Portal) -> None:
    page = visit(scene.cast.vera, scene.cast.page("files"), put=True)
    drawn(page)
    fetched = [path for method, path in portal.asked if method == "GET" and str(scene.cast.press.id) in path]
    assert len(fetched) >= 10
    portal.asked.clear()
    again = page.context.new_page()
    page.close()
    again.goto(scene.cast.page("files"))
    drawn(again)
    assert [path for method, path in portal.asked if method == "GET" and str(scene.cast.press.id) in path] == []


def test_nothing_moves_while_pictures_come_in(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.vera, "/workspaces")
    page.context.add_init_script(WATCH_SHIFTS)
    for address in ("files?view=grid", "files?view=list", f"files/{scene.assets['paris.jpg']}"):
        page.goto(scene.cast.page(address))
        drawn(page, "#main img")
        assert page.evaluate("window.shifted") < 0.01, address


def test_a_files_page_shows_what_is_known_of_it(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.vera, scene.file("paris.jpg"))
    facts = page.locator(".asset-facts")
    for words in ("Photo", "image/jpeg", "640 × 427", "by Alice", "Clean", "Stowage Optics", "1/250 s", "f/2.8"):
        expect(facts).to_contain_text(words)
    expect(facts).to_contain_text("48.85833, -2.29444")
    expect(facts).to_contain_text("2024-05-17 18:42:07")
    expect(page.get_by_role("button", name="Move to trash")).to_have_count(0)  # vera only looks
    page.goto(scene.file("report.pdf"))
    expect(page.locator("#asset")).to_contain_text("First of 2 pages")


def test_the_large_preview_zooms_and_steps(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.vera, scene.cast.page("files?kind=photo"))
    page.locator(".tile-link").first.focus()
    page.keyboard.press("Space")
    box = page.get_by_role("dialog", name="Preview")
    expect(box).to_be_visible()
    expect(box.locator("[data-name]")).to_have_text("paris.jpg")
    expect(box.get_by_role("button", name="Previous")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(box.locator("[data-name]")).not_to_have_text("paris.jpg")
    image = box.locator("[data-image]")
    expect(image).to_have_js_property("complete", True)
    before = width(image)
    image.click()
    expect(box.get_by_role("button", name="Zoom")).to_have_attribute("aria-pressed", "true")
    assert width(image) > before
    page.keyboard.press("z")
    expect(box.get_by_role("button", name="Zoom")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("ArrowLeft")
    expect(box.locator("[data-name]")).to_have_text("paris.jpg")
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    expect(page.locator(".tile-link").first).to_be_focused()


def width(image: Any) -> float:
    """How wide it is shown."""
    found: float = image.evaluate("image => image.getBoundingClientRect().width")
    return found


def test_a_download_arrives_whole_and_under_its_own_name(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.vera, scene.file("summer-palace.jpg"))
    with page.expect_download() as saved:
        page.locator(".page-acts").get_by_role("link", name="Download").click()
    assert saved.value.suggested_filename == "summer-palace.jpg"
    assert hashlib.sha256(saved.value.path().read_bytes()).digest() == hashlib.sha256(photo()).digest()
    with page.expect_download() as small:
        page.get_by_role("link", name="Download medium").click()
    assert small.value.suggested_filename == "summer-palace-medium.webp"
    assert small.value.path().read_bytes()[8:12] == b"WEBP"
    page.goto(scene.cast.page("files"))
    card = tile(page, "report.pdf")
    card.locator("summary").click()
    with page.expect_download() as report:
        card.get_by_role("link", name="Download").click()
    assert report.value.suggested_filename == "report.pdf"


def test_a_link_to_a_file_opens_it_for_a_colleague(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.alice, scene.cast.page("files"))
    tile(page, "cat.jpg").locator(".tile-link").click()
    expect(page.get_by_role("heading", name="cat.jpg")).to_be_visible()
    link = urlsplit(page.url).path
    colleague = visit(scene.cast.vera, link)
    expect(colleague.get_by_role("heading", name="cat.jpg")).to_be_visible()
    stranger = visit(scene.cast.mallory, link)
    expect(stranger.get_by_role("heading", name="There is nothing here")).to_be_visible()
    page.get_by_role("link", name="All files").first.click()
    expect(page.locator(".tile")).to_have_count(10)


def test_a_card_that_renews_itself_disturbs_nobody_and_outlives_a_fault(
    visit: Visits, cast: Cast, portal: Portal
) -> None:
    asset_id = make_asset(cast, "sea.jpg", previews=PreviewState.PENDING)
    page, asked = visit(cast.bob, cast.page("files"), reduced_motion="reduce"), list[int]()

    def fail_first(route: Route) -> None:
        asked.append(1)
        route.fulfill(status=503, body="") if len(asked) == 1 else route.continue_()

    page.route("**/card?*", fail_first)
    card = tile(page, "sea.jpg")
    card.locator("summary").click()
    with page.expect_response(lambda answer: "/card?" in answer.url and answer.ok):
        pass
    expect(card.get_by_role("link", name="Open", exact=True)).to_be_visible()  # the menu is still there
    assert page.locator(".snack").count() == 0
    page.keyboard.press("Escape")
    expect(card.locator("summary")).to_be_focused()
    change_asset(cast, asset_id, previews=PreviewState.FAILED, previews_code="x", previews_detail=Text("x"))
    expect(page.locator(".tile[hx-get]")).to_have_count(0)
    expect(card.locator("summary")).to_be_focused()


def test_a_file_that_is_still_prepared_opens_a_page_of_its_own(visit: Visits, cast: Cast) -> None:
    make_asset(cast, "sea.jpg", previews=PreviewState.PENDING)
    page = visit(cast.bob, cast.page("files"))
    tile(page, "sea.jpg").locator(".tile-link").click()
    expect(page.locator("#main h1")).to_have_text("sea.jpg")
    expect(page.locator("#main .tile")).to_have_count(0)
    page.get_by_role("button", name="Move to trash").click()
    expect(page.get_by_role("button", name="Restore")).to_be_visible()
    expect(page.locator("#main")).to_have_count(1)
