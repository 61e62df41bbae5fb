"""From a file on somebody's computer to a checked one in the gallery: every way in, both ways to the store."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, Request, expect

from tests.browser.conftest import Portal, Visits, holds
from tests.support.api_client import ApiClient
from tests.support.browser_files import good
from tests.support.people import Actor, Cast
from tests.support.pictures import photo

Client = Callable[[Actor], ApiClient]
ENOUGH = 120_000  # milliseconds for thirty files on a slow machine
SLOW = 400 * 1024  # bytes a second, so that progress can be watched
FULL = -1


def tile(page: Page, name: str) -> Any:
    """The card of a file."""
    return page.locator(".tile").filter(has=page.locator(f'.file-name[title="{name}"]'))


class Network:
    """The network of a page, slow from the start."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Network.enable")
        self.upload(SLOW)

    def upload(self, speed: int) -> None:
        """Let it send so many bytes a second."""
        limits = {"offline": False, "latency": 0, "downloadThroughput": FULL, "uploadThroughput": speed}
        self._session.send("Network.emulateNetworkConditions", limits)


def drag(page: Page, *paths: Path) -> None:
    """Drag files or folders from the desktop over the page and let them go, as the system would."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver"):
        session.send("Input.dispatchDragEvent", {"type": step, "x": 700, "y": 500, "data": data})
    expect(page.locator("#drop-veil")).to_be_visible()
    session.send("Input.dispatchDragEvent", {"type": "drop", "x": 700, "y": 500, "data": data})
    expect(page.locator("#drop-veil")).to_be_hidden()


@pytest.mark.parametrize(("put", "count"), [(False, 30), (True, 9)], ids=["POST", "PUT"])
def test_many_real_files_at_once_become_ready_in_front_of_ones_eyes(
    visit: Visits, cast: Cast, files: Path, client: Client, put: bool, count: int
) -> None:
    chosen = dict(list(good().items())[-count:])
    page = visit(cast.bob, cast.page("files"), put=put)
    sent: dict[str, int] = {}
    page.on("request", lambda request: count_upload(request, sent))
    with page.expect_file_chooser() as chooser:
        page.locator(".topbar").get_by_role("button", name="Upload", exact=True).click()
    chooser.value.set_files([files / name for name in chosen])
    words = page.locator("#tray-words")
    expect(words).to_have_text(re.compile(rf"Uploading \d+ of {count}, \d+%|Checking…"))
    expect(words).to_have_text(f"{count} uploaded", timeout=ENOUGH)
    expect(page.locator("#tray-problems")).to_be_hidden()
    expect(page.locator("#tray-progress")).to_be_hidden()
    expect(page.locator(".tile")).to_have_count(count)
    expect(page.locator(".tile .state-good")).to_have_count(count, timeout=ENOUGH)
    expect(page.locator(".tile[hx-get]")).to_have_count(0, timeout=ENOUGH)  # nothing asks for itself any more
    assert sent == {"PUT" if put else "POST": count}
    expect(page.locator(".picture-none")).to_have_count(1)  # the zip alone has no picture
    kept = client(cast.alice).call("GET", "assets?limit=100").json()["items"]
    assert {item["file_name"]: item["sha256"] for item in kept} == {
        name: hashlib.sha256(content).hexdigest() for name, content in chosen.items()
    }


def count_upload(request: Request, sent: dict[str, int]) -> None:
    """Count what goes to the store with a body."""
    if "localhost" not in request.url and request.method in ("POST", "PUT"):
        sent[request.method] = sent.get(request.method, 0) + 1


def test_the_digest_is_made_in_a_worker_and_told_before_the_bytes(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("files"))
    with page.expect_event("worker") as worker, page.expect_request("**/uploads/batch") as begun:
        page.locator("#pick-files").set_input_files(files / "cat.jpg")
    assert "sha256.worker.js" in worker.value.url
    (spec,) = json.loads(begun.value.post_data or "")["items"]
    assert spec["sha256"] == hashlib.sha256(photo("cat")).hexdigest()
    assert (spec["file_name"], spec["size_bytes"]) == ("cat.jpg", len(photo("cat")))
    expect(tile(page, "cat.jpg")).to_contain_text("Ready")


def test_files_and_whole_folders_may_be_dropped_anywhere(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("files"))
    drag(page, files / "dahlia.jpg", files / "holiday")
    expect(page.locator(".tile .state-good")).to_have_count(4)
    for name in ("dahlia.jpg", "cat.jpg", "coffee.jpg", "rocket.jpg"):
        expect(tile(page, name)).to_be_visible()


def test_what_can_not_be_read_is_named_and_the_rest_of_the_drop_goes_up(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("files"))
    # As Chromium answers for a file without permission, which root, who may run this, can't make.
    page.evaluate("""() => {
        const entry = DataTransferItem.prototype.webkitGetAsEntry;
        const refuse = (good, bad) => bad(new DOMException("no permission", "NotReadableError"));
        DataTransferItem.prototype.webkitGetAsEntry = function () {
            const folder = entry.call(this);
            const reader = folder.createReader();
            const read = (good, bad) => reader.readEntries((some) => {
                for (const each of some) if (each.name === "cat.jpg") each.file = refuse;
                good(some);
            }, bad);
            folder.createReader = () => ({ readEntries: read });
            return folder;
        };
    }""")
    drag(page, files / "holiday")
    expect(page.locator("#tray-problems li")).to_contain_text("holiday/cat.jpg")
    expect(page.locator("#tray-problems li")).to_contain_text("can not be read")
    expect(page.locator("#tray-words")).to_contain_text("2 uploaded")


def test_names_that_differ_in_capitals_only_are_two_files(
    visit: Visits, cast: Cast, tmp_path: Path, client: Client
) -> None:
    contents = {"Notes.txt": "lower and upper\n", "NOTES.txt": "UPPER and lower\n"}
    for name, content in contents.items():
        path = tmp_path / name
        path.write_text(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))  # the same name, type, size and time but for the capitals
    page = visit(cast.bob, cast.page("files"))
    page.locator("#pick-files").set_input_files([tmp_path / name for name in contents])
    expect(page.locator("#tray-words")).to_have_text("2 uploaded")
    items = client(cast.bob).call("GET", "assets?limit=100").json()["items"]
    assert {item["file_name"]: item["sha256"] for item in items} == {
        name: hashlib.sha256(content.encode()).hexdigest() for name, content in contents.items()
    }


def test_what_systems_and_programs_leave_in_folders_is_passed_over(visit: Visits, cast: Cast, tmp_path: Path) -> None:
    folder = tmp_path / "trip"
    folder.mkdir()
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._words.txt", "~$words.docx", "words.txt"):
        (folder / name).write_text(name)
    page = visit(cast.bob, cast.page("files"))
    drag(page, folder)
    expect(page.locator("#tray-words")).to_have_text("1 uploaded")
    page.locator("#pick-folder").set_input_files(folder)
    expect(page.locator(".tile .state-good")).to_have_count(2)
    expect(page.locator("#tray-words")).to_have_text("1 uploaded")
    expect(page.locator("#tray-problems")).to_be_hidden()


def test_a_drop_on_another_page_of_the_workspace_works_as_well(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("trash"))
    drag(page, files / "coffee.jpg")
    expect(page.locator("#tray-words")).to_have_text("1 uploaded")
    page.get_by_role("link", name="All files").click()
    expect(tile(page, "coffee.jpg")).to_contain_text("Ready")


def test_a_new_row_of_the_list_keeps_itself_up_to_date(visit: Visits, cast: Cast, files: Path, client: Client) -> None:
    api = client(cast.bob)
    api.wait(api.upload("rocket.jpg", photo("rocket")).asset_id)
    page = visit(cast.bob, cast.page("files?view=list"))
    page.locator("#pick-files").set_input_files(files / "cat.jpg")
    rows = page.locator("#assets tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("cat")
    expect(rows.first.locator(".state")).to_have_text("Ready")
    expect(rows.first.locator("img")).to_be_visible()
    expect(page.locator("#assets tr[hx-get]")).to_have_count(0)


def test_a_picture_is_pasted(visit: Visits, cast: Cast) -> None:
    page = visit(cast.bob, cast.page("files"), permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
            const canvas = new OffscreenCanvas(40, 30);
            canvas.getContext("2d").fillRect(0, 0, 20, 30);
            const image = await canvas.convertToBlob({ type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": image })]);
        }"""
    )
    page.keyboard.press("Control+v")
    expect(tile(page, "image.png")).to_contain_text("Ready")


