"""The queue: every kind of job, and RQ, which carries it to a worker. The rows of ``portal.tasks`` are the truth.

A job takes only (tenant, workspace, target), as JSON. A job that can't be enqueued, or is lost (Valkey unavailable,
flushed, full), loses nothing: its row is still due, and the scheduler enqueues it again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

import redis
from rq import Queue, Worker
from rq.exceptions import DuplicateJobError
from rq.job import Job as Record
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException
from rq.worker import BaseWorker

log = logging.getLogger(__name__)

NORMAL_SECONDS = 30  # no job outside of the slow lane takes longer: so long another tenant may have to wait for it
SLOW_SECONDS = 3600
FAILED_SECONDS = 60  # so long a job that failed without a lease keeps its row from being enqueued again
TAKEN_SECONDS = 10.0  # a worker that has taken a job has the lease by then
LONG_JOBS_SECONDS = 600  # so long a tenant whose job took more than NORMAL_SECONDS is kept from having all workers
SLOW, MESSAGES = "slow", "messages"
# A worker takes from each of them in turn, so that no kind of work waits until another one is done.
LANES = (MESSAGES, "intake", "previews", "upkeep", SLOW)

JobTimeout = JobTimeoutException  # RQ raises it inside a job that has had its time


@dataclass(frozen=True)
class Job:
    """One kind of work: ``path`` is the dotted function, ``timeout`` in seconds, outside of the slow lane."""

    path: str
    lane: str
    timeout: int = NORMAL_SECONDS


JOBS: dict[str, Job] = {
    "take_in": Job("portal.uploads.jobs.take_in", "intake"),
    "clear_staging": Job("portal.uploads.jobs.clear_staging", "upkeep"),
    "render_previews": Job("portal.assets.jobs.render_previews", "previews"),
    "rescan": Job("portal.assets.jobs.rescan", "upkeep"),
    "scan_again": Job("portal.assets.jobs.scan_again", SLOW),
    "purge": Job("portal.assets.jobs.purge", "upkeep"),
    "rescan_quarantined": Job("portal.quarantine.jobs.rescan", "upkeep"),
    "release_quarantined": Job("portal.quarantine.jobs.release", "upkeep"),
    "probe": Job("portal.storage.jobs.probe", "upkeep"),
    "move": Job("portal.migration.jobs.move", SLOW),
    # A mail server may take minutes for each step (RFC 5321, 4.5.3.2). After a cut nobody would know whether it has
    # accepted the e-mail.
    "send_email": Job("portal.mail.jobs.send_email", "messages", 600),
    "send_invitation": Job("portal.people.jobs.send_invitation", "messages"),
    "send_password_reset": Job("portal.identity.jobs.send_password_reset", "messages"),
    "deliver": Job("portal.webhooks.jobs.deliver", "messages", 120),
}
PATHS = frozenset(job.path for job in JOBS.values())


@dataclass(frozen=True)
class Entry:
    """One job to be enqueued. ``id`` names task and attempt: the same attempt is never enqueued beside itself."""

    id: str
    kind: str
    lane: str
    tenant_id: UUID
    workspace_id: UUID
    target_id: UUID
    at_front: bool = False


@dataclass(frozen=True)
class Waiting:
    """What waits in Valkey: ids of jobs by lane, and when each tenant had its last turn in a lane.

    ``long``: tenants (in hex) of which a job took too long lately.
    """

    jobs: dict[str, list[str]]
    turns: dict[str, dict[str, float]]
    long: frozenset[str] = frozenset()


_LONG = "stowage:long-jobs"
# Jobs that had a record and neither waited nor had a lease, and since when: of this process, which is enough.
_seen_before: dict[str, float] = {}


def connect(url: str) -> redis.Redis:
    """A client that gives up soon: a person who commits an upload must not wait for the queue."""
    return redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=5, health_check_interval=30)


def connect_waiting(url: str) -> redis.Redis:
    """A worker's client: it waits for the next job without a limit of its own."""
    return redis.Redis.from_url(url, socket_connect_timeout=5, health_check_interval=30)


