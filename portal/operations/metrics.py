"""Metrics of the installation for Prometheus, read when they are requested and cached for a few seconds.

The names and labels are a contract: dashboards and alerts use them, also the old words clock, chore, letters and held.
Counts since midnight (UTC) start at zero each day: ``rate`` and ``increase`` treat that as a restart.
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

from portal import tasks
from portal.assets import daily_counts
from portal.assets.models import ScanResult
from portal.database import db, end_read, enter
from portal.inspection import scanner_status
from portal.lifecycle import periodic_tasks
from portal.mail import service as mail
from portal.operations import dashboard
from portal.tenancy import switches
from portal.webhooks import dispatch

log = logging.getLogger(__name__)
CACHE_SECONDS = 5.0  # several monitors may read, and each reading asks the database a dozen questions
_CACHE = "portal.metrics"

_VERDICTS = [result.value for result in ScanResult if result is not ScanResult.PENDING]


def collect() -> list[Metric]:
    """The metrics that are about the installation, not about one process."""
    read_at, known = current_app.extensions.get(_CACHE, (float("-inf"), []))
    if time.monotonic() - read_at > CACHE_SECONDS:
        known = _read()
        current_app.extensions[_CACHE] = (time.monotonic(), known)
    return list(known)


def _read() -> list[Metric]:
    """Part after part. One that can't be read is left out; without a database all that follow are left out."""
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
            log.warning("metrics of %s can't be read: %s", part.__name__, type(error).__name__)
    return [*known, gauge("portal_database_up", "Whether the database answers.", value=up)]


