"""A customer's program that is told: a server on loopback that verifies with the official library, and can misbehave.

with Receiver() as receiver:
    receiver.answer(500)                          # or 429, {"Retry-After": "60"}; or a function that writes bytes
    receiver.calls[0].verified(secret)            # the event, if the signature holds
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks import Webhook

Misbehaviour = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Call:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """What makes it the same at every attempt."""
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> dict[str, Any]:
        """The event. Raises the library's ``WebhookVerificationError``."""
        event: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return event


class Receiver:
    """A running server; ``calls`` is what it was told."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.during: Callable[[], None] | None = None  # called before it answers
        self._answer: tuple[int, Mapping[str, str]] | Misbehaviour = (200, {})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="receiver", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, status: int | Misbehaviour, headers: Mapping[str, str] | None = None) -> None:
        """How it answers from now on."""
        self._answer = (status, headers or {}) if isinstance(status, int) else status

    def reset(self) -> None:
        """As new."""
        self.calls.clear()
        self.during, self._answer = None, (200, {})


class _Handler(BaseHTTPRequestHandler):
    owner: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.owner.calls.append(Call(self.path, headers, body))
        if self.owner.during:
            self.owner.during()
        answer = self.owner._answer
        self.close_connection = True
        if callable(answer):
            with contextlib.suppress(OSError):
                answer(self.connection)
            return
        status, more = answer
        self.send_response_only(status)
        for name, value in {**more, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def never(connection: socket.socket) -> None:
    """Not a byte, for as long as a test takes."""
    time.sleep(5)


def drips(connection: socket.socket) -> None:
    """A header that never ends, a byte now and then."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.05)


def no_http(connection: socket.socket) -> None:
    """Something else."""
    connection.sendall(b"220 mail.example.com ESMTP\r\n")


@dataclass
class Endless:
    """Taken, with a body that has no end; ``sent`` is how much of it went out."""

    sent: int = 0

    def __call__(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while self.sent < 1 << 30:
            self.sent += connection.send(b"x" * 65536)
