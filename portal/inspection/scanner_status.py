"""The scanner's last report, stored for pages and monitors: they never talk to the scanner themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from portal import tasks
from portal.database import db, now, transaction
from portal.inspection.models import ScannerStatus
from portal.inspection.scan_result import ScannerReport, signatures_of
from portal.texts import Text

STALE = timedelta(days=2)  # ClamAV publishes every day
SIGNATURES = "signatures"  # what tasks wait for that wait for other ones
WOKEN_AT_ONCE = 10_000
_ROW = "scanner"


@dataclass(frozen=True)
class SavedReport:
    """The last report: ``state`` as in ``ScannerReport``; ``version`` is the database's number, ``signatures_at`` its
    date."""

    state: str
    detail: Text
    engine: str | None
    database: str | None
    version: int | None
    signatures_at: datetime | None
    proved_at: datetime
    rescanned_version: int | None = None

    @property
    def is_stale(self) -> bool:
        """The signatures are older than two days."""
        return self.signatures_at is not None and now() - self.signatures_at > STALE


def save_new(report: ScannerReport) -> None:
    """Save it unless this process has done so: a report is used for a minute."""
    if current_app.extensions.get("portal.scanner_report") is not report:
        save(report)
        current_app.extensions["portal.scanner_report"] = report


def save(report: ScannerReport) -> SavedReport:
    """Save what a check has just shown, in a transaction of its own."""
    version, made_at = signatures_of(report.database)
    values = {
        "state": report.state,
        "detail": report.detail,
        "engine": report.engine,
        "database": report.database,
        "version": version,
        "signatures_at": made_at,
        "proved_at": now(),
    }
    statement = insert(ScannerStatus).values(name=_ROW, **values)
    with transaction():
        before = db.session.scalar(select(ScannerStatus.database))
        db.session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
        if report.database is not None and report.database != before:
            tasks.wake(SIGNATURES, most=WOKEN_AT_ONCE)
    return SavedReport(**values)  # type: ignore[arg-type]


def last() -> SavedReport | None:
    """The last one that was saved, or None before the first."""
    row = db.session.get(ScannerStatus, _ROW, populate_existing=True)
    if row is None:
        return None
    when = row.signatures_at, row.proved_at, row.rescanned_version
    return SavedReport(row.state, row.detail, row.engine, row.database, row.version, *when)
