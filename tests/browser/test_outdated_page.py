"""A page that was open while the portal was upgraded says so, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visits
from tests.browser.test_upload import tile
from tests.support.people import Cast

BATCH = "**/uploads/batch"


def expect_advice(page: Page) -> None:
    """The tray is open and asks for a reload."""
    expect(page.locator("#tray-outdated")).to_contain_text("Stowage was upgraded while this page was open.")
    expect(page.get_by_role("button", name="Reload the page")).to_be_visible()


def test_a_page_with_old_scripts_asks_for_a_reload_and_ends_its_uploads(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("files"))

    def answer_as_a_later_release(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "stowage-scripts": "another"})

    page.route(BATCH, answer_as_a_later_release)
    page.locator("#pick-files").set_input_files(files / "cat.jpg")
    expect_advice(page)
    expect(page.locator("#tray-words")).to_have_text("1 uploaded")
    page.unroute(BATCH)
    page.get_by_role("button", name="Reload the page").click()
    expect(tile(page, "cat.jpg")).to_contain_text("Ready")
    expect(page.locator("#tray-outdated")).to_be_hidden()


def test_an_answer_of_an_unknown_shape_names_the_file_and_asks_for_a_reload(
    visit: Visits, cast: Cast, files: Path
) -> None:
    page = visit(cast.bob, cast.page("files"))
    page.route(BATCH, lambda route: route.fulfill(json={"uploads": []}))
    page.locator("#pick-files").set_input_files(files / "cat.jpg")
    problem = page.locator("#tray-problems li").filter(has_text="cat.jpg")
    expect(problem).to_contain_text("Stowage was upgraded while this page was open. Reload the page")
    page.unroute(BATCH)
    problem.get_by_role("button", name="Retry").click()
    expect(page.locator("#tray-words")).to_have_text("1 uploaded")


def test_scripts_that_do_not_fit_the_page_any_more_are_told_from_a_lost_connection(
    visit: Visits, cast: Cast, files: Path
) -> None:
    page = visit(cast.bob, cast.page("files"))
    page.route(
        "**/static/js/uploader.js", lambda route: route.fulfill(body="export {}", content_type="text/javascript")
    )
    page.route("**/files", lambda route: route.fulfill(headers={"Stowage-Scripts": "another"}))
    page.locator("#pick-files").set_input_files(files / "cat.jpg")
    expect_advice(page)
    expect(page.locator(".snack")).to_have_count(0)
