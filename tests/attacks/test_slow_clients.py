"""Clients that send a byte every 15 seconds stop nobody else, with and without each documented proxy."""

from __future__ import annotations

import resource
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from portal.embedded.ports import choose
from portal.web.server import CONNECTIONS_PER_NETWORK, RECEIVE_SECONDS
from tests.support.engines import TestEngines
from tests.support.processes import Stack, own_settings
from tests.support.proxies import program, running_proxy
from tests.support.raw_http import RawAnswer, parse_answer, send_raw
from tests.support.slow_clients import slow_clients

SLOW = 400
QUICK = 2.0  # seconds that a page may take meanwhile, on a busy machine
SOMEBODY_ELSE = "127.0.0.3"


@pytest.fixture(scope="module", autouse=True)
def enough_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def behind_a_proxy(engines: TestEngines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    port, public = choose(set()), choose(set())
    settings = own_settings(engines, "proxied", queue=8, trusted_proxies=1)
    settings = replace(settings, base_url=f"https://localhost:{public}")
    stack = Stack(settings, tmp_path_factory.mktemp("proxied"), workers=0, port=port)
    try:
        stack.web.start()
        stack.wait_for_web()
        yield stack
    finally:
        stack.stop()


def test_four_hundred_slow_clients_stop_nobody_and_are_ended(web_server: Stack) -> None:
    host = f"127.0.0.1:{web_server.port}"
    with slow_clients(web_server.port, host) as slow:
        slow.connect(SLOW)
        began = time.monotonic()
        assert slow.open() == SLOW
        while time.monotonic() < began + RECEIVE_SECONDS + 5:
            _assert_quick(_get(web_server.port, "/healthz", host))
            _assert_quick(_get(web_server.port, "/login", host))
            time.sleep(1)
        assert slow.open() == 0


def test_more_slow_clients_than_there_is_room_for_stop_nobody(web_server: Stack) -> None:
    host = f"127.0.0.1:{web_server.port}"
    with slow_clients(web_server.port, host) as slow:
        slow.connect(1300)
        for _ in range(5):
            _assert_quick(_get(web_server.port, "/healthz", host))
        assert slow.open() <= 1000


def test_one_address_has_so_many_connections_and_the_longest_waiting_one_makes_room(web_server: Stack) -> None:
    host = f"127.0.0.1:{web_server.port}"
    with slow_clients(web_server.port, host) as slow:
        slow.connect(CONNECTIONS_PER_NETWORK + 50, source="127.0.0.2")
        _assert_quick(_get(web_server.port, "/healthz", host, source="127.0.0.2"))
        time.sleep(0.5)
        assert slow.open() < CONNECTIONS_PER_NETWORK + 1


def test_a_client_that_does_not_take_its_answer_keeps_no_thread(web_server: Stack) -> None:
    host = f"127.0.0.1:{web_server.port}"
    request = f"GET /static/vendor/uppy.min.js HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    connections = [socket.create_connection(("127.0.0.1", web_server.port)) for _ in range(40)]
    try:
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request)
        for _ in range(5):
            _assert_quick(_get(web_server.port, "/login", host))
    finally:
        for connection in connections:
            connection.close()


def test_no_answer_names_the_server(web_server: Stack) -> None:
    host = f"127.0.0.1:{web_server.port}"
    broken = send_raw(web_server.port, "/", "Transfer-Encoding: gzip", host=host)
    for answer in (
        _get(web_server.port, "/login", host)[0],
        broken,
        send_raw(web_server.port, "/", "no header", host=host),
    ):
        assert answer.status and "server" not in answer.headers and "via" not in answer.headers
        assert "waitress" not in answer.body and "gunicorn" not in answer.body
    assert broken.status == 501


def test_a_request_that_is_being_received_survives_a_restart(web_server: Stack) -> None:
    host = f"127.0.0.1:{web_server.port}"
    with socket.create_connection(("127.0.0.1", web_server.port), 20) as connection:
        connection.sendall(f"GET /login HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n".encode())
        time.sleep(0.5)
        web_server.web.ask_to_stop()
        time.sleep(1)
        connection.sendall(b"\r\n")
        answer = parse_answer(b"".join(iter(lambda: connection.recv(65_536), b"")))
    assert answer.status == 200
    web_server.web.stop()
    web_server.web.start()
    web_server.wait_for_web()


# A connection that is reset between accept and handshake leaves ssl's own socket unclosed (SSLSocket._create).
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["nginx", "haproxy", "caddy"])
def test_a_documented_proxy_stands_four_hundred_slow_clients(behind_a_proxy: Stack, name: str, tmp_path: Path) -> None:
    if program(name) is None:
        pytest.skip(f"{name} is not installed: scripts/test-prerequisites does that")
    port = int(behind_a_proxy.settings.base_url.rpartition(":")[2])
    host = f"localhost:{port}"
    with (
        running_proxy(name, behind_a_proxy.port, port, choose({port}), tmp_path) as tls,
        slow_clients(port, host, tls) as slow,
    ):
        slow.connect(SLOW)
        deadline = time.monotonic() + RECEIVE_SECONDS + 10
        while slow.open() and time.monotonic() < deadline:
            _assert_quick(_get(port, "/healthz", host, source=SOMEBODY_ELSE, tls=tls))
            _assert_quick(_get(port, "/login", host, source=SOMEBODY_ELSE, tls=tls))
            time.sleep(1)
        assert slow.open() == 0
        assert _get(port, "/metrics", host, tls=tls)[0].status == 403
        assert _get(port, "//metrics", host, tls=tls)[0].status in (403, 404)
        assert _get(port, "/%6detrics", host, tls=tls)[0].status in (403, 404)


def _get(
    port: int, target: str, host: str, *, source: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> tuple[RawAnswer, float]:
    """The answer, and the seconds that it took."""
    began = time.monotonic()
    raw = socket.create_connection(("127.0.0.1", port), 20, source_address=(source, 0))
    connection = tls.wrap_socket(raw, server_hostname="localhost") if tls else raw
    with connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = parse_answer(b"".join(iter(lambda: connection.recv(65_536), b"")))
    return answer, time.monotonic() - began


def _assert_quick(answered: tuple[RawAnswer, float]) -> None:
    answer, seconds = answered
    assert (answer.status, seconds < QUICK) == (200, True), (answer.status, seconds)