def waiting(connection: redis.Redis) -> Waiting:
    """Which jobs wait, read in one round trip. Raises ``redis.RedisError``.

    The lists themselves, not the jobs' own records: a worker that was killed between taking a job and starting it
    leaves a record that says "queued" for ever.
    """
    with connection.pipeline(transaction=False) as pipeline:
        for lane in LANES:
            pipeline.lrange(_queue(lane, connection).key, 0, -1)
        for lane in LANES:
            pipeline.zrange(_turns(lane), 0, -1, withscores=True)
        pipeline.zrangebyscore(_LONG, time.time() - LONG_JOBS_SECONDS, "+inf")
        *found, long = pipeline.execute()
    lists, turns = found[: len(LANES)], found[len(LANES) :]
    return Waiting(
        {lane: [each.decode(errors="replace") for each in ids] for lane, ids in zip(LANES, lists, strict=True)},
        {
            lane: {tenant.decode(errors="replace"): score for tenant, score in scores}
            for lane, scores in zip(LANES, turns, strict=True)
        },
        frozenset(tenant.decode(errors="replace") for tenant in long),
    )


def record_long_job(connection: redis.Redis, tenant_id: UUID) -> None:
    """A job of this tenant took longer than ``NORMAL_SECONDS``. Raises ``redis.RedisError``."""
    with connection.pipeline(transaction=False) as pipeline:
        pipeline.zadd(_LONG, {tenant_id.hex: time.time()})
        pipeline.zremrangebyscore(_LONG, "-inf", time.time() - LONG_JOBS_SECONDS)
        pipeline.expire(_LONG, LONG_JOBS_SECONDS)
        pipeline.execute()


def enqueue(connection: redis.Redis, entries: Sequence[Entry]) -> list[Entry]:
    """Enqueue these; those that were. Raises ``redis.RedisError``.

    Not what has a job already: a worker may have taken it from the list just now, and not have its lease yet. Where
    that takes seconds, the worker was killed in that moment, and the record of its job is in the way.
    """
    done = []
    for entry in entries:
        job = JOBS[entry.kind]
        try:
            _queue(entry.lane, connection).enqueue(
                job.path,
                str(entry.tenant_id),
                str(entry.workspace_id),
                str(entry.target_id),
                job_id=entry.id,
                unique=True,
                description=entry.kind,
                job_timeout=SLOW_SECONDS if entry.lane == SLOW else job.timeout,
                result_ttl=0,
                failure_ttl=FAILED_SECONDS,
                at_front=entry.at_front,
            )
        except DuplicateJobError:
            if time.monotonic() - _seen_before.setdefault(entry.id, time.monotonic()) > TAKEN_SECONDS:
                connection.delete(Record.key_for(entry.id))
                del _seen_before[entry.id]
            continue
        _seen_before.pop(entry.id, None)
        done.append(entry)
    if len(_seen_before) > 10_000:
        _seen_before.clear()
    with connection.pipeline(transaction=False) as pipeline:
        for entry in done:
            pipeline.zadd(_turns(entry.lane), {entry.tenant_id.hex: time.time()})
            pipeline.expire(_turns(entry.lane), 86_400)
        pipeline.execute()
    return done


def withdraw(connection: redis.Redis, entries: Sequence[Entry]) -> None:
    """Take these off their lists, unless a worker has taken them already: their rows are still due."""
    for entry in entries:
        if connection.lrem(_queue(entry.lane, connection).key, 1, entry.id):
            connection.delete(Record.key_for(entry.id))


