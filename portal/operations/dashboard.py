"""What goes on in the installation: everything that the operations page shows and ``/metrics`` tells.

Two round trips to the database for its numbers, one to Valkey, none to a store: a store's health is what its last probe
or use has written down.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import redis
from flask import current_app
from sqlalchemy import text

from portal import database, queue, tasks
from portal.database import db
from portal.lifecycle import periodic_tasks
from portal.queue import WorkerSeen
from portal.settings import Settings
from portal.storage import disk
from portal.storage.disk import Disk
from portal.tasks import Backlog

LATE = timedelta(seconds=60)  # a scheduler that has not swept for so long has stopped
LONGEST_LIST = 50

_COUNTS = text("SELECT what, label, number FROM installation_counts()")
_FAILURES = text("SELECT * FROM failures() ORDER BY kind, number DESC")
_DATABASE = text("""
    SELECT pg_database_size(current_database()) AS bytes,
           (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS connections,
           current_setting('max_connections')::int AS most_connections,
           (SELECT coalesce(extract(epoch FROM now() - min(xact_start)), 0)
            FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()) AS oldest_seconds
""")
_STORE = text(
    "SELECT endpoint, bucket, reason, probed_at FROM managed_stores WHERE endpoint = :endpoint AND bucket = :bucket"
)
_ACTS = text("""
    SELECT a.created_at, a.action, a.facts, u.name, u.email, t.slug AS tenant, p.email AS person
    FROM operator_acts a LEFT JOIN users u ON u.id = a.actor_id
    LEFT JOIN tenants t ON t.id = a.target_id LEFT JOIN users p ON p.id = a.target_id
    ORDER BY a.id DESC LIMIT :most
""")


@dataclass(frozen=True)
class Failure:
    """What failed for one reason: all there is, in the last 24 hours, in the last seven days.

    ``kind``: ``previews``, ``check`` (goes on waiting or failing), ``upload`` (ended; only the week's are counted).
    """

    kind: str
    code: str
    number: int
    day: int
    week: int
    oldest: datetime


@dataclass(frozen=True)
class DatabaseFacts:
    """Size in bytes, connections, and how long the oldest transaction has been open."""

    bytes: int
    connections: int
    most_connections: int
    oldest_seconds: float


@dataclass(frozen=True)
class QueueFacts:
    """Jobs that wait by queue, and workers, as Valkey knows them; ``away`` when it does not answer."""

    depths: dict[str, int] = field(default_factory=dict)
    workers: list[WorkerSeen] = field(default_factory=list)
    away: bool = False


@dataclass(frozen=True)
class Scheduler:
    """When the scheduler last swept, and what it did; ``late`` when it has stopped."""

    at: datetime | None
    said: str
    late: bool


def backlog() -> list[Backlog]:
    """What is not done, by kind of task and by what it waits for."""
    return tasks.backlog()


def counts() -> dict[tuple[str, str], int]:
    """(what, label) → number, over all tenants."""
    return {(row.what, row.label): row.number for row in db.session.execute(_COUNTS)}


def failures() -> list[Failure]:
    """By kind and reason, the most frequent first."""
    ended = [Failure(*row) for row in db.session.execute(_FAILURES)]
    checks = [Failure("check", *astuple(each)) for each in tasks.failing("take_in")]
    return sorted([*checks, *ended], key=lambda each: (each.kind, -each.number))


def database_facts() -> DatabaseFacts:
    """As the server tells."""
    return DatabaseFacts(*db.session.execute(_DATABASE).one())


def queues() -> QueueFacts:
    """Asked of Valkey."""
    connection = current_app.extensions["portal.redis"]
    try:
        return QueueFacts(queue.depths(connection), queue.workers(connection))
    except redis.RedisError:
        return QueueFacts(away=True)


def scheduler() -> Scheduler:
    """From what it writes down at each pass."""
    (line,) = periodic_tasks.statuses(periodic_tasks.SWEEP)
    late = line.finished_at is None or database.now() - line.finished_at > LATE
    return Scheduler(line.finished_at, line.said, late)


def managed_store() -> Any:
    """The deployment's own store: {endpoint, bucket, reason, probed_at}, or None before it was ever asked."""
    settings: Settings = current_app.extensions["portal.settings"]
    return db.session.execute(_STORE, {"endpoint": settings.s3_endpoint, "bucket": settings.s3_bucket}).first()


def free_disk() -> Disk | None:
    """The embedded store's."""
    return disk.look(current_app.extensions["portal.settings"])


@dataclass(frozen=True)
class Done:
    """What an operator did. ``whom``: the tenant or person that it was about, where it still exists."""

    at: datetime
    action: str
    facts: dict[str, Any]
    who: str
    whom: str


def acts() -> list[Done]:
    """The last ones, the newest first."""
    rows = db.session.execute(_ACTS, {"most": LONGEST_LIST}).all()
    return [
        Done(row.created_at, row.action, row.facts, row.name or row.email or "", row.tenant or row.person or "")
        for row in rows
    ]


def tenants_by_id(ids: set[UUID]) -> dict[UUID, str]:
    """Slugs, for what names a tenant by its id."""
    if not ids:
        return {}
    rows = db.session.execute(text("SELECT id, slug FROM tenants WHERE id = ANY(:ids)"), {"ids": list(ids)}).all()
    return {row.id: row.slug for row in rows}
