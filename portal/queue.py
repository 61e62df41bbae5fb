"""The doorbell: the catalogue of every job, and ``ring``. The database's rows are the ledger, RQ only wakes a worker.

A job takes only (tenant, workspace, id), as JSON. A bell that can't be rung (Valkey away, wiped, full) loses nothing:
the sweep rings again for whatever stands in a state that is not final.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

import redis
from flask import current_app
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One kind of work: ``path`` is the dotted function, ``timeout`` in seconds."""

    path: str
    queue: str
    timeout: int


QUEUES = ("intake", "previews", "upkeep", "idle")  # workers empty an earlier one first
CATALOGUE: dict[str, Job] = {
    "take_in": Job("portal.uploads.jobs.take_in", "intake", 3600),
    "render_previews": Job("portal.assets.jobs.render_previews", "previews", 900),
    "rescan": Job("portal.assets.jobs.rescan", "upkeep", 3600),
    "rescan_held": Job("portal.quarantine.jobs.rescan_held", "upkeep", 3600),
    "release_held": Job("portal.quarantine.jobs.release_held", "upkeep", 3600),
    "scan_again": Job("portal.assets.jobs.scan_again", "idle", 3600),
    "purge": Job("portal.assets.jobs.purge", "upkeep", 900),
    "probe": Job("portal.storage.jobs.probe", "upkeep", 900),
    "move": Job("portal.migration.jobs.move", "upkeep", 1800),
    "clear_staging": Job("portal.uploads.jobs.clear_staging", "upkeep", 300),
    "send_letter": Job("portal.mail.jobs.send_letter", "upkeep", 600),
    "tell": Job("portal.webhooks.jobs.tell", "upkeep", 120),
    "deliver": Job("portal.webhooks.jobs.deliver", "upkeep", 120),
}
PATHS = frozenset(job.path for job in CATALOGUE.values())


def connect(url: str) -> redis.Redis:
    """A client that gives up soon: a person who commits an upload must not wait for a doorbell."""
    return redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=5, health_check_interval=30)


def connect_waiting(url: str) -> redis.Redis:
    """A worker's client: it waits for the next job without a limit of its own."""
    return redis.Redis.from_url(url, socket_connect_timeout=5, health_check_interval=30)


def ring(job: str, tenant_id: UUID, workspace_id: UUID, target_id: UUID) -> bool:
    """Ask for ``job`` on one row. False when the bell could not be rung; the sweep will ring later."""
    entry = CATALOGUE[job]
    connection: redis.Redis = current_app.extensions["portal.redis"]
    try:
        # One round trip: by itself, RQ needs two. Half of a bell is no harm, so that it is no transaction.
        with connection.pipeline(transaction=False) as pipeline:
            _queue(entry.queue, connection).enqueue(
                entry.path,
                str(tenant_id),
                str(workspace_id),
                str(target_id),
                description=job,
                job_timeout=entry.timeout,
                result_ttl=0,
                failure_ttl=3600,
                pipeline=pipeline,
            )
            pipeline.execute()
    except redis.RedisError as error:
        log.warning("could not ring %s for %s: %s", job, target_id, type(error).__name__)
        return False
    return True


@lru_cache(maxsize=len(QUEUES))
def _queue(name: str, connection: redis.Redis) -> Queue:
    return Queue(name, connection=connection, serializer=JSONSerializer)


@dataclass(frozen=True)
class WorkerSeen:
    """One worker as Valkey knows it. ``heard_at``: its last sign of life; ``job``: what it does now, or None."""

    name: str
    state: str
    job: str | None
    since: datetime | None
    heard_at: datetime | None


def workers(connection: redis.Redis) -> list[WorkerSeen]:
    """Every worker that was heard of lately, by name. Raises ``redis.RedisError`` when Valkey is away."""
    found = [_seen(worker) for worker in Worker.all(connection=connection, serializer=JSONSerializer)]
    return sorted(found, key=lambda worker: worker.name)


def _seen(worker: BaseWorker) -> WorkerSeen:
    job = worker.get_current_job()
    name = str(job.func_name).rpartition(".")[2] if job else None
    since = job.started_at if job else worker.birth_date
    return WorkerSeen(worker.name, str(worker.get_state()), name, _utc(since), _utc(worker.last_heartbeat))


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def depths(connection: redis.Redis) -> dict[str, int]:
    """How many bells wait in each queue. Raises ``redis.RedisError`` when Valkey is away."""
    return {name: _queue(name, connection).count for name in QUEUES}
