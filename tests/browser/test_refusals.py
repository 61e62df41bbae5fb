"""What can't be taken says so in plain words: before a byte where that can be known, and after it where it can't."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, Request, expect

from tests.browser.conftest import Visits, holds
from tests.browser.test_upload import tile
from tests.support.api_client import ApiClient
from tests.support.people import Actor, Cast

Client = Callable[[Actor], ApiClient]


def problem(page: Page, name: str) -> Any:
    """The line of a file in the list of what was not uploaded."""
    return page.locator("#tray-problems li").filter(has_text=name)


def test_type_size_and_emptiness_are_refused_before_a_byte_and_the_rest_goes_on(
    visit: Visits, cast: Cast, files: Path, tmp_path: Path
) -> None:
    huge = tmp_path / "huge.svg"
    with huge.open("wb") as out:
        out.truncate(11 << 20)
    page, asked = visit(cast.bob, cast.page("files")), list[str]()

    def note(request: Request) -> None:
        if request.method == "POST" and urlsplit(request.url).path.endswith(("/uploads", "/uploads/batch")):
            asked.append(request.post_data or "")

    page.on("request", note)
    page.locator("#pick-files").set_input_files([files / "setup.exe", files / "empty.txt", huge, files / "cat.jpg"])
    expect(problem(page, "setup.exe")).to_contain_text("This kind of file can not be taken.")
    kinds = page.locator("#tray-kinds")
    expect(kinds).to_contain_text("Possible are: photos, vector drawings, videos, documents, archives")
    expect(kinds.locator("dl")).to_be_hidden()
    kinds.locator("summary").click()
    expect(kinds.locator("dl")).to_contain_text("jpg jpeg png")
    expect(problem(page, "empty.txt")).to_contain_text("The file is empty.")
    expect(problem(page, "huge.svg")).to_contain_text("Too large: 11 MB. The limit for this kind is 10 MB.")
    expect(page.locator("#tray-words")).to_have_text("1 uploaded · 3 failed")
    expect(page.locator("#tray-problems").get_by_role("button", name="Retry")).to_have_count(0)
    assert len(asked) == 1 and "cat.jpg" in asked[0]
    assert not any(name in asked[0] for name in ("setup.exe", "empty.txt", "huge.svg"))
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#tray-problems")).to_be_hidden()


def test_a_disguised_name_is_shown_for_what_it_is_and_not_to_be_tried_again(
    visit: Visits, cast: Cast, tmp_path: Path
) -> None:
    disguised = tmp_path / "invoice\u202egpj.txt"
    disguised.write_text("words")
    page = visit(cast.bob, cast.page("files"))
    page.locator("#pick-files").set_input_files(disguised)
    expect(problem(page, "invoice\ufffdgpj.txt")).to_contain_text("invisible characters")
    expect(problem(page, "invoice").get_by_role("button")).to_have_count(0)
    expect(page.locator("#said")).to_contain_text("invoice\ufffdgpj.txt: ")


def test_a_full_workspace_says_so_with_its_numbers(visit: Visits, cast: Cast, files: Path, client: Client) -> None:
    answer = client(cast.tina).call("PUT", "quota", {"limit_bytes": 1 << 20})
    assert answer.status_code == 200, answer.text
    page = visit(cast.bob, cast.page("files"))
    page.locator("#pick-files").set_input_files(files / "large.txt")
    words = "This workspace has 1 MB left, and this needs 3.2 MB: 2.2 MB too much."
    expect(problem(page, "large.txt")).to_contain_text(words)


def test_an_infected_file_is_quarantined_and_can_not_be_downloaded(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("files"))
    page.locator("#pick-files").set_input_files([files / "eicar.txt", files / "cat.jpg"])
    expect(problem(page, "eicar.txt")).to_contain_text("Quarantined: virus found")
    expect(problem(page, "eicar.txt").get_by_role("button")).to_have_count(0)
    expect(tile(page, "eicar.txt")).to_contain_text("Quarantined: virus found")
    expect(tile(page, "cat.jpg")).to_contain_text("Ready")
    tile(page, "eicar.txt").locator(".tile-link").click()
    expect(page.locator("#asset")).to_contain_text("This file is in quarantine")
    expect(page.locator("#asset")).to_contain_text("Eicar-Test-Signature")
    expect(page.get_by_role("link", name="Download")).to_have_count(0)
    expect(page.get_by_role("button", name="Move to trash")).to_have_count(0)


def test_content_that_contradicts_its_name_is_refused_with_the_reason(
    visit: Visits, cast: Cast, files: Path, client: Client
) -> None:
    page = visit(cast.bob, cast.page("files"))
    page.locator("#pick-files").set_input_files(files / "zip-as.jpg")
    expect(tile(page, "zip-as.jpg")).to_contain_text("Failed")
    expect(problem(page, "zip-as.jpg")).to_contain_text(re.compile("zip", re.IGNORECASE))
    tile(page, "zip-as.jpg").locator(".tile-link").click()
    expect(page.locator("#asset")).to_contain_text("Its bytes were removed and use no space.")
    holds(client(cast.bob), 0)


def test_a_viewer_is_told_that_they_may_not_upload(visit: Visits, cast: Cast) -> None:
    page = visit(cast.vera, cast.page("files"))
    expect(page.locator(".teach")).to_contain_text("Ask an owner to make you an editor.")
    expect(page.locator("[data-upload]")).to_have_count(0)
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["words"], "words.txt"));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.locator(".snack")).to_contain_text("You may look at this workspace but not upload to it.")
