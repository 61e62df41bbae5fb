"""One pass over everything that is due. The scheduler makes it every few seconds, ``portal sweep`` by hand."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import redis
from flask import current_app
from flask_babel import gettext
from sqlalchemy import ColumnClause, column, func, select

from portal import database, queue, tasks
from portal.assets import full_scans, rescans
from portal.database import db, transaction
from portal.errors import Unavailable
from portal.inspection import scanner_status
from portal.inspection.scanner import Scanner
from portal.mail import service as mail
from portal.migration import service as moves
from portal.quotas import warnings
from portal.storage import probe_runs
from portal.storage import service as storage
from portal.tasks import SCHEDULER
from portal.uploads import session as uploads
from portal.webhooks import delivery, dispatch

log = logging.getLogger(__name__)

BATCH = 200  # tasks that one pass does in the scheduler's own process
KEEP_LINKS = timedelta(days=90)

# What only needs the database is done here: it needs no worker, and no Valkey.
IN_PROCESS: dict[str, Callable[[UUID, UUID, UUID], None]] = {"expire": uploads.expire_due}

# Functions of the database, each of which names rows that are due; and what keeps such a row from being enqueued twice.
SOURCES = ("due_letters", "due_probes", "due_quota_warnings", "due_moves", "due_webhooks")
POSTPONE: dict[str, Callable[[UUID, UUID], None]] = {
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
    """One pass over everything; how many of each kind were done or enqueued."""
    storage.refresh_managed_store(current_app.extensions["portal.settings"])
    done = Counter({"forget_links": _forget_links()})
    _ask_scanner()
    done += _run_sources()
    done += run_due()
    return Counter({kind: count for kind, count in done.items() if count})


def run_due() -> Counter[str]:
    """Do what is due and only needs the database, and enqueue the rest; how many of each kind."""
    done = _run_in_process()
    try:
        done.update(entry.kind for entry in tasks.enqueue_due())
    except redis.RedisError as error:
        log.warning("nothing can be enqueued: %s", type(error).__name__)
    return done


def _run_in_process() -> Counter[str]:
    """A task that can't be done for a reason of its own is logged, and keeps no other one waiting."""
    done: Counter[str] = Counter()
    with transaction():
        due = tasks.due([SCHEDULER], BATCH)[:BATCH]
    for task in due:
        try:
            IN_PROCESS[task.kind](task.tenant_id, task.workspace_id, task.target_id)
            done[task.kind] += 1
        except Exception as error:
            if database.is_unavailable(error):
                raise  # nothing else can be done, either
            log.exception("%s of %s failed", task.kind, task.target_id)
    return done


def _ask_scanner() -> None:
    """What waits for a scanner is due once there is one; a scan of everything goes on."""
    report = Scanner.at(current_app.extensions["portal.settings"]).report()
    scanner_status.save_new(report)
    if report.state == "ready":
        rescans.wake()
        full_scans.go_on()


def _run_sources() -> Counter[str]:
    done: Counter[str] = Counter()
    unavailable: set[str] = set()
    for due in [row for source in SOURCES for row in _due(source)]:
        if due.job in unavailable:
            continue
        try:
            _do(due)
            done[due.job] += 1
        except Unavailable as problem:
            log.warning("%s has to wait: %s", due.job, problem.detail)
            unavailable.add(due.job)
        except Exception as error:
            if database.is_unavailable(error):
                raise
            log.exception("%s of %s failed", due.job, due.id)
    return done


def _do(due: Due) -> None:
    if due.job == "tell":
        dispatch.tell()
    elif due.job == "warn":
        warnings.warn(due.tenant_id, None if due.id == due.tenant_id else due.id)
    else:
        POSTPONE[due.job](due.tenant_id, due.id)
        if not queue.ring(due.job, due.tenant_id, due.workspace_id, due.id):
            raise Unavailable(gettext("The queue is unavailable."))


def _due(function: str) -> list[Due]:
    with transaction():
        columns: list[ColumnClause[UUID]] = [column(name) for name in Due._fields]
        source = getattr(func, function)(BATCH).table_valued(*columns)
        return [Due(*row) for row in db.session.execute(select(source))]


def _forget_links() -> int:
    with transaction():
        before = database.now() - KEEP_LINKS
        return int(db.session.scalar(select(func.forget_issued_links(before, BATCH))) or 0)
