"""How much a first visit weighs, what a second one asks for, and that no browser runs yesterday's code."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Page, expect

from tests.browser.conftest import Portal, Scene, Visits
from tests.browser.test_gallery import drawn

FIRST_PAINT = 120 * 1024  # bytes on the wire, thumbnails excluded


def weigh(page: Page, address: str, origin: str) -> dict[str, float]:
    """Load a page; the bytes that came over the wire from the portal, by path."""
    session, urls, weights = page.context.new_cdp_session(page), dict[str, str](), dict[str, float]()

    def note(event: dict[str, Any]) -> None:
        url = urls.get(event["requestId"], "")
        if url.startswith(origin):
            weights[urlsplit(url).path] = event["encodedDataLength"]

    session.on("Network.requestWillBeSent", lambda event: urls.update({event["requestId"]: event["request"]["url"]}))
    session.on("Network.loadingFinished", note)
    session.send("Network.enable")
    page.goto(address, wait_until="networkidle")
    session.detach()
    return weights


def test_a_first_visit_weighs_less_than_120_kb_before_its_pictures(visit: Visits, scene: Scene, portal: Portal) -> None:
    page = visit(scene.cast.alice, "about:blank")
    weights = weigh(page, f"{portal.origin}{scene.cast.page('files')}", portal.origin)
    drawn(page)
    assert len([path for path in weights if path.endswith(".js")]) > 5
    assert not [path for path in weights if "uppy" in path]
    assert sum(weights.values()) < FIRST_PAINT, sorted(weights.items(), key=lambda item: -item[1])


def test_only_addresses_that_carry_a_version_are_kept_without_asking(
    visit: Visits, scene: Scene, portal: Portal
) -> None:
    page, seen = visit(scene.cast.alice, "about:blank"), dict[str, str]()
    page.on("response", lambda answer: seen.update({answer.url: answer.headers.get("cache-control", "")}))
    page.goto(f"{portal.origin}{scene.cast.page('files')}")
    expect(page.locator(".tile")).to_have_count(10)
    static = {url: rule for url, rule in seen.items() if urlsplit(url).path.startswith("/static/")}
    assert len(static) > 10
    for url, rule in static.items():
        assert ("immutable" in rule) == bool(re.search(r"[?&]v=|/v-", url)), (url, rule)
    with httpx.Client(trust_env=False) as client:
        for url in [url for url, rule in static.items() if "immutable" not in rule]:
            first = client.get(url)
            assert first.headers["Cache-Control"] == "no-cache", url
            again = client.get(url, headers={"If-None-Match": first.headers["ETag"]})
            assert (again.status_code, again.content) == (304, b""), url
