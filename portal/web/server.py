"""The web server: gunicorn keeps the processes, waitress in each of them reads whole requests before a thread is taken.

gunicorn's own workers read the head and the body of a request on a thread, from a blocking socket and without a limit
in time: as many slow clients as there are threads stop the server (docs/adr/0018-slow-clients.md). waitress reads them
all in one loop. This module adds what it lacks: a deadline for the whole request, and space for new connections
when there are too many; ``portal.web.request_turns`` adds turns between clients.

    gunicorn --worker-class portal.web.server.BufferedWorker --threads 8 portal.wsgi:app
"""

from __future__ import annotations

import logging
import os
import resource
import time
from collections.abc import Iterable
from typing import Any

from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer

from portal.web.rate_limits import network_of
from portal.web.request_turns import FairDispatcher

RECEIVE_SECONDS = 30  # from the connection, or a request's first byte, to its last: JSON and forms of at most 1 MiB
SEND_SECONDS = 300  # from a request's first byte until its whole answer was taken
LARGEST_HEAD = 32 << 10  # bytes of request line and headers
LARGEST_BODY = 2 << 20  # bytes; the application refuses with words of its own from 1 MiB on
BODY_IN_MEMORY = 64 << 10  # bytes of a body; the rest waits in a temporary file
CONNECTIONS_PER_NETWORK = 200  # of an IPv4 address or an IPv6 /64, in each process
ACCEPTED_AT_ONCE = 64
# A proxy that is not configured connects from one of these addresses, for everybody.
THIS_MACHINE = frozenset((network_of("127.0.0.1"), network_of("::1")))
OTHER_FILES = 200  # descriptors that are no connections of clients: database, queue, store, logs


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that knows since when it has been doing what it does."""

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002 - its name
        self.since = time.monotonic()
        self.answered = False
        self.network = network_of(addr[0])
        super().__init__(server, sock, addr, adj, map=map)

    def received(self, data: bytes) -> bool:
        """The deadline of a request is set by its first byte, and no further byte moves it."""
        if self.request is None and not self.requests:
            self.since = time.monotonic()
        return bool(super().received(data))

    def service(self) -> None:
        """Runs on a thread, once the request is complete."""
        super().service()
        self.answered = True
        self.since = time.monotonic()

    @property
    def is_at_work(self) -> bool:
        """A complete request waits for a thread, runs or is being answered."""
        return bool(self.requests or self.total_outbufs_len)

    def is_overdue(self, now: float, keep_alive: float) -> bool:
        """Whether the client was too slow; ``now``: monotonic seconds, ``keep_alive``: seconds between requests."""
        if self.total_outbufs_len:
            seconds: float = SEND_SECONDS
        elif self.requests:
            return False  # it waits for us
        elif self.request is not None or not self.answered:
            seconds = RECEIVE_SECONDS
        else:
            seconds = keep_alive
        return now - self.since > seconds


class Listener(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Accepts connections, ends those that are overdue, and closes some when there are too many."""

    channel_class = Channel

    def __init__(self, *arguments: Any, capacity: int, per_network: int, keep_alive: float, **options: Any) -> None:
        self.capacity, self.per_network, self.keep_alive = capacity, per_network, keep_alive
        super().__init__(*arguments, **options)

    def maintenance(self, _now: float) -> None:
        """Called by waitress every ``cleanup_interval`` seconds."""
        now = time.monotonic()
        for channel in list(self.active_channels.values()):
            if channel.is_overdue(now, self.keep_alive):
                channel.will_close = True

    def handle_accept(self) -> None:
        """Accept connections while there are any: each turn of the loop goes through all open ones."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted = self.accept()
            except OSError:  # the client is gone already, or the descriptors are used up
                return
            if accepted is None:
                return
            self._admit(*accepted)

    def _admit(self, connection: Any, address: Any) -> None:
        if not self._make_room(network_of(address[0])):
            connection.close()
            return
        self.set_socket_options(connection)
        self.channel_class(self, connection, address, self.adj, map=self._map)

    def _make_room(self, network: str) -> bool:
        """End the connection that has waited longest, of this network or of all, where one too many is open.

        Waiting is what attackers do: a request of anybody else's is complete within milliseconds. Connections at work
        are never ended for others. False: all of them are at work.
        """
        channels = list(self.active_channels.values())
        if self.per_network and network not in THIS_MACHINE:
            neighbours = [channel for channel in channels if channel.network == network]
            if len(neighbours) >= self.per_network:
                return _end_longest_waiting(neighbours)
        return len(channels) < self.capacity or _end_longest_waiting(channels)


class BufferedWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """One process of gunicorn's, with waitress in it. It takes gunicorn's ``threads``, ``keepalive``,
    ``worker_connections`` and ``graceful_timeout``.
    """

    def run(self) -> None:
        """Answer requests until gunicorn asks to stop, or is gone."""
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a line for each request that waits for a thread
        dispatcher = FairDispatcher(self.cfg.threads, _trusted_proxies(self.wsgi))
        self.channels: dict[int, Any] = {}
        self.listeners = [self._listen(wrapped.sock, dispatcher) for wrapped in self.sockets]
        while self.alive and self.ppid == os.getppid():
            self._turn(seconds=1.0)
        self._finish()
        dispatcher.shutdown(timeout=1)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: wake the loop, which may have nothing to do for a second."""
        super().handle_exit(sig, frame)
        for listener in getattr(self, "listeners", ()):
            listener.pull_trigger()

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self.channels, count=1)
        self.notify()

    def _listen(self, sock: Any, dispatcher: FairDispatcher) -> Listener:
        capacity = min(self.cfg.worker_connections, _raise_file_limit() - OTHER_FILES)
        adjustments = Adjustments(
            ident=None,  # no Server header
            threads=self.cfg.threads,
            cleanup_interval=1,
            connection_limit=2 * capacity + OTHER_FILES,  # there it would accept no more; ``handle_accept`` makes room
            max_request_header_size=LARGEST_HEAD,
            max_request_body_size=LARGEST_BODY,
            inbuf_overflow=BODY_IN_MEMORY,
            # Headers of proxies are judged by WSGIGuard and ProxyFix, by PORTAL_TRUSTED_PROXIES.
            clear_untrusted_proxy_headers=False,
        )
        return Listener(
            self.wsgi,
            self.channels,
            True,
            sock,
            dispatcher=dispatcher,
            adj=adjustments,
            bind_socket=False,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            capacity=capacity,
            per_network=0 if _trusted_proxies(self.wsgi) else CONNECTIONS_PER_NETWORK,
            keep_alive=self.cfg.keepalive,
        )

    def _finish(self) -> None:
        """Accept nothing new, and let those that have begun a request have their answer."""
        for listener in self.listeners:
            listener.del_channel()
            listener.socket.close()
        # gunicorn kills at graceful_timeout.
        deadline = time.monotonic() + max(self.cfg.graceful_timeout - 1, 0)
        while time.monotonic() < deadline:
            channels = [channel for listener in self.listeners for channel in listener.active_channels.values()]
            if not any(channel.is_at_work or channel.request is not None for channel in channels):
                return
            self._turn(seconds=0.1)


def _end_longest_waiting(channels: Iterable[Channel]) -> bool:
    waiting = [channel for channel in channels if not channel.is_at_work]
    if waiting:
        min(waiting, key=lambda channel: channel.since).handle_close()
    return bool(waiting)


def _trusted_proxies(application: Any) -> int:
    """How many there are: every connection then comes from one of them, and they limit those of their clients."""
    settings = getattr(application, "extensions", {}).get("portal.settings")
    return 0 if settings is None else int(settings.trusted_proxies)


def _raise_file_limit() -> int:
    """Descriptors that this process may open. The soft limit is often 1,024, for programs that use ``select``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return wanted if soft == resource.RLIM_INFINITY else soft