def test_a_folder_is_chosen_with_all_that_is_in_it(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("files"))
    with page.expect_file_chooser() as chooser:
        page.locator(".teach").get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(files / "holiday")
    expect(page.locator(".tile .state-good")).to_have_count(3)


def test_progress_is_told_per_file_and_in_total_and_ends_at_checking(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("files"))
    network = Network(page)
    words, seen = page.locator("#tray-words"), set[str]()
    page.locator("#pick-files").set_input_files([files / "large.txt", files / "rocket.jpg"])
    expect(words).to_have_text(re.compile(r"Uploading \d of 2, [1-9]\d?%"))
    expect(page.locator("#tray-progress")).to_have_js_property("max", 100)
    expect(page.locator("#tray .uppy-StatusBar")).to_contain_text(re.compile(r"MB of 3\.\d MB.*about \d+s left"))
    item = page.locator("#tray .uppy-Dashboard-Item").filter(has_text="large.txt")
    ring = item.locator(".uppy-Dashboard-Item-progress circle.uppy-Dashboard-Item-progressIcon--progress, .progress")
    expect(ring.first).to_be_attached()
    page.on("console", lambda message: seen.add(message.text))
    page.evaluate(
        """() => new MutationObserver(() => console.log(document.getElementById("tray-words").textContent))
            .observe(document.getElementById("tray-words"), { childList: true })"""
    )
    network.upload(FULL)
    expect(words).to_have_text("2 uploaded")
    assert "Checking…" in seen
    assert not [each for each in seen if "100%" in each]


