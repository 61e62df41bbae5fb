"""Clients take turns: one that sends forty requests at once makes another wait for none of them."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from portal.embedded.ports import choose
from portal.web.request_turns import RequestQueue, Turn, client_of
from tests.support.processes import Process
from tests.support.raw_http import parse_answer

THREADS = 8


@dataclass
class Request:
    headers: dict[str, str]


@dataclass
class Channel:
    """As much of a connection as the queue looks at."""

    network: str
    credentials: str = ""
    forwarded: str = ""
    requests: list[Request] = field(default_factory=list)
    answered: bool = False

    def __post_init__(self) -> None:
        headers = {"AUTHORIZATION": self.credentials, "X_FORWARDED_FOR": self.forwarded}
        self.requests = [Request({name: value for name, value in headers.items() if value})]

    def service(self) -> None:
        self.answered = True


def queue_of(*channels: Channel, threads: int = THREADS, proxies: int = 0) -> RequestQueue:
    queue = RequestQueue(threading.Lock(), proxies)
    queue.limit(threads)
    for channel in channels:
        queue.append(channel)
    return queue


def served(turn: Turn) -> Channel:
    channel: Channel = turn._channel
    return channel


def in_order(queue: RequestQueue) -> list[Channel]:
    """All that wait, each answered before the next one."""
    found = []
    while queue:
        turn = queue.popleft()
        turn.service()
        found.append(served(turn))
    return found


def test_forty_requests_of_one_address_let_another_one_be_next() -> None:
    many, other = [Channel("10.0.0.1/32") for _ in range(40)], Channel("10.0.0.2/32")
    order = in_order(queue_of(*many, other))
    assert order.index(other) == 1 and len(order) == 41


def test_people_behind_one_address_take_turns_by_their_credentials() -> None:
    many, other = [Channel("10.0.0.1/32", "Bearer a") for _ in range(40)], Channel("10.0.0.1/32", "Bearer b")
    assert in_order(queue_of(*many, other)).index(other) == 1


def test_invented_credentials_take_no_turns_from_another_address() -> None:
    many, other = [Channel("10.0.0.1/32", f"Bearer {number}") for number in range(40)], Channel("10.0.0.2/32")
    assert in_order(queue_of(*many, other)).index(other) == 1


def test_one_client_has_its_requests_answered_in_their_order() -> None:
    mine = [Channel("10.0.0.1/32") for _ in range(5)]
    assert in_order(queue_of(*mine)) == mine


def test_one_client_has_half_of_the_threads_and_one_address_three_quarters() -> None:
    queue = queue_of(*[Channel("10.0.0.1/32", name) for name in "ab" for _ in range(10)])
    turns = []
    while queue:
        turns.append(queue.popleft())
    assert [served(turn).credentials for turn in turns] == ["a", "b"] * 3
    with pytest.raises(IndexError):
        queue.popleft()
    alone = queue_of(*[Channel("10.0.0.1/32") for _ in range(10)])
    taken = []
    while alone:
        taken.append(alone.popleft())
    assert len(taken) == THREADS // 2
    taken[0].service()
    assert alone, "one was answered: the next may be"


def test_with_one_thread_everybody_is_answered() -> None:
    assert len(in_order(queue_of(Channel("10.0.0.1/32"), Channel("10.0.0.2/32"), threads=1))) == 2


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ("6.6.6.6, 192.0.2.7", 0, "127.0.0.1/32"),  # nobody trusts what it says
        ("6.6.6.6, 192.0.2.7", 1, "192.0.2.7/32"),
        ("6.6.6.6, 192.0.2.7, 10.0.0.1", 2, "192.0.2.7/32"),
        ("2001:db8::1", 1, "2001:db8::/64"),
        ("", 1, "127.0.0.1/32"),
    ],
)
def test_behind_trusted_proxies_a_client_is_whom_they_say(forwarded: str, proxies: int, address: str) -> None:
    assert client_of(Channel("127.0.0.1/32", forwarded=forwarded), proxies)[0] == address


@pytest.fixture
def waiting_server(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The web server with an application whose answers wait for a file; its port, and the file."""
    port, file = choose(set()), tmp_path / "go"
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "portal.web.server.BufferedWorker"]
    command += ["--workers", "1", "--threads", str(THREADS), "--bind", f"127.0.0.1:{port}"]
    environment = {**os.environ, "WAIT_FOR": str(file)}
    server = Process("waiting", [*command, "tests.support.waiting_app:app"], environment, tmp_path)
    server.start()
    try:
        deadline = time.monotonic() + 60
        while not _is_listening(port):
            assert server.running and time.monotonic() < deadline, server.words()
            time.sleep(0.1)
        yield port, file
    finally:
        file.touch()
        server.stop()


@pytest.mark.parametrize("there", ["127.0.0.2", "127.0.0.3"])
def test_whoever_keeps_forty_requests_open_stops_nobody(waiting_server: tuple[int, Path], there: str) -> None:
    port, file = waiting_server
    theirs = [_send(port, "/wait", "127.0.0.2", "Bearer theirs") for _ in range(40)]
    for number in range(3):
        mine = _send(port, f"/{number}", there, "Bearer mine")
        assert _answer(mine) == 200, "it was answered although none of theirs is"
    file.touch()
    assert [_answer(connection) for connection in theirs] == [200] * 40


def _is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _send(port: int, target: str, source: str, credentials: str) -> Any:
    connection = socket.create_connection(("127.0.0.1", port), 60, source_address=(source, 0))
    head = f"GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: {credentials}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def _answer(connection: Any) -> int:
    with connection:
        return parse_answer(b"".join(iter(lambda: connection.recv(65_536), b""))).status
