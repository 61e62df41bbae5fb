"""One pass over everything that is due. The scheduler makes it every few seconds, ``portal sweep`` by hand."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import redis
from flask import current_app
from sqlalchemy import func, select

from portal import database, tasks
from portal.assets import full_scans, rescans
from portal.database import db, transaction
from portal.inspection import scanner_status
from portal.inspection.scanner import Scanner
from portal.quotas import warnings
from portal.storage import service as storage
from portal.tasks import SCHEDULER, Due
from portal.uploads.expire import expire_due
from portal.webhooks import dispatch

log = logging.getLogger(__name__)

BATCH = 200  # tasks that one pass does in the scheduler's own process
KEEP_LINKS = timedelta(days=90)

# Work that only needs the database is done here, so that it goes on without workers and without Valkey.
IN_PROCESS: dict[str, Callable[[Due], object]] = {
    "expire": lambda task: expire_due(task.tenant_id, task.workspace_id, task.target_id),
    "dispatch": lambda task: dispatch.run(task.tenant_id),
}
A_TENANT_AT_ONCE = ("dispatch",)  # kinds that do all tasks of a tenant, whichever is named


def run() -> Counter[str]:
    """One pass over everything; how many of each kind were done or enqueued."""
    storage.refresh_managed_store(current_app.extensions["portal.settings"])
    done = Counter({"forget_links": _forget_links()})
    _check_scanner()
    done["warn"] = warnings.warn_all()
    done += run_due()
    return Counter({kind: count for kind, count in done.items() if count})


def preview() -> dict[str, int]:
    """How many tasks of each kind are due now; nothing is done."""
    with transaction():
        found: Counter[str] = Counter()
        for part in tasks.backlog():
            found[part.kind] += part.due
    return {kind: count for kind, count in found.items() if count}


def run_due() -> Counter[str]:
    """Do what is due and only needs the database, and enqueue the rest; how many of each kind."""
    done = _run_in_process()
    try:
        done.update(entry.kind for entry in tasks.enqueue_due())
    except redis.RedisError as error:
        log.warning("nothing can be enqueued: %s", type(error).__name__)
    return done


def _run_in_process() -> Counter[str]:
    """A task that fails for a reason of its own is logged and delays no other."""
    done: Counter[str] = Counter()
    dispatched: set[tuple[str, UUID]] = set()
    with transaction():
        due = tasks.due([SCHEDULER], BATCH)[:BATCH]
    for task in due:
        key = task.kind, task.tenant_id if task.kind in A_TENANT_AT_ONCE else task.target_id
        if key in dispatched:
            continue
        dispatched.add(key)
        try:
            IN_PROCESS[task.kind](task)
            done[task.kind] += 1
        except Exception as error:
            if database.is_unavailable(error):
                raise  # nothing else can be done, either
            log.exception("%s of %s failed", task.kind, task.target_id)
    return done


def _check_scanner() -> None:
    """Save the scanner's report. Once it is ready, waiting files are due and a scan of all files goes on."""
    report = Scanner.at(current_app.extensions["portal.settings"]).report()
    scanner_status.save_new(report)
    if report.state == "ready":
        rescans.wake()
        full_scans.schedule_next_batch()


def _forget_links() -> int:
    with transaction():
        before = database.now() - KEEP_LINKS
        return int(db.session.scalar(select(func.delete_old_links(before, BATCH))) or 0)
