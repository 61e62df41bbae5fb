"""The state of the installation: everything that the operations page shows and ``/metrics`` exports.

One query for each part, one round trip to Valkey, none to a store: the health of a store is what its last probe or use
has recorded.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import redis
from flask import current_app
from sqlalchemy import Integer, cast, column, func, select, table

from portal import database, queue, tasks
from portal.audit import OperatorAct
from portal.database import db
from portal.identity.models import User
from portal.inspection import scanner_status
from portal.inspection.scanner_status import SavedReport
from portal.lifecycle import periodic_tasks
from portal.mail import service as mail
from portal.mail.models import EmailState
from portal.queue import WorkerSeen
from portal.settings import Settings
from portal.storage import disk
from portal.storage.disk import Disk
from portal.storage.models import ManagedStore
from portal.tasks import Backlog
from portal.tenancy.models import Tenant
from portal.texts import Text
from portal.webhooks import dispatch

LATE = timedelta(seconds=60)  # six passes of the scheduler: one that has made none for so long has stopped
LISTED_ACTIONS = 50


@dataclass(frozen=True)
class Failure:
    """What failed for one reason: all there is, in the last 24 hours, in the last seven days.

    ``kind``: ``previews``, ``check`` (waits or fails, and is tried again), ``upload`` (ended; only the week's count).
    """

    kind: str
    code: str
    number: int
    day: int
    week: int
    oldest: datetime


@dataclass(frozen=True)
class DatabaseFacts:
    """Size in bytes, connections, and for how long the oldest transaction has been open."""

    bytes: int
    connections: int
    max_connections: int
    oldest_seconds: float


@dataclass(frozen=True)
class QueueFacts:
    """Queued jobs by queue, and workers, as Valkey knows them; not ``is_available`` when it does not answer."""

    depths: dict[str, int] = field(default_factory=dict)
    workers: list[WorkerSeen] = field(default_factory=list)
    is_available: bool = True


@dataclass(frozen=True)
class Scheduler:
    """When the scheduler made its last pass, and what it did; ``is_late`` when it has stopped."""

    at: datetime | None
    result: Text
    is_late: bool


@dataclass(frozen=True)
class OperatorAction:
    """What an operator did. ``target``: the tenant or person that it was about, where it still exists."""

    at: datetime
    action: str
    facts: dict[str, Any]
    who: str
    target: str


@dataclass(frozen=True)
class Dashboard:
    """Everything that the operations page shows and updates by itself. ``counts``: (what, label) → number."""

    work: list[Backlog]
    counts: dict[tuple[str, str], int]
    failures: list[Failure]
    database: DatabaseFacts
    queues: QueueFacts
    scheduler: Scheduler
    scanner: SavedReport | None
    periodic_tasks: list[periodic_tasks.Status]
    store: ManagedStore | None
    disk: Disk | None
    emails: dict[EmailState, int]
    webhooks: dict[tuple[str, str], int]


def read() -> Dashboard:
    """The state of the installation now."""
    return Dashboard(
        work=tasks.backlog(),
        counts=counts(),
        failures=failures(),
        database=database_facts(),
        queues=queues(),
        scheduler=scheduler(),
        scanner=scanner_status.last(),
        periodic_tasks=periodic_tasks.statuses(),
        store=managed_store(),
        disk=free_disk(),
        emails=dict(mail.counts()),
        webhooks=dispatch.counts(),
    )


def counts() -> dict[tuple[str, str], int]:
    """(what, label) → number, over all tenants."""
    # Row-level security hides the tenants' rows from the application's role; the function answers numbers only.
    found = func.installation_counts().table_valued("what", "label", "number")
    return {(row.what, row.label): row.number for row in db.session.execute(select(found))}


def failures() -> list[Failure]:
    """By kind and reason, the most frequent first."""
    ended = func.failures().table_valued("kind", "code", "number", "day", "week", "oldest")
    found = [Failure(*row) for row in db.session.execute(select(ended))]
    found += [Failure("check", *astuple(each)) for each in tasks.failing("take_in")]
    return sorted(found, key=lambda each: (each.kind, -each.number))


def database_facts() -> DatabaseFacts:
    """From the server's statistics."""
    activity = table("pg_stat_activity", column("datname"), column("pid"), column("xact_start"))
    here = activity.c.datname == func.current_database()
    connections = select(func.count()).where(here).select_from(activity).scalar_subquery()
    age = func.extract("epoch", func.now() - func.min(activity.c.xact_start))
    # Without our own transaction, which this query has just opened.
    oldest = select(func.coalesce(age, 0)).where(here, activity.c.pid != func.pg_backend_pid()).scalar_subquery()
    size = func.pg_database_size(func.current_database())
    most = cast(func.current_setting("max_connections"), Integer)
    return DatabaseFacts(*db.session.execute(select(size, connections, most, oldest)).one())


def queues() -> QueueFacts:
    """From Valkey."""
    connection = current_app.extensions["portal.redis"]
    try:
        return QueueFacts(queue.depths(connection), queue.workers(connection))
    except redis.RedisError:
        return QueueFacts(is_available=False)


def scheduler() -> Scheduler:
    """From what it records at each pass."""
    (status,) = periodic_tasks.statuses(periodic_tasks.SWEEP)
    is_late = status.finished_at is None or database.now() - status.finished_at > LATE
    return Scheduler(status.finished_at, status.result, is_late)


def managed_store() -> ManagedStore | None:
    """What the last probe of the deployment's own store found, or None before the first."""
    settings: Settings = current_app.extensions["portal.settings"]
    return db.session.get(ManagedStore, (settings.s3_endpoint, settings.s3_bucket), populate_existing=True)


def free_disk() -> Disk | None:
    """The disk of the embedded store; None where the store is elsewhere."""
    return disk.embedded_disk(current_app.extensions["portal.settings"])


def actions() -> list[OperatorAction]:
    """What operators did last, the newest first."""
    target = User.__table__.alias("target")
    statement = (
        select(
            OperatorAct.created_at,
            OperatorAct.action,
            OperatorAct.facts,
            func.coalesce(User.shown_name, ""),
            func.coalesce(Tenant.slug, target.c.email, ""),
        )
        .outerjoin(User, User.id == OperatorAct.actor_id)
        .outerjoin(Tenant, Tenant.id == OperatorAct.target_id)
        .outerjoin(target, target.c.id == OperatorAct.target_id)
        .order_by(OperatorAct.id.desc())
        .limit(LISTED_ACTIONS)
    )
    return [OperatorAction(*row) for row in db.session.execute(statement)]


def tenants_by_id(ids: set[UUID]) -> dict[UUID, str]:
    """The slugs of these tenants."""
    return {row.id: row.slug for row in db.session.execute(select(Tenant.id, Tenant.slug).where(Tenant.id.in_(ids)))}
