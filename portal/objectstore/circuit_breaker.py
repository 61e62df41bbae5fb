"""How much of a process may wait for one customer's store: its people are waited for, everybody else's must not be.

A web process has a few threads. A store that answers as late as it may would hold all of them, were it asked often
enough, and committing an upload asks. So only some may ask one store at once, and after an answer that was as slow as
it was useless nobody does for a while.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from portal.errors import Unavailable
from portal.objectstore.errors import busy

AT_ONCE = 3
TURN = 2.0  # seconds that one waits for a turn
SLOW = 10.0  # seconds: who failed after so long is left alone
REST = 20.0  # seconds


class Restraint:
    """That of one store in one process."""

    def __init__(self) -> None:
        self._turns, self._until = threading.BoundedSemaphore(AT_ONCE), 0.0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """While somebody asks. Raises ``Unavailable`` while the store is left alone, or where no turn is free."""
        if time.monotonic() < self._until or not self._turns.acquire(timeout=TURN):
            raise busy()
        began = time.monotonic()
        try:
            yield
        except Unavailable:
            if time.monotonic() - began >= SLOW:
                self._until = time.monotonic() + REST
            raise
        finally:
            self._turns.release()
