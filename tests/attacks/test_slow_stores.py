"""A store that never is silent for long, and never done, holds nobody."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest

from portal.errors import Unavailable
from portal.network import deadlines
from portal.network.deadlines import MinimumThroughput
from portal.network.egress import Egress
from portal.objectstore import concurrency_limit, errors, listing
from portal.objectstore.bucket import Bucket
from portal.objectstore.location import Location
from portal.storage.probe import browser as browsing
from portal.storage.probe import client as probe_client
from portal.storage.probe.browser import Browser
from portal.storage.probe.client import StoreClient
from tests.support.engines import LEAST_PLACE, TestEngines
from tests.support.stores.faulty import Faulty, answers, drips, methods

DRIP, SOON = 0.2, 1.0  # seconds: far below every timeout of a socket, and what a whole question may take here
LATEST = 6.0  # seconds: with a second attempt and what this machine needs


@pytest.fixture(scope="module")
def store(engines: TestEngines) -> Iterator[Faulty]:
    settings = engines.settings()
    keys = settings.s3_access_key_id, settings.s3_secret_access_key
    with Faulty(Location(settings.s3_endpoint, None, settings.s3_region, LEAST_PLACE[0], *keys)) as running:
        Bucket(running.place).ensure_exists(["http://localhost:5000"])
        yield running


@pytest.fixture
def customers(store: Faulty, monkeypatch: pytest.MonkeyPatch) -> Location:
    """The store as a customer's bucket, by clients that are soon out of patience."""
    for module in (errors, probe_client, browsing):
        monkeypatch.setattr(module, "ANSWER_SECONDS", SOON)
    monkeypatch.setattr(listing, "PAGE_SECONDS", SOON)
    monkeypatch.setattr(deadlines, "WINDOW_SECONDS", SOON)
    return replace(store.place, endpoint=store.url, egress=Egress.parse([store.url]))


@pytest.fixture(params=["ours", "a customer's"])
def at(request: pytest.FixtureRequest, customers: Location) -> Location:
    """The same as a bucket of either kind."""
    return replace(customers, egress=None) if request.param == "ours" else customers


@pytest.mark.parametrize("call", ["head", "list", "delete", "get", "put"])
def test_an_answer_in_drops_is_given_up(store: Faulty, at: Location, call: str) -> None:
    bucket, key = Bucket(at), f"workspaces/{uuid4()}/a"

    def read() -> None:
        with bucket.get(key):
            pass

    calls: dict[str, Callable[[], object]] = {
        "head": lambda: bucket.head(key),
        "list": lambda: list(bucket.list(key)),
        "delete": lambda: bucket.delete(key),
        "get": read,
        "put": lambda: bucket.put(key, b"x", content_type="text/plain"),
    }
    began = time.monotonic()
    with store.playing(drips(DRIP)), pytest.raises(Unavailable, match="can't be reached"):
        calls[call]()
    assert time.monotonic() - began < LATEST


def test_content_in_drops_is_given_up(store: Faulty, at: Location) -> None:
    began = time.monotonic()
    with (
        store.playing(drips(DRIP, content=1000), methods("GET")),
        Bucket(at).get("workspaces/x/a") as stream,
        pytest.raises(Unavailable),
    ):
        stream.read()
    assert time.monotonic() - began < LATEST


def test_content_that_keeps_its_pace_is_read_however_long_it_takes(store: Faulty, at: Location) -> None:
    content, key = os.urandom(200_000), f"workspaces/{uuid4()}/a"
    bucket = Bucket(at)
    bucket.put(key, content, content_type="text/plain")
    found = b""
    with bucket.get(key) as stream:
        while piece := stream.read(50_000):
            found += piece
            time.sleep(SOON / 2)  # we are slow, not the store
    bucket.delete(key)
    assert found == content


def test_a_question_of_the_probe_in_drops_is_given_up(store: Faulty, at: Location) -> None:
    client, browser = StoreClient(at), Browser(at.egress)
    with store.playing(drips(DRIP)):
        began = time.monotonic()
        assert client.call("head_object", Key="a").code == "timeout"
        assert browser.send("GET", f"{store.url}/a").failure == "timeout"
        assert time.monotonic() - began < 2 * LATEST
    client.close()
    browser.close()


def test_a_store_does_not_tell_us_how_long_to_sleep(store: Faulty, at: Location) -> None:
    began = time.monotonic()
    with store.playing(answers(503, "SlowDown", Retry_After="30")), pytest.raises(Unavailable):
        Bucket(at).head("workspaces/x/a")
    assert time.monotonic() - began < LATEST


def test_who_waits_for_a_slow_store_leaves_threads_for_everybody_else(
    store: Faulty, customers: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency_limit, "MAX_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(concurrency_limit, "SLOW_SECONDS", SOON / 2)
    slow, other = Bucket(customers), Bucket(replace(customers, key_prefix="elsewhere"))

    def look(_number: int) -> float:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            slow.head("workspaces/x/a")
        return time.monotonic() - began

    with store.playing(drips(DRIP), lambda _method, path, _headers: "elsewhere" not in path):
        with ThreadPoolExecutor(12) as threads:
            took = sorted(threads.map(look, range(12)))
        assert took[-concurrency_limit.MAX_CONCURRENT] > SOON / 2 > took[-concurrency_limit.MAX_CONCURRENT - 1]
        assert look(0) < 0.1  # it is left alone for a while
        assert other.head("workspaces/x/a") is None
    with pytest.raises(Unavailable):
        slow.head("workspaces/x/a")
    slow._concurrency._cool_until = 0.0  # the cool-down is over
    assert slow.head("workspaces/x/a") is None


class Continues(BaseHTTPRequestHandler):
    """Says that the content may come, and hangs up."""

    def do_PUT(self) -> None:
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n")
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_line_that_ends_after_continue_is_given_up() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Continues) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        bucket = Bucket(Location(address, None, "us-east-1", "bucket", "key", "secret", egress=Egress.parse([address])))
        failed: list[Exception] = []

        def send() -> None:
            try:
                bucket.put("workspaces/x/a", io.BytesIO(b"x" * 2_000_000), content_type="text/plain", size=2_000_000)
            except Unavailable as problem:
                failed.append(problem)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        sender.join(LATEST)
        server.shutdown()
    assert failed


def test_throughput_is_averaged_over_a_whole_window() -> None:
    limit = MinimumThroughput()
    limit.record(59, 0)
    assert limit.seconds_left() > 0  # one slow minute may begin with silence
    limit.record(1, 600 * 1024)
    assert limit.seconds_left() == deadlines.WINDOW_SECONDS
    limit.record(60, 600 * 1024 - 1)
    assert limit.seconds_left() <= 0