def test_one_goes_on_browsing_while_files_are_on_their_way(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("files"))
    network = Network(page)
    page.locator("#pick-files").set_input_files(files / "large.txt")
    expect(page.locator("#tray-words")).to_have_text(re.compile("Uploading"))
    page.get_by_role("button", name="Hide the uploads; they go on").click()
    expect(page.locator("#tray")).to_be_hidden()
    page.locator("#sidebar").get_by_role("link", name="Trash").click()
    expect(page.get_by_role("heading", name="Trash", exact=True)).to_be_visible()
    expect(page.locator("#tray-words")).to_have_text(re.compile(r"Uploading 0 of 1, [1-9]\d?%"))
    page.get_by_role("button", name="Show uploads").click()
    expect(page.locator("#tray .uppy-Dashboard-Item")).to_contain_text("large.txt")
    page.locator("#sidebar").get_by_role("link", name="All files").click()
    network.upload(FULL)
    expect(tile(page, "large.txt")).to_contain_text("Ready")


def test_closing_the_tab_warns_while_files_are_on_their_way(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("files"))
    warnings: list[str] = []

    def stay(dialog: Dialog) -> None:
        warnings.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    network = Network(page)
    with page.expect_file_chooser() as chooser:
        page.locator(".topbar").get_by_role("button", name="Upload", exact=True).click()
    chooser.value.set_files(files / "large.txt")
    expect(page.locator("#tray-words")).to_have_text(re.compile(r"Uploading 0 of 1, [1-9]"))
    page.close(run_before_unload=True)
    expect(page.locator("#tray-words")).to_have_text(re.compile("Uploading"))  # it stayed
    assert warnings == ["beforeunload"]
    network.upload(FULL)
    expect(page.locator("#tray-words")).to_have_text("1 uploaded")
    page.reload()
    assert warnings == ["beforeunload"]
    expect(tile(page, "large.txt")).to_contain_text("Ready")


