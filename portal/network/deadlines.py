"""Time limits on waiting for another server.

The timeouts of a socket bound one silence; a server that sends a byte a minute never exceeds them and would occupy a
thread for ever. So a ``TimedConnection`` also reads from the ``TimeLimit`` of the current context, before each wait,
how many seconds are left: a ``Deadline`` for a request, a ``MinimumThroughput`` for the content of a file. Where none
is set, only the socket's timeouts apply.
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

MIN_BYTES_PER_SECOND = 10 * 1024  # a file that comes more slowly is given up: 5 GB would take six days
WINDOW_SECONDS = 60.0  # of waiting, over which the throughput is averaged
SEND_BLOCK = 64 * 1024  # bytes sent between two checks of the limit


class TimeLimit(Protocol):
    """How long the other side may still be waited for."""

    def seconds_left(self) -> float:
        """Seconds; zero or less when the limit is reached."""

    def record(self, seconds: float, byte_count: int) -> None:
        """Note one wait: how long it took and how many bytes it moved."""


class Deadline:
    """A fixed number of seconds from now on, whatever happens meanwhile."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return self._ends - time.monotonic()

    def record(self, seconds: float, byte_count: int) -> None:
        """Progress does not move a deadline."""


class MinimumThroughput:
    """Every ``WINDOW_SECONDS`` of waiting must move ``MIN_BYTES_PER_SECOND`` on average.

    Only time spent waiting for the other side counts: what we do with the bytes in between costs nothing.
    """

    def __init__(self) -> None:
        self._waited, self._moved = 0.0, 0

    def seconds_left(self) -> float:
        """Seconds of waiting until the end of the window."""
        return WINDOW_SECONDS - self._waited

    def record(self, seconds: float, byte_count: int) -> None:
        """Count them; a window that ended with enough bytes is followed by another."""
        self._waited, self._moved = self._waited + seconds, self._moved + byte_count
        if self._waited >= WINDOW_SECONDS and self._moved >= MIN_BYTES_PER_SECOND * WINDOW_SECONDS:
            self._waited, self._moved = 0.0, 0


_limit: ContextVar[TimeLimit | None] = ContextVar("time_limit", default=None)


@contextmanager
def time_limit(limit: TimeLimit) -> Iterator[None]:
    """Apply ``limit`` to every request that this thread makes inside the block; they share it."""
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


@cache
def timed_pools() -> dict[str, type[HTTPConnectionPool]]:
    """Pools by scheme of ``TimedConnection``, for the ``pool_classes_by_scheme`` of a urllib3 ``PoolManager``."""
    pools: dict[str, type[HTTPConnectionPool]] = {}
    for base in (HTTPConnectionPool, HTTPSConnectionPool):
        connection = type("TimedConnection", (TimedConnection, base.ConnectionCls), {})
        pools[base.scheme or ""] = type("TimedPool", (base,), {"ConnectionCls": connection})
    return pools


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
        count: int | None
        limit = _limit.get()
        if limit is None:
            count = self._inner.readinto(buffer)
            return count
        with _one_wait(self._sock, limit) as moved:
            count = self._inner.readinto(buffer)
            moved.append(count or 0)
        return count

    def close(self) -> None:
        self._inner.close()
        super().close()


class TimedConnection(HTTPConnection):
    """Mixed into a urllib3 connection. At the end of the limit it raises ``TimeoutError``, as a socket does."""

    response_class: Any = _Response

    def connect(self) -> None:
        """Bounded by its own timeout; not even begun when no time is left (a retry after the deadline)."""
        limit = _limit.get()
        if limit is not None and limit.seconds_left() <= 0:
            raise ConnectTimeoutError(self, "no time is left to connect")
        super().connect()

    def send(self, data: Any) -> None:
        """Send block by block, so that the limit is checked between them: ``sendall`` over TLS restarts its timeout."""
        limit = _limit.get()
        if limit is None or not isinstance(data, (bytes, bytearray, memoryview)):
            super().send(data)
            return
        if self.sock is None:
            self.connect()
        whole = memoryview(data).cast("B")
        for start in range(0, len(whole), SEND_BLOCK):
            block = whole[start : start + SEND_BLOCK]
            with _one_wait(self.sock, limit) as moved:
                super().send(block)
                moved.append(len(block))


@contextmanager
def _one_wait(sock: socket.socket, limit: TimeLimit) -> Iterator[list[int]]:
    """One wait for the other side, no longer than the limit allows; the block appends how many bytes it moved."""
    left = limit.seconds_left()
    if left <= 0:
        raise TimeoutError("the other side takes too long in all")
    usual = sock.gettimeout()
    sock.settimeout(left if usual is None else min(usual, left))
    began, moved = time.monotonic(), list[int]()
    try:
        yield moved
    finally:
        limit.record(time.monotonic() - began, sum(moved))
        sock.settimeout(usual)
