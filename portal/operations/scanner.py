"""How the scanner is, what it found day by day, and what operators do about it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import func, select

from portal import audit
from portal.assets import daily_counts, full_scans
from portal.assets.models import Asset, AssetState, Rescan, ScanResult
from portal.database import db, now, transaction
from portal.errors import Conflict, Unavailable
from portal.inspection import scanner_status
from portal.inspection.scanner import Scanner
from portal.inspection.scanner_status import SavedReport
from portal.operations import dashboard
from portal.settings import Settings

log = logging.getLogger(__name__)
DAYS = 30
VERDICTS = ("clean", "infected", "not_scanned")


@dataclass(frozen=True)
class Day:
    """What the scanner said on one day (UTC): verdict → files."""

    day: date
    numbers: dict[str, int]

    @property
    def total(self) -> int:
        """All files of the day."""
        return sum(self.numbers.values())


@dataclass(frozen=True)
class Standing:
    """The scanner for one page. ``waiting``: files that wait to be scanned; ``per_minute``: over the last hour."""

    proof: SavedReport | None
    days: list[Day]
    unscanned: int
    waiting: int = 0
    per_minute: float = 0.0
    may_update: bool = False
    rescans: list[Rescan] = field(default_factory=list)

    @property
    def running(self) -> Rescan | None:
        """The scan of everything that goes on."""
        return next((each for each in self.rescans if each.finished_at is None), None)

    @property
    def age_days(self) -> int | None:
        """How old the signatures are."""
        made_at = self.proof.signatures_at if self.proof else None
        return (now() - made_at).days if made_at else None


def of_tenant(tenant_id: UUID) -> Standing:
    """What an admin sees of it, with the verdicts on the tenant's own files."""
    rows = ((row.day, row.label, row.number) for row in daily_counts.of_tenant(tenant_id, "scan", DAYS))
    here = Asset.tenant_id == tenant_id, Asset.state == AssetState.AVAILABLE
    unscanned = select(func.count()).where(*here, Asset.scan_result == ScanResult.NOT_SCANNED)
    return Standing(scanner_status.last(), _by_day(rows), db.session.scalar(unscanned) or 0)


def of_all() -> Standing:
    """What an operator sees."""
    rows = ((row.day, row.label, row.number) for row in daily_counts.of_all(DAYS) if row.kind == "scan")
    work = [part for part in dashboard.backlog() if part.kind == "take_in"]
    settings: Settings = current_app.extensions["portal.settings"]
    return Standing(
        scanner_status.last(),
        _by_day(rows),
        sum(number for (what, _label), number in dashboard.counts().items() if what == "unscanned"),
        waiting=sum(line.due + line.later for line in work),
        per_minute=_last_hour() / 60,
        may_update=settings.signatures_ask is not None,
        rescans=full_scans.history(),
    )


def prove(actor_id: UUID) -> SavedReport:
    """Let the scanner find EICAR now, and keep what it proved to be."""
    proof = scanner_status.save(_scanner().check())
    with transaction(None):
        audit.record_act(actor_id, "scanner.proved", None, name=proof.state)
    return proof


def reload(actor_id: UUID) -> SavedReport:
    """Let the daemon read its signatures again. Raises ``Conflict`` without one that could."""
    try:
        proof = scanner_status.save(_scanner().reload())
    except Unavailable as problem:
        raise Conflict(problem.detail) from None
    with transaction(None):
        audit.record_act(actor_id, "scanner.reloaded", None)
    return proof


def update(actor_id: UUID) -> None:
    """Ask the freshclam of ``portal up`` to look for new signatures now. Raises ``Conflict`` where none is ours."""
    settings: Settings = current_app.extensions["portal.settings"]
    if settings.signatures_ask is None:
        raise Conflict(_("Signatures can't be updated from here: run freshclam where the scanner runs."))
    try:
        settings.signatures_ask.touch()
    except OSError as error:
        log.warning("the request for new signatures could not be left: %s", error.strerror)
        raise Conflict(
            _("The request for new signatures could not be written: the folder of `portal up` can't be written to.")
        ) from None
    with transaction(None):
        audit.record_act(actor_id, "scanner.update_asked", None)


def _scanner() -> Scanner:
    return Scanner.at(current_app.extensions["portal.settings"])


def _by_day(rows: Iterable[tuple[date, str, int]]) -> list[Day]:
    """The last ``DAYS`` days without a gap, the oldest first."""
    today = now().date()
    found = {today - timedelta(days=back): dict.fromkeys(VERDICTS, 0) for back in reversed(range(DAYS))}
    for day, label, number in rows:
        if day in found and label in VERDICTS:
            found[day][label] += number
    return [Day(day, numbers) for day, numbers in found.items()]


def _last_hour() -> int:
    """Files that were taken in within the hour and have their verdict: ids begin with the time they were made at."""
    since = int((now() - timedelta(hours=1)).timestamp() * 1000)
    count: Any = db.session.scalar(select(func.scanned_since(UUID(int=since << 80))))
    return int(count or 0)
