"""How fast, and whether still: what every copying thread asks before it goes on."""

from __future__ import annotations

import threading
import time


class Stopped(Exception):
    """The move was paused, rolled back, or taken over by another worker."""


class RateLimit:
    """A limit in bytes per second for all threads together (None: none), and the sign to stop.

    A token bucket of one second: who takes more than there is waits until it would have been there.
    """

    def __init__(self, bytes_per_second: int | None, stop: threading.Event | None = None) -> None:
        self._limit = bytes_per_second
        self._lock = threading.Lock()
        self._free_at = time.monotonic()
        self._stop = stop or threading.Event()

    @property
    def stopped(self) -> bool:
        """Was the sign given?"""
        return self._stop.is_set()

    def stop(self) -> None:
        """Let every thread end at its next step."""
        self._stop.set()

    def take(self, size: int) -> None:
        """Wait until ``size`` bytes may pass. Raises ``Stopped``."""
        if self._limit and size:
            with self._lock:
                begins = max(self._free_at, time.monotonic() - 1)
                self._free_at = begins + size / self._limit
                wait = begins - time.monotonic()
            if wait > 0:
                self._stop.wait(wait)
        if self.stopped:
            raise Stopped
