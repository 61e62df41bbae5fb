"""A real browser on the whole portal.

Web, workers and clock are processes, with a database, a queue and a bucket of their own, so that no other test's jobs
are taken; Chromium is before them.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from portal.embedded.ports import choose
from portal.storage.service import managed_bucket
from tests.support.api_client import ApiClient
from tests.support.browser_files import write_files
from tests.support.engines import TestEngines
from tests.support.people import Actor, Cast, make_cast
from tests.support.pictures import PHOTOS, gps_jpeg, pdf, photo
from tests.support.processes import Stack, own_settings
from tests.support.stores.no_post_proxy import Proxy

CHROMIUM = shutil.which("chromium") or "chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FINAL_WITHIN = 20_000  # milliseconds until a page has to say what is expected of it
# The browser itself reports refused requests; what they were is each test's own affair.
HARMLESS = re.compile(
    r"Failed to load resource|Could not read the Location header|htmx:(afterRequest|send)|Response Status Error"
)

expect.set_options(timeout=FINAL_WITHIN)


@dataclass
class Portal:
    """The running portal; ``put_origin`` is the same before a store that refuses forms.

    ``asked`` lists what that store was asked.
    """

    origin: str
    put_origin: str
    app: Flask
    engines: TestEngines
    asked: list[tuple[str, str]]


@pytest.fixture(scope="package")
def portal(engines: TestEngines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """Web twice (before a store with and one without form uploads), two workers, the clock."""
    asked: list[tuple[str, str]] = []

    def note(method: str, path: str, _headers: Message) -> bool:
        asked.append((method, path))
        return False

    # The store lets forms in from this origin alone: browsers ask it before they send one.
    settings = replace(own_settings(engines, "browser", queue=14), base_url=engines.origin)
    folder = tmp_path_factory.mktemp("portal")
    with Proxy(settings.s3_endpoint, before=note) as proxy:
        put_origin = f"http://localhost:{choose({engines.web_port})}"
        behind = replace(settings, s3_endpoint=proxy.url, s3_public_endpoint=proxy.url, base_url=put_origin)
        stack = Stack(settings, folder / "post")
        put = Stack(behind, folder / "put", workers=0)
        try:
            with stack.app.app_context():
                managed_bucket().ensure_exists([engines.origin, put_origin])
            stack.start()
            put.web.start()
            put.wait_for_web()
            yield Portal(engines.origin, put_origin, stack.app, engines, asked)
        finally:
            put.stop()
            stack.stop()


@pytest.fixture(scope="package")
def app(portal: Portal) -> Flask:
    """The application in this process, to set the scene with."""
    return portal.app


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser; every test has contexts of its own in it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visits:
    """Opens pages, and listens to what their consoles say."""

    browser: Browser
    portal: Portal
    contexts: list[BrowserContext] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __call__(self, actor: Actor | None = None, path: str = "/", *, put: bool = False, **options: Any) -> Page:
        """A page of somebody who is signed in (or of nobody), in a new context, at ``path``."""
        origin = self.portal.put_origin if put else self.portal.origin
        viewport = {"width": 1440, "height": 900}
        context = self.browser.new_context(**{"base_url": origin, "viewport": viewport, **options})
        self.contexts.append(context)
        context.set_default_timeout(FINAL_WITHIN)
        if actor:
            sign_in(context, actor, origin)
        page = context.new_page()
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.goto(path)
        return page

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not HARMLESS.search(message.text):
            self.complaints.append(f"{message.type}: {message.text}")


def sign_in(context: BrowserContext, actor: Actor, origin: str) -> None:
    """Give a context the session that the login form would have made: the form has tests of its own."""
    cookie = actor.browser.get_cookie("stowage_session", domain="localhost")
    assert cookie
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": origin}])


@pytest.fixture
def visit(chromium: Browser, portal: Portal) -> Iterator[Visits]:
    """Open pages; in the end no console may have complained, of the Content-Security-Policy least of all."""
    visits = Visits(chromium, portal)
    yield visits
    for context in visits.contexts:
        context.close()
    assert not visits.complaints


@pytest.fixture(scope="package")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every real and every odd file of the tests."""
    return write_files(tmp_path_factory.mktemp("files"))


@pytest.fixture
def client(portal: Portal, cast: Cast) -> Iterator[Callable[[Actor], ApiClient]]:
    """Somebody's API client at ``press``, to set a scene with and to look behind the page."""
    clients: list[ApiClient] = []

    def of(actor: Actor) -> ApiClient:
        clients.append(ApiClient(portal.origin, actor.token, cast.press.id))
        return clients[-1]

    yield of
    for each in clients:
        each.close()


def holds(client: ApiClient, used: int, reserved: int = 0) -> None:
    """Wait until the workspace holds exactly so many bytes: space is freed a moment after the page has answered."""
    deadline = time.monotonic() + FINAL_WITHIN / 1000
    while client.quota() != (used, reserved):
        assert time.monotonic() < deadline, client.quota()
        time.sleep(0.05)


@dataclass(frozen=True)
class Scene:
    """A workspace with pictures in it: the photographs, one with EXIF, and a PDF. For tests that change nothing."""

    cast: Cast
    assets: dict[str, str]  # file name: asset id

    def file(self, name: str) -> str:
        """The page of a file."""
        return self.cast.page(f"files/{self.assets[name]}")


@pytest.fixture(scope="package")
def scene(app: Flask, portal: Portal) -> Scene:
    """The photographs, checked and with their previews."""
    cast = make_cast(app)
    wanted = {f"{name}.jpg": photo(name) for name in PHOTOS} | {"paris.jpg": gps_jpeg(), "report.pdf": pdf()}
    with closing(ApiClient(portal.origin, cast.alice.token, cast.press.id)) as alice:
        assets = {name: alice.upload(name, content).asset_id for name, content in wanted.items()}
        for asset_id in assets.values():
            assert alice.wait(asset_id)["previews"] == "ready"
    return Scene(cast, assets)
