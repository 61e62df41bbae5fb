"""The bytes of one object on their way here."""

from __future__ import annotations

from typing import Any

from portal.network.deadlines import Pace
from portal.objectstore.client import our_words

SKIPPED_AT_ONCE = 1024**2  # bytes


class ObjectStream:
    """The bytes of one object, once. A connection that breaks or ends early is ``Unavailable``."""

    def __init__(self, body: Any, size: int, pace: Pace) -> None:
        self._body, self.size, self._pace = body, size, pace

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes (all that is left, when negative); empty at the end."""
        with our_words("GetObject", self._pace):
            return bytes(self._body.read(None if size < 0 else size))

    def skip(self, count: int) -> None:
        """Read on without keeping ``count`` bytes; fewer when it ends before that."""
        self.size -= count
        while count > 0 and (piece := self.read(min(count, SKIPPED_AT_ONCE))):
            count -= len(piece)
