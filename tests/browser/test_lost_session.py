"""What somebody uploads goes on by itself after their session has ended, and after the network was away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.test_batches import hold, until
from tests.browser.test_upload import tile
from tests.support.people import PASSWORD, Actor, Cast


def log_in(page: Page, actor: Actor) -> None:
    """Fill in the login form that a new tab shows."""
    page.get_by_label("mail address").fill(actor.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".topbar")).to_be_visible()


def lose_session(page: Page, files: list[Path]) -> Any:
    """End the session, then upload; the dialog that asks to log in again."""
    page.context.clear_cookies()
    page.locator("#pick-files").set_input_files(files)
    dialog = page.get_by_role("dialog", name="You are logged out")
    expect(dialog).to_be_visible()
    return dialog


def test_who_is_logged_out_while_uploading_logs_in_again_and_everything_goes_on(
    visit: Visits, cast: Cast, files: Path
) -> None:
    page = visit(cast.bob, cast.page("files"))
    dialog = lose_session(page, [files / "cat.jpg", files / "coffee.jpg"])
    expect(dialog).to_contain_text(cast.bob.email)
    with page.context.expect_page() as opened:
        dialog.get_by_role("link", name="Log in").click()
    log_in(opened.value, cast.bob)
    expect(dialog).to_be_hidden()
    expect(page.locator("#tray-words")).to_have_text("2 uploaded")
    expect(page.locator("#tray-problems")).to_be_hidden()
    expect(tile(page, "cat.jpg")).to_contain_text("Ready")


def test_a_card_that_asks_for_itself_does_not_take_the_page_to_the_login_form(
    visit: Visits, cast: Cast, files: Path
) -> None:
    page = visit(cast.bob, cast.page("files"))
    page.locator("#pick-files").set_input_files(files / "cat.jpg")
    expect(page.locator("#tray-words")).to_have_text("1 uploaded")
    expect(page.locator(".tile[hx-get]")).to_have_count(0)
    page.context.clear_cookies()
    # As a card does by itself, at a moment that the test chooses.
    ask = "tile => { htmx.ajax('GET', tile.querySelector('.tile-link').href + '/card', { source: tile }) }"
    page.locator(".tile").evaluate(ask)
    dialog = page.get_by_role("dialog", name="You are logged out")
    with page.context.expect_page() as opened:
        dialog.get_by_role("link", name="Log in").click()
    log_in(opened.value, cast.bob)
    expect(dialog).to_be_hidden()
    page.locator("#pick-files").set_input_files(files / "coffee.jpg")  # with the new session's token
    expect(page.locator("#tray-words")).to_have_text("1 uploaded")
    expect(tile(page, "coffee.jpg")).to_contain_text("Ready")


def test_uploads_wait_for_the_person_who_began_them(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("files"))
    dialog = lose_session(page, [files / "cat.jpg"])
    with page.context.expect_page() as opened:
        dialog.get_by_role("link", name="Log in").click()
    log_in(opened.value, cast.alice)
    page.wait_for_timeout(4000)  # longer than the dialog takes to ask
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Not now").click()
    problem = page.locator("#tray-problems li")
    expect(problem).to_contain_text("You are logged out. Log in again to go on.")
    expect(problem.get_by_role("button", name="Retry")).to_be_visible()


def test_without_a_connection_the_tray_says_so_and_goes_on_when_it_is_back(
    visit: Visits, cast: Cast, files: Path
) -> None:
    page = visit(cast.bob, cast.page("files"))
    words = page.locator("#tray-words")
    page.locator("#pick-files").set_input_files(files / "cat.jpg")
    expect(words).to_have_text("1 uploaded")
    page.context.set_offline(True)
    page.locator("#pick-files").set_input_files(files / "coffee.jpg")
    expect(words).to_have_text("No connection. It goes on by itself.")
    page.wait_for_timeout(3000)
    expect(page.locator("#tray-problems")).to_be_hidden()
    page.context.set_offline(False)
    expect(words).to_have_text("1 uploaded")
    expect(tile(page, "coffee.jpg")).to_contain_text("Ready")


def test_names_are_shown_while_the_uploader_is_being_loaded(visit: Visits, cast: Cast, files: Path) -> None:
    page = visit(cast.bob, cast.page("files"))
    held = hold(page, "**/uppy.min.js*")
    page.locator("#pick-files").set_input_files([files / "cat.jpg", files / "coffee.jpg"])
    expect(page.locator("#tray .tray-names li")).to_have_text(["cat.jpg", "coffee.jpg"])
    expect(page.locator("#tray-words")).to_have_text("Preparing…")
    until(page, lambda: len(held) == 1)
    held[0].continue_()
    expect(page.locator("#tray-words")).to_have_text("2 uploaded")
    expect(page.locator("#tray .tray-names")).to_have_count(0)
