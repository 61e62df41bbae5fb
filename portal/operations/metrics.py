"""The installation's numbers for Prometheus, collected when they are asked for and kept for a few seconds.

What is counted since midnight (UTC) begins at nothing each day: ``rate`` and ``increase`` take that for a restart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from flask import current_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal.assets import daily_counts
from portal.database import db, end_read, enter
from portal.inspection import scanner_status
from portal.lifecycle import periodic_tasks
from portal.mail import service as mail
from portal.operations import dashboard
from portal.tenancy import switches
from portal.webhooks import dispatch

log = logging.getLogger(__name__)
BELIEVED_SECONDS = 5.0


def collect() -> list[Metric]:
    """Every number that is of the installation, not of one process."""
    read_at, known = current_app.extensions.get("portal.numbers.kept", (float("-inf"), []))
    if time.monotonic() - read_at > BELIEVED_SECONDS:
        known = _read()
        current_app.extensions["portal.numbers.kept"] = (time.monotonic(), known)
    return list(known)


def _read() -> list[Metric]:
    """Part after part. One that can't be read is left out; without a database all that follow are, at once."""
    known: list[Metric] = []
    up = 1.0
    for part in PARTS:
        try:
            enter(None)
            known += part()
            end_read()
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            log.warning("the database does not answer: %s", type(error).__name__)
            up = 0.0
            break
        except SQLAlchemyError as error:
            db.session.rollback()
            log.warning("numbers of %s can't be read: %s", part.__name__, type(error).__name__)
    return [*known, gauge("portal_database_up", "Whether the database answers.", value=up)]


def gauge(name: str, words: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    """A gauge with its ``value``, or one whose samples follow."""
    metric = GaugeMetricFamily(name, words, labels=labels)
    if value is not None:
        metric.add_metric([], value)
    return metric


def _queues() -> Iterator[Metric]:
    found = dashboard.queues()
    yield gauge("portal_queue_up", "Whether Valkey answers.", value=float(not found.away))
    depth = gauge("portal_queue_depth", "Jobs that wait, by queue.", "queue")
    for name, number in found.depths.items():
        depth.add_metric([name], number)
    yield depth
    yield gauge("portal_workers", "Workers that were heard of lately.", value=len(found.workers))


def _work() -> Iterator[Metric]:
    due = gauge("portal_work_due", "Rows that are due, by job and what they wait for.", "job", "waiting_for")
    later = gauge("portal_work_later", "Rows whose time comes later.", "job", "waiting_for")
    oldest = gauge("portal_work_oldest_seconds", "Since when the oldest of them stands.", "job", "waiting_for")
    for part in dashboard.backlog():
        for metric, value in ((due, part.due), (later, part.later), (oldest, part.oldest_seconds)):
            metric.add_metric([part.kind, part.waiting_for], float(value))
    yield from (due, later, oldest)


def _scheduler() -> Iterator[Metric]:
    yield _moment(
        "portal_clock_last_pass_timestamp_seconds", "When the scheduler last swept.", dashboard.scheduler().at
    )
    ok = gauge("portal_chore_ok", "1: the last run went well.", "name")
    at = gauge("portal_chore_last_run_timestamp_seconds", "When it last ended.", "name")
    for line in periodic_tasks.statuses():
        if line.finished_at is not None:
            ok.add_metric([line.name], 0.0 if line.failures else 1.0)
            at.add_metric([line.name], line.finished_at.timestamp())
    yield from (ok, at)


def _day() -> Iterator[Metric]:
    uploads = CounterMetricFamily("portal_uploads", "Uploads that ended today, by result.", labels=["result"])
    size = CounterMetricFamily("portal_upload_bytes", "Bytes of uploads that ended today.", labels=["result"])
    failed = CounterMetricFamily("portal_upload_failures", "Uploads that failed today.", labels=["reason"])
    scans = CounterMetricFamily("portal_scans", "Files that were scanned today, by verdict.", labels=["verdict"])
    for row in daily_counts.of_all(1):
        if row.kind == "scan":
            scans.add_metric([row.label], row.number)
            continue
        result, _colon, reason = row.label.partition(":")
        if reason:
            failed.add_metric([reason], row.number)
        else:
            uploads.add_metric([result], row.number)
            size.add_metric([result], row.bytes)
    yield from (uploads, size, failed, scans)


def _scanner() -> Iterator[Metric]:
    proof = scanner_status.last()
    state = proof.state if proof else "unknown"
    yield gauge("portal_scanner_up", "1: the scanner proved that it finds what it must.", value=float(state == "ready"))
    yield gauge("portal_scanner_off", "1: files are not scanned by decision.", value=float(state == "off"))
    yield _moment(
        "portal_signatures_timestamp_seconds", "When the signatures were made.", proof.signatures_at if proof else None
    )


def _counts() -> Iterator[Metric]:
    names = {
        "unscanned": gauge("portal_unscanned_files", "Files that nobody has scanned, by reason.", "reason"),
        "held": gauge("portal_held_files", "Files in quarantine.", "state"),
        "open_uploads": gauge("portal_open_uploads", "Uploads under way.", "state"),
        "quota": gauge("portal_quota_warnings", "Limits of workspaces and tenants that fill up.", "level"),
        "store": gauge("portal_own_buckets", "Customers' buckets, by health.", "health"),
    }
    for (what, label), number in dashboard.counts().items():
        names[what].add_metric([label or "all"], number)
    yield from names.values()


def _rest() -> Iterator[Metric]:
    facts, store, disk = dashboard.database_facts(), dashboard.managed_store(), dashboard.free_disk()
    yield gauge("portal_database_bytes", "Size of the database.", value=facts.bytes)
    yield gauge("portal_database_connections", "Open connections.", value=facts.connections)
    yield gauge("portal_database_most_connections", "Connections that there can be.", value=facts.most_connections)
    oldest = facts.oldest_seconds
    yield gauge("portal_database_oldest_transaction_seconds", "The oldest open transaction.", value=oldest)
    yield gauge("portal_store_up", "1: the managed store answered when last asked.", value=float(_answered(store)))
    letters = gauge("portal_letters", "Mail, by state.", "state")
    for state, number in mail.counts().items():
        letters.add_metric([state.value], number)
    yield letters
    hooks = gauge("portal_webhooks", "Addresses that are told what happens, by state.", "state")
    waits = gauge("portal_webhook_deliveries", "Events for webhooks: what waits, and the last day's by state.", "state")
    for (what, label), number in dispatch.counts().items():
        (hooks if what == "endpoint" else waits).add_metric([label], number)
    yield from (hooks, waits)
    paused = switches.paused() is not None
    yield gauge("portal_uploads_paused", "1: an operator has paused uploads.", value=float(paused))
    if disk is not None:
        yield gauge("portal_disk_free_bytes", "Free where the embedded store lies.", value=disk.free)
        yield gauge("portal_disk_bytes", "Size of that disk.", value=disk.total)


def _answered(store: object) -> bool:
    return store is not None and getattr(store, "reason", None) is None


def _moment(name: str, words: str, moment: datetime | None) -> GaugeMetricFamily:
    """Seconds since 1970; no sample for what never was."""
    return gauge(name, words, value=moment.timestamp() if moment else None)


PARTS: tuple[Callable[[], Iterator[Metric]], ...] = (_queues, _work, _scheduler, _day, _scanner, _counts, _rest)
