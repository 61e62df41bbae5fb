"""Which request is answered next: different clients take turns, and none has all threads of a process.

A first come, first served queue belongs to whoever sends most: forty connections of one client make everybody else wait
for forty requests. Here a client is an address (of IPv6 the /64; behind trusted proxies what they say it is), and
those of one address who carry different credentials take turns among themselves. Nobody proves anything here, so
invented credentials take turns from the same address only.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

from waitress.task import ThreadedTaskDispatcher

from portal.web.rate_limits import network_of

Client = tuple[str, str]
"""Address and credentials."""


class Turn:
    """A request that has its turn: what waitress's threads run."""

    def __init__(self, queue: RequestQueue, client: Client, channel: Any) -> None:
        self._queue, self._client, self._channel = queue, client, channel

    def service(self) -> None:
        """Answer it; then its client may have another one answered."""
        try:
            self._channel.service()
        finally:
            self._queue.finish(self._client)

    def cancel(self) -> None:
        """The server ends before it was answered."""
        self._channel.cancel()


class RequestQueue:
    """The requests that wait for a thread: what a ``deque`` is to waitress's dispatcher, under whose lock it is used.

    Of ``threads``, one address has at most three quarters at a time, and one set of credentials at most half: a request
    that waits for a customer's slow store keeps its thread for seconds.
    """

    def __init__(self, lock: threading.Lock, trusted_proxies: int) -> None:
        self._lock, self._proxies = lock, trusted_proxies
        self._most_of_address = self._most_of_client = 1
        self._waiting: dict[str, dict[str, deque[Any]]] = {}
        self._answering: Counter[Client] = Counter()
        self._answering_addresses: Counter[str] = Counter()

    def limit(self, threads: int | None) -> None:
        """How many threads there are. None: no limits any more, the server ends."""
        self._most_of_address = threads - threads // 4 if threads else 1 << 30
        self._most_of_client = max(1, threads // 2) if threads else 1 << 30

    def append(self, channel: Any) -> None:
        """A request was received: the first of this channel's."""
        address, credentials = client_of(channel, self._proxies)
        self._waiting.setdefault(address, {}).setdefault(credentials, deque()).append(channel)

    def popleft(self) -> Turn:
        """The next one. Raises ``IndexError`` when none may be answered now."""
        found = self._next()
        if found is None:
            raise IndexError("no request may be answered now")
        address, credentials = found
        of_address = self._waiting.pop(address)
        channels = of_address.pop(credentials)
        channel = channels.popleft()
        # Whoever had a turn goes to the end, twice: among the addresses, and among those of this address.
        if channels:
            of_address[credentials] = channels
        if of_address:
            self._waiting[address] = of_address
        self._answering[found] += 1
        self._answering_addresses[address] += 1
        return Turn(self, found, channel)

    def finish(self, client: Client) -> None:
        """A request of this client was answered. Takes the lock; nobody needs to be woken, as the thread that has
        answered it looks for its next request now.
        """
        with self._lock:
            self._answering.subtract([client])
            self._answering_addresses.subtract([client[0]])
            if not self._answering_addresses[client[0]]:
                del self._answering_addresses[client[0]]
            if not self._answering[client]:
                del self._answering[client]

    def __len__(self) -> int:
        return sum(len(channels) for of_address in self._waiting.values() for channels in of_address.values())

    def __bool__(self) -> bool:
        """Whether one may be answered now."""
        return self._next() is not None

    def _next(self) -> Client | None:
        for address, of_address in self._waiting.items():
            if self._answering_addresses[address] >= self._most_of_address:
                continue
            for credentials in of_address:
                if self._answering[address, credentials] < self._most_of_client:
                    return address, credentials
        return None


class FairDispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress has no types
    """waitress's threads, with turns between clients. ``trusted_proxies`` as in PORTAL_TRUSTED_PROXIES."""

    def __init__(self, threads: int, trusted_proxies: int) -> None:
        super().__init__()
        self.queue = RequestQueue(self.lock, trusted_proxies)
        self.queue.limit(threads)
        self.set_thread_count(threads)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End the threads after what they do, and cancel what waits."""
        with self.lock:
            self.queue.limit(None)
        return bool(super().shutdown(cancel_pending, timeout))


def client_of(channel: Any, trusted_proxies: int) -> Client:
    """Who sent the first request of a channel: the address, and the credentials as they were sent, unchecked."""
    request = next(iter(channel.requests), None)
    headers = request.headers if request is not None else {}
    address = channel.network
    if trusted_proxies:
        # As ProxyFix: each proxy appends what it saw, the last entries are those of the trusted ones.
        said = [each.strip() for each in headers.get("X_FORWARDED_FOR", "").split(",")]
        if len(said) >= trusted_proxies and said[-trusted_proxies]:
            address = network_of(said[-trusted_proxies])
    return address, headers.get("AUTHORIZATION") or headers.get("COOKIE") or ""