def enqueue_where_idle(connection: redis.Redis, entries: Sequence[Entry]) -> int:
    """Enqueue what was made due just now in lanes where nothing waits; how many.

    Where something waits the scheduler decides whose turn it is: a tenant that commits a thousand uploads would
    otherwise stand a thousand times before the next one. What is slow always waits for the scheduler, which counts, and
    so does what belongs to a tenant that had long jobs lately.
    """
    try:
        most = 2 * max(1, Worker.count(connection=connection))
        with connection.pipeline(transaction=False) as pipeline:
            lanes = sorted({entry.lane for entry in entries if entry.lane != SLOW})
            for lane in lanes:
                pipeline.llen(_queue(lane, connection).key)
            pipeline.zrangebyscore(_LONG, time.time() - LONG_JOBS_SECONDS, "+inf")
            *lengths, long = pipeline.execute()
        idle = {lane for lane, length in zip(lanes, lengths, strict=True) if not length}
        mine = [entry for entry in entries if entry.tenant_id.hex.encode() not in long]
        chosen = [each for lane in idle for each in [entry for entry in mine if entry.lane == lane][:most]]
        return len(enqueue(connection, chosen))
    except redis.RedisError as error:
        log.warning("could not enqueue %s: %s", entries[0].kind, type(error).__name__)
        return 0


@lru_cache(maxsize=len(LANES))
def _queue(name: str, connection: redis.Redis) -> Queue:
    return Queue(name, connection=connection, serializer=JSONSerializer)


def _turns(lane: str) -> str:
    return f"stowage:turns:{lane}"


@dataclass(frozen=True)
class WorkerSeen:
    """One worker as Valkey knows it. ``heard_at``: its last sign of life; ``job``: what it does now, or None."""

    name: str
    state: str
    job: str | None
    since: datetime | None
    heard_at: datetime | None
    lanes: tuple[str, ...]


def workers(connection: redis.Redis) -> list[WorkerSeen]:
    """Every worker that was heard of lately, by name. Raises ``redis.RedisError``."""
    found = [_seen(worker) for worker in Worker.all(connection=connection, serializer=JSONSerializer)]
    return sorted(found, key=lambda worker: worker.name)


@dataclass(frozen=True)
class Capacity:
    """How many workers there are, and how many long jobs may be in work at a time."""

    workers: int
    slow: int


def capacity(connection: redis.Redis) -> Capacity:
    """Counted from the workers that were heard of lately. Raises ``redis.RedisError``.

    Long jobs are given to all workers but one of those that take short jobs, too: that one is there for the short
    ones. Where there is a single worker, it does both.
    """
    lanes = [set(worker.queue_names()) for worker in Worker.all(connection=connection, serializer=JSONSerializer)]
    slow_only = sum(names == {SLOW} for names in lanes)
    both = sum(SLOW in names for names in lanes) - slow_only
    short_only = sum(SLOW not in names for names in lanes)
    shared = both if short_only else both - 1
    return Capacity(max(1, len(lanes)), max(1, slow_only + shared))


def _seen(worker: BaseWorker) -> WorkerSeen:
    job = worker.get_current_job()
    name = str(job.func_name).rpartition(".")[2] if job else None
    since = job.started_at if job else worker.birth_date
    heard_at, lanes = _utc(worker.last_heartbeat), tuple(worker.queue_names())
    return WorkerSeen(worker.name, str(worker.get_state()), name, _utc(since), heard_at, lanes)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def depths(connection: redis.Redis) -> dict[str, int]:
    """How many jobs wait in each lane. Raises ``redis.RedisError``."""
    return {name: _queue(name, connection).count for name in LANES}


def known_lanes(names: Iterable[str]) -> tuple[str, ...]:
    """The lanes of these names, in our order; all of them for none. Raises ``ValueError``."""
    wanted = set(names)
    if unknown := sorted(wanted - set(LANES)):
        raise ValueError(f"There is no queue {unknown[0]!r}. These are: {', '.join(LANES)}.")
    return tuple(lane for lane in LANES if lane in wanted) or LANES
