"""A large file goes in parts, and goes on where it was broken off."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Portal, Visits, holds
from tests.browser.test_upload import ENOUGH, FULL, tile
from tests.support import specimens
from tests.support.api_client import ApiClient
from tests.support.people import Actor, Cast

MB = 2**20
SIZE = 120 * MB
PARTS = 8  # of 16 MB, the last one of 8


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A video of 120 MB: a small one with a long, empty box behind it."""
    small = specimens.iso_media(b"isom", b"isom", b"avc1")
    path = tmp_path / "sea.mp4"
    with path.open("wb") as file:
        file.write(small + (SIZE - len(small)).to_bytes(4) + b"free")
        file.truncate(SIZE)
    return path


def parts_sent(portal: Portal) -> list[int]:
    """The numbers of the parts that the store was sent, in order."""
    asked = [parse_qs(urlsplit(path).query) for method, path in portal.asked if method == "PUT"]
    return [int(query["partNumber"][0]) for query in asked if "partNumber" in query]


def slow(page: Page, speed: int) -> None:
    """Let the page send so many bytes a second."""
    limits = {"offline": False, "latency": 0, "downloadThroughput": FULL, "uploadThroughput": speed}
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", limits)


def test_a_large_file_goes_on_after_a_reload_without_sending_again_what_is_there(
    visit: Visits, cast: Cast, portal: Portal, film: Path
) -> None:
    portal.asked.clear()
    page = visit(cast.bob, cast.page("files"), put=True)
    page.on("dialog", lambda dialog: dialog.accept())
    slow(page, 24 * MB)
    page.evaluate(
        """() => {
            const told = window.told = [];
            const note = () => told.push(document.getElementById("tray").innerText);
            new MutationObserver(note).observe(document.getElementById("tray"), { childList: true, subtree: true });
        }"""
    )
    page.locator("#pick-files").set_input_files(film)
    words = page.locator("#tray-words")
    expect(words).to_have_text(re.compile(r"Uploading 0 of 1, [5-9]\d%"), timeout=ENOUGH)
    page.get_by_role("button", name="Pause", exact=True).first.click()
    expect(words).to_have_text(re.compile(r"Paused at [5-9]\d%"))
    told = page.evaluate("window.told")
    assert any("Reading…" in each for each in told)
    assert not [each for each in told if "Reading…" in each and "left" in each]
    expect(page.locator("#tray .uppy-StatusBar")).not_to_contain_text("left")
    page.wait_for_timeout(500)
    page.reload()
    before = parts_sent(portal)
    assert len(before) < PARTS + 4

    notice = page.get_by_role("region", name="Interrupted uploads")
    expect(notice).to_contain_text("1 upload was interrupted. Continue?")
    expect(notice).to_contain_text("sea.mp4")
    portal.asked.clear()
    with page.expect_file_chooser() as chooser:
        notice.get_by_role("button", name="Continue").click()
    chooser.value.set_files(film)
    expect(words).to_have_text("1 uploaded", timeout=ENOUGH)
    expect(notice).to_be_hidden()
    expect(tile(page, "sea.mp4")).to_contain_text("Ready", timeout=ENOUGH)
    after = parts_sent(portal)
    assert 0 < len(after) < PARTS
    assert {*before, *after} == set(range(1, PARTS + 1))


def test_a_file_that_the_portal_wants_in_one_request_goes_in_one(
    visit: Visits, cast: Cast, portal: Portal, client: Callable[[Actor], ApiClient], tmp_path: Path
) -> None:
    portal.asked.clear()
    film = tmp_path / "short.mp4"
    film.write_bytes(
        specimens.iso_media(b"isom", b"isom", b"avc1") + (6 * MB).to_bytes(4) + b"free" + bytes(6 * MB - 8)
    )
    page = visit(cast.bob, cast.page("files"), put=True)
    # The page was made while the workspace's storage took parts.
    page.locator("#tray").evaluate(
        "tray => { const policy = JSON.parse(tray.dataset.policy); policy.parts.from_bytes = 1; "
        "tray.dataset.policy = JSON.stringify(policy); }"
    )
    page.locator("#pick-files").set_input_files(film)
    expect(page.locator("#tray-words")).to_have_text("1 uploaded", timeout=ENOUGH)
    expect(page.locator("#tray-problems")).to_be_hidden()
    assert parts_sent(portal) == []
    holds(client(cast.bob), film.stat().st_size)
