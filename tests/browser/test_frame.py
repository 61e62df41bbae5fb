"""The frame around the pages: the bar at the top, what stands in the sidebar, menus that stay in the window."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visits
from tests.cast import Cast
from tests.factories import make_assets


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