def gauge(name: str, description: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    """A gauge with its ``value``, or one whose samples follow."""
    metric = GaugeMetricFamily(name, description, labels=labels)
    if value is not None:
        metric.add_metric([], value)
    return metric


def _queues() -> Iterator[Metric]:
    found = dashboard.queues()
    yield gauge("portal_queue_up", "Whether Valkey answers.", value=float(found.is_available))
    depth = gauge("portal_queue_depth", "Jobs that wait, by queue.", "queue")
    for name, number in found.depths.items():
        depth.add_metric([name], number)
    yield depth
    yield gauge("portal_workers", "Workers with a recent heartbeat.", value=len(found.workers))


def _work() -> Iterator[Metric]:
    due = gauge("portal_work_due", "Tasks that are due, by kind and what they wait for.", "job", "waiting_for")
    later = gauge("portal_work_later", "Tasks that are due later.", "job", "waiting_for")
    oldest = gauge("portal_work_oldest_seconds", "Age of the oldest of them.", "job", "waiting_for")
    for part in tasks.backlog():
        for metric, value in ((due, part.due), (later, part.later), (oldest, part.oldest_seconds)):
            metric.add_metric([part.kind, part.waiting_for], float(value))
    yield from (due, later, oldest)


def _scheduler() -> Iterator[Metric]:
    yield _timestamp(
        "portal_clock_last_pass_timestamp_seconds", "The last pass of the scheduler.", dashboard.scheduler().at
    )
    ok = gauge("portal_chore_ok", "1: the last run succeeded.", "name")
    at = gauge("portal_chore_last_run_timestamp_seconds", "The end of the last run.", "name")
    for status in periodic_tasks.statuses():
        if status.finished_at is not None:
            ok.add_metric([status.name], 0.0 if status.failures else 1.0)
            at.add_metric([status.name], status.finished_at.timestamp())
    yield from (ok, at)


def _day() -> Iterator[Metric]:
    uploads = CounterMetricFamily("portal_uploads", "Uploads that ended today, by result.", labels=["result"])
    size = CounterMetricFamily("portal_upload_bytes", "Bytes of uploads that ended today.", labels=["result"])
    failed = CounterMetricFamily("portal_upload_failures", "Uploads that failed today.", labels=["reason"])
    scans = CounterMetricFamily("portal_scans", "Files that were scanned today, by verdict.", labels=["verdict"])
    counted = daily_counts.of_all(1)
    # increase() in an alert ignores the first sample of a series: the day's first virus would alert nobody, if its
    # series began with 1. So each verdict is there from midnight on, as 0.
    verdicts = dict.fromkeys(_VERDICTS, 0) | {row.label: row.number for row in counted if row.kind == "scan"}
    for verdict, number in verdicts.items():
        scans.add_metric([verdict], number)
    for row in counted:
        result, _colon, reason = row.label.partition(":")
        if row.kind == "scan":
            continue
        if reason:
            failed.add_metric([reason], row.number)
        else:
            uploads.add_metric([result], row.number)
            size.add_metric([result], row.bytes)
    yield from (uploads, size, failed, scans)


def _scanner() -> Iterator[Metric]:
    report = scanner_status.last()
    state = report.state if report else "unknown"
    yield gauge(
        "portal_scanner_up", "1: the scanner answers and finds the EICAR test file.", value=float(state == "ready")
    )
    yield gauge("portal_scanner_off", "1: the scanner is switched off.", value=float(state == "off"))
    yield _timestamp(
        "portal_signatures_timestamp_seconds", "The date of the signatures.", report.signatures_at if report else None
    )


def _counts() -> Iterator[Metric]:
    names = {
        "unscanned": gauge("portal_unscanned_files", "Files that were not scanned, by reason.", "reason"),
        "held": gauge("portal_held_files", "Files in quarantine.", "state"),
        "open_uploads": gauge("portal_open_uploads", "Open uploads.", "state"),
        "quota": gauge("portal_quota_warnings", "Limits of workspaces and tenants that are nearly reached.", "level"),
        "store": gauge("portal_own_buckets", "Customers' buckets, by health.", "health"),
    }
    for (what, label), number in dashboard.counts().items():
        names[what].add_metric([label or "all"], number)
    yield from names.values()


def _resources() -> Iterator[Metric]:
    facts, store, disk = dashboard.database_facts(), dashboard.managed_store(), dashboard.free_disk()
    yield gauge("portal_database_bytes", "Size of the database.", value=facts.bytes)
    yield gauge("portal_database_connections", "Open connections.", value=facts.connections)
    yield gauge("portal_database_most_connections", "The most connections allowed.", value=facts.max_connections)
    oldest = facts.oldest_seconds
    yield gauge("portal_database_oldest_transaction_seconds", "The oldest open transaction.", value=oldest)
    yield gauge(
        "portal_store_up",
        "1: the managed store answered at the last check.",
        value=float(store is not None and store.reason is None),
    )
    emails = gauge("portal_letters", "E-mails, by state.", "state")
    for state, number in mail.counts().items():
        emails.add_metric([state.value], number)
    yield emails
    endpoints = gauge("portal_webhooks", "Webhooks, by state.", "state")
    deliveries = gauge("portal_webhook_deliveries", "Deliveries that wait, and the last day's by state.", "state")
    for (what, label), number in dispatch.counts().items():
        (endpoints if what == "endpoint" else deliveries).add_metric([label], number)
    yield from (endpoints, deliveries)
    paused = switches.paused() is not None
    yield gauge("portal_uploads_paused", "1: an operator has paused uploads.", value=float(paused))
    if disk is not None:
        yield gauge("portal_disk_free_bytes", "Free on the disk of the embedded store.", value=disk.free)
        yield gauge("portal_disk_bytes", "Size of that disk.", value=disk.total)


def _timestamp(name: str, description: str, moment: datetime | None) -> GaugeMetricFamily:
    """Seconds since 1970; no sample for what has never happened."""
    return gauge(name, description, value=moment.timestamp() if moment else None)


PARTS: tuple[Callable[[], Iterator[Metric]], ...] = (_queues, _work, _scheduler, _day, _scanner, _counts, _resources)
