"""Many files cost few requests, and what befalls one of them, or of its requests, befalls no other."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.conftest import Portal, Visits, holds
from tests.browser.test_upload import ENOUGH, Network, tile
from tests.support.api_client import ApiClient
from tests.support.people import Actor, Cast
from tests.support.pictures import photo

Client = Callable[[Actor], ApiClient]
MANY = 60
MB = 2**20
LARGE = 100 * MB  # bytes from which a file goes in parts
STALLED_MS = 120_000  # static/js/uploader.js
BATCHES = "**/uploads/batch"


@pytest.fixture
def notes(tmp_path: Path) -> list[Path]:
    """Many small files, each another one; the portal refuses the name of the last."""
    paths = [tmp_path / f"note {number}.txt" for number in (*range(MANY), "\u202e60")]
    for number, path in enumerate(paths):
        path.write_text(f"These are the words of note {number}.\n")
    return paths


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    """More large files than may be read, or sent, at once."""
    paths = [tmp_path / f"sea {number}.mp4" for number in range(4)]
    for path in paths:
        with path.open("wb") as file:
            file.truncate(LARGE)
    return paths


def listen(page: Page) -> list[Request]:
    """What the page sends to the API from now on."""
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if "/v1/" in request.url else None)
    return asked


def to(asked: list[Request], end: str) -> list[Request]:
    """The POSTs to one address."""
    return [each for each in asked if each.method == "POST" and urlsplit(each.url).path.endswith(end)]


def hold(page: Page, address: str | re.Pattern[str]) -> list[Route]:
    """Keep what is sent there waiting until the test lets it go."""
    held: list[Route] = []
    page.route(address, lambda route: held.append(route))  # noqa: PLW0108  # it wants a function with a signature
    return held


def until(page: Page, true: Callable[[], bool]) -> None:
    """Wait for something that no element of the page tells."""
    deadline = time.monotonic() + ENOUGH / 1000
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        page.wait_for_timeout(100)


def test_many_small_files_are_begun_committed_and_waited_for_in_a_few_requests(
    visit: Visits, cast: Cast, client: Client, notes: list[Path]
) -> None:
    page = visit(cast.bob, cast.page("files"))
    asked = listen(page)
    page.locator("#pick-files").set_input_files(notes)
    expect(page.locator("#tray-words")).to_have_text(f"{MANY} uploaded · 1 failed", timeout=ENOUGH)
    expect(page.locator("#tray-problems li")).to_have_count(1)
    expect(page.locator("#tray-problems li")).to_contain_text("invisible characters")
    begins, commits = to(asked, "/uploads/batch"), to(asked, "/batch/commit")
    assert sum(len(json.loads(each.post_data or "")["items"]) for each in begins) == MANY + 1
    assert sum(len(json.loads(each.post_data or "")["items"]) for each in commits) == MANY
    assert len(begins) <= 10
    assert len(commits) <= MANY // 2
    polls = len(asked) - len(begins) - len(commits)
    assert polls <= MANY // 2, [each.url for each in asked]
    holds(client(cast.bob), sum(path.stat().st_size for path in notes[:-1]))


def test_a_file_taken_off_the_list_while_it_is_begun_is_given_up_and_its_neighbours_go_on(
    visit: Visits, cast: Cast, client: Client, files: Path, notes: list[Path]
) -> None:
    page = visit(cast.bob, cast.page("files"))
    held = hold(page, BATCHES)
    page.locator("#pick-files").set_input_files([files / "cat.jpg", *notes[:3]])
    until(page, lambda: len(held) == 1)
    begun = json.loads(held[0].request.post_data or "")["items"]
    assert {each["file_name"] for each in begun} == {"cat.jpg", *(path.name for path in notes[:3])}
    remove = re.compile("Remove|Cancel")
    item = page.locator("#tray .uppy-Dashboard-Item").filter(has_text=notes[1].name)
    item.get_by_role("button", name=remove).click()
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as given_up:
        held[0].continue_()
    assert given_up.value.status == 204
    expect(page.locator("#tray-words")).to_have_text("3 uploaded", timeout=ENOUGH)
    expect(page.locator("#tray-problems")).to_be_hidden()
    holds(client(cast.bob), len(photo("cat")) + sum(notes[each].stat().st_size for each in (0, 2)))


def test_a_batch_whose_answer_is_lost_is_sent_again_and_reserves_once(
    visit: Visits, cast: Cast, client: Client, notes: list[Path]
) -> None:
    page, lost = visit(cast.bob, cast.page("files")), dict[str, int]()

    def lose_the_first(route: Route) -> None:
        path = urlsplit(route.request.url).path
        lost[path] = lost.get(path, 0) + 1
        if lost[path] > 1:
            route.continue_()
        else:
            route.fetch()
            route.abort()

    page.route("**/uploads/batch*", lose_the_first)
    page.route("**/uploads/batch/commit", lose_the_first)
    page.locator("#pick-files").set_input_files(notes[:6])
    expect(page.locator("#tray-words")).to_have_text("6 uploaded", timeout=ENOUGH)
    assert len(lost) == 2
    holds(client(cast.bob), sum(path.stat().st_size for path in notes[:6]))


def test_a_small_file_waits_for_no_large_one_that_is_read_or_sent(
    visit: Visits, cast: Cast, files: Path, films: list[Path]
) -> None:
    page = visit(cast.bob, cast.page("files"), put=True)
    page.on("dialog", lambda dialog: dialog.accept())
    asked, held = listen(page), hold(page, re.compile("partNumber="))
    page.locator("#pick-files").set_input_files([*films, files / "cat.jpg"])
    expect(tile(page, "cat.jpg")).to_be_visible(timeout=ENOUGH)  # committed
    begun = "".join(each.post_data or "" for each in to(asked, "/uploads/batch"))
    assert "sea" not in begun, "a large file was read before the small one was sent"
    until(page, lambda: len(held) >= 3)
    page.wait_for_timeout(500)
    assert len(held) == 3  # all that may go at once, and not a byte moves
    page.locator("#pick-files").set_input_files(files / "coffee.jpg")
    expect(tile(page, "coffee.jpg")).to_contain_text("Ready", timeout=ENOUGH)
    expect(page.locator("#tray-words")).to_have_text(re.compile(r"Uploading 2 of 6"))


def test_a_line_that_moves_nothing_for_two_minutes_is_given_up_and_tried_again(
    visit: Visits, cast: Cast, files: Path, portal: Portal
) -> None:
    page = visit(cast.bob, "about:blank")
    page.clock.install()
    page.goto(f"{portal.origin}{cast.page('files')}")
    held = hold(page, f"{portal.engines.environment()['PORTAL_S3_ENDPOINT']}/**")
    page.locator("#pick-files").set_input_files(files / "cat.jpg")
    until(page, lambda: len(held) == 1)
    page.clock.fast_forward(STALLED_MS - 60_000)
    page.wait_for_timeout(500)
    assert len(held) == 1
    with page.expect_event("requestfailed"):
        page.clock.fast_forward(60_000)
    until(page, lambda: len(held) == 2)
    held[1].continue_()
    expect(page.locator("#tray-words")).to_have_text("1 uploaded", timeout=ENOUGH)
    expect(page.locator("#tray-problems")).to_be_hidden()


def test_bytes_that_move_keep_a_slow_line_alive(visit: Visits, cast: Cast, files: Path, portal: Portal) -> None:
    page, failed = visit(cast.bob, "about:blank"), list[str]()
    page.clock.install()
    page.goto(f"{portal.origin}{cast.page('files')}")
    page.on("requestfailed", lambda request: failed.append(request.url))
    network = Network(page)
    network.upload(200 * 1024)
    words = page.locator("#tray-words")
    page.locator("#pick-files").set_input_files(files / "large.txt")
    for share in ("[1-3]", "[4-6]", "[7-9]"):
        expect(words).to_have_text(re.compile(rf"Uploading 0 of 1, {share}\d%"), timeout=ENOUGH)
        page.clock.fast_forward(STALLED_MS - 30_000)
    network.upload(-1)
    expect(words).to_have_text("1 uploaded", timeout=ENOUGH)
    assert not failed
