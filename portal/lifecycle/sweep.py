"""One pass over everything that is due. The clock runs it every few seconds, ``portal sweep`` by hand."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from flask import current_app
from sqlalchemy import ColumnClause, column, func, select

from portal import database, queue
from portal.assets import full_scans, leases
from portal.database import db, transaction
from portal.errors import Unavailable
from portal.inspection import scanner_status
from portal.inspection.scanner import Scanner
from portal.mail import service as mail
from portal.migration import service as moves
from portal.quotas import warnings
from portal.storage import probe_runs
from portal.storage import service as storage
from portal.uploads import session as uploads
from portal.uploads import staging
from portal.webhooks import delivery, dispatch

log = logging.getLogger(__name__)

BATCH = 200
RING_AGAIN = timedelta(seconds=30)
KEEP_LINKS = timedelta(days=90)


# Functions of the database, each of which names rows that are due; and what keeps a row that is no asset's from being
# rung for twice.
SOURCES = ("due_work", "due_letters", "due_probes", "due_quota_warnings", "due_moves", "due_webhooks")
POSTPONE: dict[str, Callable[[UUID, UUID], None]] = {
    "clear_staging": staging.postpone,
    "send_letter": lambda _, letter_id: mail.postpone(letter_id),
    "probe": probe_runs.postpone,
    "move": moves.postpone,
    "deliver": delivery.postpone,
}


class Due(NamedTuple):
    """One row that wants something."""

    job: str
    tenant_id: UUID
    workspace_id: UUID
    id: UUID


def run() -> Counter[str]:
    """One pass; how many of each job were done or rung. A part that is away ends its kind of work for this pass.

    A row that can't be done for a reason of its own is logged and keeps nobody else waiting.
    """
    storage.refresh_managed_store(current_app.extensions["portal.settings"])
    done: Counter[str] = Counter()
    away: set[str] = set()
    for due in (*_due_rescans(), *(row for source in SOURCES for row in _due(source))):
        if due.job in away:
            continue
        try:
            _do(due)
            done[due.job] += 1
        except Unavailable as problem:
            log.warning("%s has to wait: %s", due.job, problem.detail)
            away.add(due.job)
        except Exception as error:
            if database.is_unavailable(error):
                raise  # nothing else can be done, either
            log.exception("%s of %s failed", due.job, due.id)
    done["forget_links"] = _forget_links()
    return Counter({job: count for job, count in done.items() if count})


def _do(due: Due) -> None:
    """At once what only needs the database; for the rest a worker is rung, and not again for a while.

    No store is asked here: one that takes its time would stop the clock for everybody.
    """
    if due.job == "expire":
        uploads.expire(due.tenant_id, due.workspace_id, due.id)
    elif due.job == "tell":
        dispatch.tell()
    elif due.job == "warn":
        warnings.warn(due.tenant_id, None if due.id == due.tenant_id else due.id)
    else:
        POSTPONE.get(due.job, _postpone_asset)(due.tenant_id, due.id)
        if not queue.ring(due.job, due.tenant_id, due.workspace_id, due.id):
            raise Unavailable("The queue is away.")


def _postpone_asset(tenant_id: UUID, asset_id: UUID) -> None:
    leases.postpone(tenant_id, asset_id, RING_AGAIN)


def _due_rescans() -> list[Due]:
    """What was taken in unscanned is due as soon as a scanner is there."""
    report = Scanner.at(current_app.extensions["portal.settings"]).report()
    scanner_status.save_new(report)
    ready = report.state == "ready"
    # What the quarantine desk has ordered; a scan that waits for other signatures is due once there are some.
    desk = _due("due_desk_work", report.database if ready else None)
    if ready:
        full_scans.go_on()
    return desk + (_due("due_rescans") if ready else [])


def _due(function: str, *more: Any) -> list[Due]:
    with transaction():
        columns: list[ColumnClause[Any]] = [column(name) for name in Due._fields]
        source = getattr(func, function)(BATCH, *more).table_valued(*columns)
        return [Due(*row) for row in db.session.execute(select(source))]


def _forget_links() -> int:
    with transaction():
        before = database.now() - KEEP_LINKS
        return int(db.session.scalar(select(func.forget_issued_links(before, BATCH))) or 0)
