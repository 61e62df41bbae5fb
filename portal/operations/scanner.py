"""The virus scanner: its state, its results day by day, and commands of operators."""

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

from portal import audit, tasks
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
    """The results of one day (UTC): verdict → files."""

    day: date
    numbers: dict[str, int]

    @property
    def total(self) -> int:
        """All files that were scanned on the day."""
        return sum(self.numbers.values())


@dataclass(frozen=True)
class ScannerOverview:
    """The scanner for one page. ``waiting``: files that wait to be scanned; ``per_minute``: over the last hour."""

    report: SavedReport | None
    days: list[Day]
    unscanned: int
    waiting: int = 0
    per_minute: float = 0.0
    can_update: bool = False
    rescans: list[Rescan] = field(default_factory=list)

    @property
    def running(self) -> Rescan | None:
        """The scan of all files that is going on."""
        return next((each for each in self.rescans if each.finished_at is None), None)


def of_tenant(tenant_id: UUID) -> ScannerOverview:
    """For an admin of a tenant: with the results of the tenant's own files."""
    rows = ((row.day, row.label, row.number) for row in daily_counts.of_tenant(tenant_id, "scan", DAYS))
    here = Asset.tenant_id == tenant_id, Asset.state == AssetState.AVAILABLE
    unscanned = select(func.count()).where(*here, Asset.scan_result == ScanResult.NOT_SCANNED)
    return ScannerOverview(scanner_status.last(), _by_day(rows), db.session.scalar(unscanned) or 0)


def of_all() -> ScannerOverview:
    """For an operator: with the results and the queue of the whole installation."""
    rows = ((row.day, row.label, row.number) for row in daily_counts.of_all(DAYS) if row.kind == "scan")
    work = [part for part in tasks.backlog() if part.kind == "take_in"]
    settings: Settings = current_app.extensions["portal.settings"]
    return ScannerOverview(
        scanner_status.last(),
        _by_day(rows),
        sum(number for (what, _label), number in dashboard.counts().items() if what == "unscanned"),
        waiting=sum(part.due + part.later for part in work),
        per_minute=_last_hour() / 60,
        can_update=settings.signatures_ask is not None,
        rescans=full_scans.history(),
    )


def test(actor_id: UUID) -> SavedReport:
    """Check the scanner now, with the EICAR test file, and save the report."""
    report = scanner_status.save(_scanner().check())
    with transaction(None):
        audit.record_act(actor_id, "scanner.proved", None, name=report.state)
    return report


def reload(actor_id: UUID) -> SavedReport:
    """Make the daemon read its signatures again, and check it. Raises ``Conflict`` when it can't be reached."""
    try:
        report = scanner_status.save(_scanner().reload())
    except Unavailable as problem:
        raise Conflict(problem.detail) from None
    with transaction(None):
        audit.record_act(actor_id, "scanner.reloaded", None)
    return report


def update(actor_id: UUID) -> None:
    """Make the freshclam of ``portal up`` check for new signatures now. Raises ``Conflict`` where it is not ours."""
    settings: Settings = current_app.extensions["portal.settings"]
    if settings.signatures_ask is None:
        raise Conflict(_("Signatures can't be updated from here. Run freshclam where the scanner runs."))
    try:
        # freshclam is a child of the supervisor, another process: it looks for this file.
        settings.signatures_ask.touch()
    except OSError as error:
        log.warning("the request for new signatures could not be written: %s", error.strerror)
        raise Conflict(
            _("The request for new signatures could not be saved: the data folder can't be written to.")
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
    """Files that were uploaded within the hour and have a verdict."""
    # A UUIDv7 begins with milliseconds since 1970, so the smallest id of an hour ago is a range of the primary key.
    since = int((now() - timedelta(hours=1)).timestamp() * 1000)
    count: Any = db.session.scalar(select(func.scanned_since(UUID(int=since << 80))))
    return int(count or 0)
