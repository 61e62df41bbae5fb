"""A proxy before a real store that misbehaves when told to: it holds a request, refuses it, or breaks the line.

    with Unruly("http://127.0.0.1:8333") as store:
        with store.hold(copies) as held:           # the next copy stops here …
            held.wait()                            # … and has arrived
            ...                                    # it goes on when the block ends, or at held.release()
        with store.failing(503, reads):            # every read is refused until the block ends
            ...

Everything else passes unchanged, form uploads too.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Literal

from tests.support.stores.no_post_proxy import Proxy

Wanted = Callable[[str, str, Message], bool]
Breakdown = Literal["reset", "truncated"] | int
FINAL_WITHIN = 120  # seconds a held request waits at most
ERROR = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code><Message>Told to fail.</Message></Error>'
CODES = {403: b"AccessDenied", 500: b"InternalError", 503: b"SlowDown", 507: b"XMinioStorageFull"}


def anything(_method: str, _path: str, _headers: Message) -> bool:
    """Every request."""
    return True


def copies(method: str, _path: str, headers: Message) -> bool:
    """A copy inside the store."""
    return method == "PUT" and "x-amz-copy-source" in headers


def reads(method: str, path: str, _headers: Message) -> bool:
    """The content of an asset."""
    return method == "GET" and "/assets/" in path


def looks(method: str, path: str, _headers: Message) -> bool:
    """A question about what was uploaded."""
    return method == "HEAD" and "/uploads/" in path


def derived(method: str, path: str, _headers: Message) -> bool:
    """A preview that is stored."""
    return method == "PUT" and "/derived/" in path


def deletions(method: str, path: str, _headers: Message) -> bool:
    """Anything removed, one by one or in a batch."""
    return method == "DELETE" or (method == "POST" and path.endswith("?delete"))


@dataclass
class Held:
    """One request that waits. ``instead`` is done in its place; the client is told that it went well."""

    wanted: Wanted
    instead: Callable[[], bytes] | None = None
    arrived: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    _go: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float = 60) -> None:
        """Until a request has arrived here."""
        assert self.arrived.wait(seconds), "no such request came"

    def release(self) -> None:
        """Let it go on, and wait until it is answered."""
        self._go.set()
        if self.arrived.is_set():
            assert self.done.wait(FINAL_WITHIN)

    def stop_here(self) -> None:
        """Called by the request's own thread."""
        self.arrived.set()
        self._go.wait(FINAL_WITHIN)


class Unruly(Proxy):
    """A running proxy; ``requests`` are those it saw, as (method, path)."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.requests: list[tuple[str, str]] = []
        self._holds: list[Held] = []
        self._breakdowns: list[tuple[Wanted, Breakdown]] = []
        self._lock = threading.Lock()
        handler: Any = self._server.RequestHandlerClass
        self._server.RequestHandlerClass = type("UnrulyHandler", (_Meddling, handler), {"proxy": self})

    @contextmanager
    def hold(self, wanted: Wanted, *, instead: Callable[[], bytes] | None = None) -> Iterator[Held]:
        """The next such request, and only that, waits until it is released or the block ends."""
        held = Held(wanted, instead)
        with self._lock:
            self._holds.append(held)
        try:
            yield held
        finally:
            with self._lock:
                if held in self._holds:
                    self._holds.remove(held)
            held.release()

    @contextmanager
    def failing(self, how: Breakdown, wanted: Wanted = anything) -> Iterator[None]:
        """Every such request gets this status, or a broken line, until the block ends."""
        entry = (wanted, how)
        self._breakdowns.append(entry)
        try:
            yield
        finally:
            self._breakdowns.remove(entry)

    def plan_for(self, method: str, path: str, headers: Message) -> Held | Breakdown | None:
        """What becomes of one request."""
        with self._lock:
            self.requests.append((method, path))
            for held in self._holds:
                if held.wanted(method, path, headers):
                    self._holds.remove(held)
                    return held
        return next((how for wanted, how in self._breakdowns if wanted(method, path, headers)), None)


class _Meddling:
    proxy: Unruly
    cut_at: int | None

    def _refused(self) -> bool:
        return False

    def _pass(self: Any) -> None:
        plan = self.proxy.plan_for(self.command, self.path, self.headers)
        if isinstance(plan, Held):
            plan.stop_here()
            try:
                self._done_instead(plan.instead) if plan.instead else super()._pass()  # type: ignore[misc]
            finally:
                plan.done.set()
        elif plan == "reset":
            self._reset()
        elif plan == "truncated":
            self.cut_at = 100
            super()._pass()  # type: ignore[misc]
            self.close_connection = True
        elif plan is not None:
            self._swallow()
            self._answer(plan, b"" if self.command == "HEAD" else ERROR % CODES[plan])
        else:
            self.cut_at = None
            super()._pass()  # type: ignore[misc]

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = _pass  # noqa: N815 (names of http.server)

    def _done_instead(self: Any, instead: Callable[[], bytes]) -> None:
        self._swallow()
        self._answer(200, instead())

    def _swallow(self: Any) -> None:
        for _ in self._body():
            pass

    def _reset(self: Any) -> None:
        """Hang up without a word, so that the other side sees "connection reset"."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
