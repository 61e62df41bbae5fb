"""How long the other side may take in all. The timeouts of a socket bound one silence; these bound the sum of them.

A store that sends a byte a minute never is silent for long, and would hold whoever asks it for ever. So a connection
of ``Timed`` asks, before it waits for the other side, how much longer that is worth it: until a ``Deadline`` for
a question, as long as bytes keep a ``Pace`` for the content of a file. Nothing set: only the socket's timeouts hold.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from http.client import HTTPResponse
from typing import Any, Protocol

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError

SLOWEST = 10 * 1024  # bytes a second, below which a file is not worth waiting for: 5 GB would take six days
WINDOW = 60.0  # seconds of waiting over which that is the average
BLOCK = 64 * 1024  # bytes that are sent between two looks at the clock


class Patience(Protocol):
    """How much longer the other side is waited for."""

    def left(self) -> float:
        """Seconds; none when zero or less."""

    def waited(self, seconds: float, moved: int) -> None:
        """So long it took until so many bytes had come or gone."""


class Deadline:
    """So many seconds from now, whatever happens meanwhile."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then."""
        return self._ends - time.monotonic()

    def waited(self, seconds: float, moved: int) -> None:
        """Changes nothing."""


class Pace:
    """As long as every ``WINDOW`` of waiting brings ``SLOWEST`` bytes a second; what we do in between costs nothing."""

    def __init__(self) -> None:
        self._waited, self._moved = 0.0, 0

    def left(self) -> float:
        """Seconds of waiting until the bytes are counted."""
        return WINDOW - self._waited

    def waited(self, seconds: float, moved: int) -> None:
        """A window that is over, and had its bytes, is followed by another."""
        self._waited, self._moved = self._waited + seconds, self._moved + moved
        if self._waited >= WINDOW and self._moved >= SLOWEST * WINDOW:
            self._waited, self._moved = 0.0, 0


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def waiting(patience: Patience) -> Iterator[None]:
    """Everything that is asked meanwhile, in this thread, shares this patience."""
    token = _patience.set(patience)
    try:
        yield
    finally:
        _patience.reset(token)


class _Response(HTTPResponse):
    """Reads its socket through ``_Reader``: status, headers and content alike."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp: Any = io.BufferedReader(_Reader(self.fp.detach(), sock))


class _Reader(io.RawIOBase):
    def __init__(self, inner: Any, sock: socket.socket) -> None:
        self._inner, self._sock = inner, sock

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._inner.fileno())

    def readinto(self, buffer: Any) -> int | None:
        patience = _patience.get()
        if patience is None:
            return self._take(buffer)
        with _bounded(self._sock, patience) as moved:
            count = self._take(buffer)
            moved.append(count or 0)
        return count

    def close(self) -> None:
        self._inner.close()
        super().close()

    def _take(self, buffer: Any) -> int | None:
        count: int | None = self._inner.readinto(buffer)
        return count


@cache
def timed_pools(*bases: type[HTTPConnectionPool]) -> dict[str, type[HTTPConnectionPool]]:
    """Pools by scheme whose connections know patience; made of ``bases`` (http, https), or urllib3's own."""
    pools: dict[str, type[HTTPConnectionPool]] = {}
    for scheme, base in zip(("http", "https"), bases or (HTTPConnectionPool, HTTPSConnectionPool), strict=True):
        made = type("TimedConnection", (Timed, base.ConnectionCls), {})
        pools[scheme] = type("TimedPool", (base,), {"ConnectionCls": made})
    return pools


class Timed(HTTPConnection):
    """Mixed into a connection. When patience ends it raises ``TimeoutError``, as a socket does."""

    response_class: Any = _Response

    def connect(self) -> None:
        """Bounded by its own timeout; not even begun without patience."""
        patience = _patience.get()
        if patience is not None and patience.left() <= 0:
            raise ConnectTimeoutError(self, "there is no patience left to connect with")
        super().connect()

    def send(self, data: Any) -> None:
        """Block by block: over TLS, each of them would have a whole timeout."""
        patience = _patience.get()
        if patience is None or not isinstance(data, (bytes, bytearray, memoryview)):
            super().send(data)
            return
        if self.sock is None:
            self.connect()
        whole = memoryview(data).cast("B")
        for start in range(0, len(whole), BLOCK):
            block = whole[start : start + BLOCK]
            with _bounded(self.sock, patience) as moved:
                super().send(block)
                moved.append(len(block))


def _require(patience: Patience) -> float:
    left = patience.left()
    if left <= 0:
        raise TimeoutError("the other side takes too long in all")
    return left


@contextmanager
def _bounded(sock: socket.socket, patience: Patience) -> Iterator[list[int]]:
    """One wait for the other side, no longer than there is patience; the block tells how many bytes it moved."""
    usual, left = sock.gettimeout(), _require(patience)
    sock.settimeout(left if usual is None else min(usual, left))
    began, moved = time.monotonic(), list[int]()
    try:
        yield moved
    finally:
        patience.waited(time.monotonic() - began, sum(moved))
        sock.settimeout(usual)
