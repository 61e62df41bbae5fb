"""axe finds nothing serious on any page: light and dark, on a phone and on a wide screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Scene, Visits
from tests.cast import Cast

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
LOOKS = [
    pytest.param(scheme, size, id=f"{scheme}-{size['width']}") for scheme in ("light", "dark") for size in (WIDE, PHONE)
]


def complaints(page: Page) -> list[str]:
    """What axe calls serious or worse on the page as it is now."""
    page.add_script_tag(path=AXE)
    found: dict[str, Any] = page.evaluate("() => axe.run({ resultTypes: ['violations'] })")
    return [
        f"{each['id']}: {node['html'][:160]} — {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_every_page_can_be_used_by_everybody(
    visit: Visits, scene: Scene, cast: Cast, files: Path, scheme: str, size: dict[str, int]
) -> None:
    look: dict[str, Any] = {"color_scheme": scheme, "viewport": size, "bypass_csp": True}
    found: dict[str, list[str]] = {}
    page = visit(None, "/login", **look)
    found["login"] = complaints(page)
    page = visit(scene.cast.alice, **look)
    addresses = ["/workspaces", "/account/tokens", "/help/quota", "/nowhere", scene.cast.page("trash")]
    addresses += [scene.cast.page(f"files?view={view}") for view in ("grid", "list")]
    addresses += [scene.cast.page("files?q=nothing-like-it"), scene.file("paris.jpg"), scene.file("report.pdf")]
    for address in addresses:
        page.goto(address)
        found[address] = complaints(page)
    page.goto(scene.file("paris.jpg"))
    page.get_by_role("button", name="Show large").click()
    found["preview"] = complaints(page)
    page.goto(f"/t/{scene.cast.acme.slug}/overview")
    page = visit(scene.cast.tina, **look)
    for address in ("overview", "quarantine"):
        page.goto(f"/t/{scene.cast.acme.slug}/{address}")
        found[address] = complaints(page)
    page = visit(cast.bob, cast.page("files"), **look)
    found["empty"] = complaints(page)
    page.locator("#pick-files").set_input_files([files / "cat.jpg", files / "setup.exe"])
    expect(page.locator("#tray-words")).to_have_text("1 uploaded · 1 failed")
    expect(page.locator(".tile .state-good")).to_have_count(1)
    found["uploads"] = complaints(page)
    assert {address: each for address, each in found.items() if each} == {}


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
