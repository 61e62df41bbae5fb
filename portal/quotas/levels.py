"""The usage status of a workspace or a tenant, from its counters. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "medium", "high", "critical", "exceeded"]
LEVELS: tuple[tuple[int, Level], ...] = ((100, "exceeded"), (95, "critical"), (90, "high"), (80, "medium"))  # percent


@dataclass(frozen=True)
class UsageStatus:
    """How a workspace, or a tenant, stands; sizes in bytes, ``limit_bytes`` None: no limit of its own.

    ``remaining_bytes`` (None: unlimited), ``percent`` and ``level`` are those of the level with less room, named by
    ``scope``: they say whether an upload will be taken. ``percent`` counts what is reserved as used, as the limit does,
    in steps of 0.1, rounded down; it passes 100 when a limit was set below the use. ``exceeded``: 100 or more.
    """

    limit_bytes: int | None
    used_bytes: int
    reserved_bytes: int
    remaining_bytes: int | None
    percent: float
    level: Level
    scope: Literal["workspace", "tenant"]


@dataclass(frozen=True)
class Counter:
    """The counters of one level."""

    scope: Literal["workspace", "tenant"]
    limit_bytes: int | None
    used_bytes: int
    reserved_bytes: int

    @property
    def held_bytes(self) -> int:
        """What counts against the limit."""
        return self.used_bytes + self.reserved_bytes

    @property
    def remaining_bytes(self) -> int | None:
        """None: unlimited."""
        return None if self.limit_bytes is None else max(0, self.limit_bytes - self.held_bytes)

    @property
    def permille(self) -> int:
        """Used and reserved, of the limit, rounded down."""
        if self.limit_bytes is None:
            return 0
        return self.held_bytes * 1000 // self.limit_bytes if self.limit_bytes else 1000

    @property
    def level(self) -> Level:
        """The highest level that was reached."""
        return next((level for percent, level in LEVELS if self.permille >= percent * 10), "ok")

    def shortage(self, size: int) -> int:
        """How many bytes are missing for ``size`` more; 0 or less: they fit."""
        return 0 if self.limit_bytes is None else self.held_bytes + size - self.limit_bytes

    def status(self, tighter: Counter | None = None) -> UsageStatus:
        """These counters; the ``tighter`` ones decide what remains."""
        tighter = tighter or self
        return UsageStatus(
            limit_bytes=self.limit_bytes,
            used_bytes=self.used_bytes,
            reserved_bytes=self.reserved_bytes,
            remaining_bytes=tighter.remaining_bytes,
            percent=tighter.permille / 10,
            level=tighter.level,
            scope=tighter.scope,
        )


def tightness(counter: Counter) -> tuple[float, int]:
    """The larger, the less room there is."""
    left = counter.remaining_bytes
    return (float("-inf") if left is None else -left, counter.permille)
