"""A limit on concurrent requests to one store, with a cool-down after slow failures.

A web process has a few threads, and committing an upload sends a request to the store. A customer's store that answers
just before the timeout would occupy all of them: everybody else would wait, too. So at most ``MAX_CONCURRENT`` requests
of one process go to one store at a time, and after a failure that took ``SLOW_SECONDS`` none does for
``COOL_DOWN_SECONDS``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from portal.errors import Unavailable
from portal.objectstore.errors import BUSY, StoreUnavailable

MAX_CONCURRENT = 3
MAX_WAIT_SECONDS = 2.0  # for a free slot
SLOW_SECONDS = 10.0
COOL_DOWN_SECONDS = 20.0


class ConcurrencyLimit:
    """The limit of one store in one process. Shared by its threads."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(MAX_CONCURRENT)
        self._cool_until = 0.0  # of the monotonic clock

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Around one request. Raises ``Unavailable`` during the cool-down, and when no slot becomes free in time."""
        if time.monotonic() < self._cool_until or not self._slots.acquire(timeout=MAX_WAIT_SECONDS):
            raise StoreUnavailable(BUSY, retry_after=5)
        began = time.monotonic()
        try:
            yield
        except Unavailable:
            if time.monotonic() - began >= SLOW_SECONDS:
                self._cool_until = time.monotonic() + COOL_DOWN_SECONDS
            raise
        finally:
            self._slots.release()
