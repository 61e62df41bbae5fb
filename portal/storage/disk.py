"""Free space where the embedded store keeps its files. Stores elsewhere are monitored by their operators.

``portal up`` gives its processes the folder (``PORTAL_STORE_FOLDER``). Read from the kernel, at most every few seconds.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from flask import current_app

from portal.errors import Unavailable
from portal.settings import Settings
from portal.texts import Text

MIN_FREE_SHARE = 0.05  # of the disk: below it no upload begins, so that the database and what is under way can go on
CACHE_SECONDS = 5.0  # statvfs may block for long on a network drive, and every begin asks


@dataclass(frozen=True)
class Disk:
    """Bytes of the volume; ``free`` is what an ordinary user may still write."""

    free: int
    total: int

    @property
    def share(self) -> float:
        """0 to 1: how much of it is free."""
        return self.free / self.total if self.total else 1.0

    @property
    def is_full(self) -> bool:
        """Too little is left for new uploads."""
        return self.share < MIN_FREE_SHARE


_cached: dict[Path, tuple[float, Disk | None]] = {}


def embedded_disk(settings: Settings) -> Disk | None:
    """The embedded store's disk, as it was a few seconds ago at most; None for a store that runs elsewhere."""
    folder = settings.store_folder
    if folder is None:
        return None
    measured_at, disk = _cached.get(folder, (float("-inf"), None))
    if time.monotonic() - measured_at > CACHE_SECONDS:
        disk = _measure(folder)
        _cached[folder] = (time.monotonic(), disk)
    return disk


def require_room() -> None:
    """Raises ``Unavailable`` when the embedded store's disk is nearly full."""
    disk = embedded_disk(current_app.extensions["portal.settings"])
    if disk is not None and disk.is_full:
        raise Unavailable(
            Text("The server's disk is nearly full: no new files are accepted. Ask your administrator to free space."),
            code="storage_unavailable",
            retry_after=60,
        )


def _measure(folder: Path) -> Disk | None:
    try:
        facts = os.statvfs(folder)
    except OSError:
        return None  # not made yet, or not ours to look at
    # f_bavail, not f_bfree: ext4 reserves blocks for root, which a store without its rights can't use.
    return Disk(facts.f_bavail * facts.f_frsize, facts.f_blocks * facts.f_frsize)
