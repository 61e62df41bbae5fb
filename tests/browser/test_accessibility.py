"""axe finds nothing serious on any page: light and dark, on a phone and on a wide screen."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.conftest import Scene, Visits
from tests.browser.test_upload import tile
from tests.support.people import Cast

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
WIDE, PHONE = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)
Look = tuple[ViewportSize, Literal["light", "dark"]]
LOOKS: tuple[Look, ...] = ((WIDE, "light"), (WIDE, "dark"), (PHONE, "light"), (PHONE, "dark"))
RUN = "() => axe.run({ resultTypes: ['violations'] })"


class Examination:
    """What axe calls serious or worse, by page and look."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def look_at(self, page: Page, name: str, looks: Iterable[Look] = LOOKS) -> None:
        """Examine the page as it is now in all four looks, or in these."""
        page.add_script_tag(path=AXE)
        for size, scheme in looks:
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=scheme)
            expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
            if problems := _serious(page.evaluate(RUN)):
                self.found[f"{name}, {scheme}, {size['width']}"] = problems


def _serious(result: dict[str, Any]) -> list[str]:
    return [
        f"{each['id']}: {node['html'][:160]} — {node['failureSummary']}"
        for each in result["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


# The scripts of axe are injected, which our own policy would stop; without motion, no colour is on its way to another.
EXAMINED: dict[str, Any] = {"bypass_csp": True, "reduced_motion": "reduce"}


def test_every_page_can_be_used_by_everybody(visit: Visits, scene: Scene, cast: Cast) -> None:
    examination = Examination()
    page = visit(None, "/login", **EXAMINED)
    page.get_by_label("mail address").fill("nobody@stowage.example")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    examination.look_at(page, "login")
    page = visit(scene.cast.alice, **EXAMINED)
    addresses = ["/workspaces", "/account", "/account/tokens", "/help/quota", "/nowhere", scene.cast.page("trash")]
    addresses += [scene.cast.page(f"files?view={view}") for view in ("grid", "list")]
    addresses += [scene.cast.page("files?q=nothing-like-it"), scene.file("report.pdf")]
    for address in addresses:
        page.goto(address)
        examination.look_at(page, address)
    page.goto(scene.file("paris.jpg"))
    examination.look_at(page, "file")
    page.get_by_role("button", name="Show large").click()
    examination.look_at(page, "preview")
    page = visit(scene.cast.tina, **EXAMINED)
    for address in ("overview", "quarantine"):
        page.goto(f"/t/{scene.cast.acme.slug}/{address}")
        examination.look_at(page, address)
    assert examination.found == {}


def test_an_upload_and_what_is_over_the_page_can_be_used_by_everybody(visit: Visits, cast: Cast, files: Path) -> None:
    examination = Examination()
    page = visit(cast.bob, cast.page("files"), **EXAMINED)
    examination.look_at(page, "empty")
    page.keyboard.press("?")
    examination.look_at(page, "keys")
    page.keyboard.press("Escape")
    page.locator("#pick-files").set_input_files([files / "cat.jpg", files / "setup.exe", files / "eicar.txt"])
    expect(page.locator("#tray-words")).to_have_text("1 uploaded · 2 failed")
    expect(page.locator(".tile .state-good")).to_have_count(1)
    examination.look_at(page, "uploads")
    page.get_by_role("button", name="Hide the uploads; they go on").click()
    page.locator(".tile summary").first.click()
    examination.look_at(page, "menu")
    tile(page, "cat.jpg").locator(".tile-link").click()
    page.get_by_role("button", name="Move to trash").click()
    page.get_by_role("button", name="Delete for good").click()
    examination.look_at(page, "question")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("status").filter(has_text="was restored.")).to_be_visible()
    examination.look_at(page, "message")
    assert examination.found == {}


@pytest.mark.parametrize("view", ["grid", "list", "asset", "trash"])
def test_nothing_is_wider_than_a_phone(visit: Visits, scene: Scene, view: str) -> None:
    page = visit(scene.cast.alice, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    address = {"asset": f"files/{scene.assets['paris.jpg']}", "trash": "trash"}.get(view, f"files?view={view}")
    page.goto(scene.cast.page(address))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_targets_are_large_enough_for_a_thumb(visit: Visits, scene: Scene) -> None:
    page = visit(scene.cast.alice, scene.cast.page("files"), viewport=PHONE, has_touch=True, is_mobile=True)
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, summary, select, .btn, .pill, .bottombar a, .tile-link")]
            .filter((element) => element.checkVisibility({ visibilityProperty: true }) && element.offsetWidth)
            .map((element) => [element.getBoundingClientRect(), element.outerHTML.slice(0, 100)])
            .filter(([box]) => box.width < 44 || box.height < 44)
            .map(([box, html]) => `${box.width}×${box.height} ${html}`)"""
    )
    assert small == []
