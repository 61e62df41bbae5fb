"""A folder from somebody's desktop becomes the same folder in the portal, and is lived in there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.test_accessibility import EXAMINED, Examination
from tests.browser.test_upload import drag, tile
from tests.support.api_client import ApiClient
from tests.support.people import Actor, Cast
from tests.support.pictures import pdf, photo, png_alpha

TREE = {
    "trip/cat.jpg": photo("cat"),
    "trip/plan.pdf": pdf(),
    "trip/day 1/coffee.jpg": photo("coffee"),
    "trip/day 1/rocket.jpg": photo("rocket"),
    "trip/day 2/dahlia.jpg": photo("dahlia"),
    "trip/day 2/logo.png": png_alpha(),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Six files in three folders."""
    for name, content in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "trip"


def folder(page: Page, name: str) -> Any:
    """The tile of a folder."""
    return page.locator("#folders [data-folder]").filter(has=page.locator(f'.folder-name[title="{name}"]'))


def shows(page: Page, folders: list[str], *files: str) -> None:
    """Wait until the page shows exactly these."""
    names = page.locator("#folders .folder-name, #assets .file-name")
    expect(names).to_have_count(len(folders) + len(files))
    found = names.evaluate_all("all => all.map((each) => each.title)")
    assert found[: len(folders)] == folders and set(found[len(folders) :]) == set(files)


def test_a_dropped_folder_is_the_same_folder_here_and_can_be_changed(
    visit: Visits, cast: Cast, tree: Path, client: Callable[[Actor], ApiClient]
) -> None:
    examination = Examination()
    page = visit(cast.bob, cast.page("files"), **EXAMINED)
    page.locator("#sidebar").get_by_role("link", name="Files", exact=True).click()
    expect(page.get_by_role("heading", name="This library is empty")).to_be_visible()
    drag(page, tree)
    expect(page.locator("#tray-words")).to_have_text("6 uploaded")
    page.get_by_role("button", name="Hide the uploads; they go on").click()
    shows(page, ["trip"])

    folder(page, "trip").get_by_role("link").first.click()
    shows(page, ["day 1", "day 2"], "cat.jpg", "plan.pdf")
    folder(page, "day 2").get_by_role("link").first.click()
    shows(page, [], "dahlia.jpg", "logo.png")
    expect(page.get_by_role("navigation", name="Breadcrumb")).to_have_text(re.compile(r"Files\s*trip\s*day 2"))
    page.go_back()
    shows(page, ["day 1", "day 2"], "cat.jpg", "plan.pdf")

    page.keyboard.press("ArrowRight")
    for _ in range(10):  # past the folders, by the keys of the gallery
        if page.evaluate("document.activeElement.closest('[data-asset]')?.textContent.includes('cat')"):
            break
        page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    expect(page.locator("[data-pick-count]")).to_contain_text("1 selected")
    examination.look_at(page, "chosen")
    page.keyboard.press("m")
    sheet = page.get_by_role("dialog", name="Move 1 file")
    sheet.get_by_role("button", name="day 1").click()
    expect(sheet.get_by_role("button", name="Move to “day 1”")).to_be_visible()
    examination.look_at(page, "mover")
    sheet.get_by_role("button", name="Move to “day 1”").click()
    shows(page, ["day 1", "day 2"], "plan.pdf")
    tile(page, "plan.pdf").drag_to(folder(page, "day 2"))
    shows(page, ["day 1", "day 2"])
    expect(page.locator(".snack").last).to_contain_text("Moved to “day 2”.")
    page.locator(".snack").last.get_by_role("button", name="Undo").click()
    shows(page, ["day 1", "day 2"], "plan.pdf")

    page.get_by_role("link", name="List", exact=True).click()
    expect(page.locator("tr[data-folder]")).to_have_count(2)
    examination.look_at(page, "list")
    folder(page, "day 1").locator("summary").click()
    page.get_by_role("link", name="Delete…").click()
    question = page.get_by_role("dialog", name="Delete “day 1”?")
    expect(question).to_contain_text("3 files")
    examination.look_at(page, "question")
    question.get_by_role("button", name="Delete folder").click()
    shows(page, ["day 2"], "plan.pdf")
    page.locator(".snack").last.get_by_role("button", name="Undo").click()
    shows(page, ["day 1", "day 2"], "plan.pdf")
    items = client(cast.bob).call("GET", "assets?status=available").json()["items"]
    places = {item["file_name"]: item["folder_id"] for item in items}
    assert places["cat.jpg"] == places["coffee.jpg"] == places["rocket.jpg"] != places["plan.pdf"]
    assert len({places["dahlia.jpg"], places["logo.png"], places["plan.pdf"]}) == 2
    assert examination.found == {}