def test_a_cancelled_upload_frees_what_it_had_reserved(visit: Visits, cast: Cast, files: Path, client: Client) -> None:
    page, behind = visit(cast.bob, cast.page("files")), client(cast.bob)
    Network(page)
    page.locator("#pick-files").set_input_files(files / "large.txt")
    expect(page.locator("#tray-words")).to_have_text(re.compile(r"Uploading 0 of 1, [1-9]"))
    holds(behind, 0, reserved=(files / "large.txt").stat().st_size)
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as given_up:
        page.locator("#tray .uppy-Dashboard-Item").get_by_role("button", name=re.compile("Remove|Cancel")).click()
    assert given_up.value.status == 204
    holds(behind, 0)
    expect(page.locator("#tray-words")).to_have_text("")
    expect(page.locator("[data-gallery-empty]")).to_be_visible()


def test_a_lost_connection_is_tried_again_by_itself(visit: Visits, cast: Cast, files: Path, portal: Portal) -> None:
    page = visit(cast.bob, cast.page("files"))
    store, lost = portal.engines.environment()["PORTAL_S3_ENDPOINT"], list[str]()

    def lose_first(route: Any) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.request.method)
            route.abort()

    page.route(f"{store}/**", lose_first)
    page.locator("#pick-files").set_input_files(files / "cat.jpg")
    expect(page.locator("#tray-words")).to_have_text("1 uploaded")
    assert lost == ["POST"]


def test_what_slept_longer_than_its_signature_lives_is_signed_anew_by_itself(
    visit: Visits, cast: Cast, files: Path, portal: Portal, client: Client
) -> None:
    page = visit(cast.bob, cast.page("files"))
    store, refused = portal.engines.environment()["PORTAL_S3_ENDPOINT"], list[str]()

    def refuse_first(route: Any) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route.request.method)
            route.fulfill(status=403, headers={"Access-Control-Allow-Origin": portal.origin})

    page.route(f"{store}/**", refuse_first)
    page.locator("#pick-files").set_input_files(files / "cat.jpg")
    expect(page.locator("#tray-words")).to_have_text("1 uploaded")
    assert refused == ["POST"]
    expect(page.locator("#tray-problems")).to_be_hidden()
    holds(client(cast.bob), len(photo("cat")))


def test_what_the_store_refused_can_be_tried_again_by_hand(
    visit: Visits, cast: Cast, files: Path, portal: Portal, client: Client
) -> None:
    page = visit(cast.bob, cast.page("files"))
    store = f"{portal.engines.environment()['PORTAL_S3_ENDPOINT']}/**"
    page.route(store, lambda route: route.fulfill(status=403, headers={"Access-Control-Allow-Origin": portal.origin}))
    page.locator("#pick-files").set_input_files(files / "cat.jpg")
    problem = page.locator("#tray-problems li")
    expect(problem).to_contain_text("The storage did not take the file (403). Retry it.")
    expect(page.locator("#tray-words")).to_have_text("1 failed")
    page.unroute(store)
    problem.get_by_role("button", name="Retry").click()
    expect(page.locator("#tray-words")).to_have_text("1 uploaded")
    expect(page.locator("#tray-problems")).to_be_hidden()
    expect(tile(page, "cat.jpg")).to_contain_text("Ready")
    holds(client(cast.bob), len(photo("cat")))


def test_the_card_says_that_it_waits_for_the_scanner_and_goes_on_when_that_is_back(
    visit: Visits, cast: Cast, files: Path, portal: Portal
) -> None:
    scanner = portal.engines.clamd
    if scanner is None:
        pytest.skip("ClamAV is not installed")
    page = visit(cast.bob, cast.page("files"))
    scanner.kill()
    try:
        page.locator("#pick-files").set_input_files(files / "cat.jpg")
        expect(tile(page, "cat.jpg")).to_contain_text("Waiting for the virus scanner", timeout=40_000)
    finally:
        scanner.restart()
    expect(tile(page, "cat.jpg")).to_contain_text("Ready", timeout=60_000)
