"""Leases: one worker at a time, and what it found is written only as long as the lease is its own."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine, delete, exists, func, null, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from portal import queue
from portal.database import db, new_id, now, transaction
from portal.errors import Unavailable
from portal.queue import SLOW, JobTimeout
from portal.tasks import dispatcher
from portal.tasks.models import LEASE, LOCK, MOST_ATTEMPTS, NOWHERE, Lease, LeaseLost, Target, Task, changed
from portal.tasks.rows import KEY, row_of

log = logging.getLogger(__name__)

RENEW_SECONDS = 20.0
UNAVAILABLE = timedelta(seconds=15)  # until the next attempt, when a part was unavailable
BUSY = timedelta(seconds=3)  # until the next look at a target that another task has
LONGEST_WAIT = timedelta(hours=1)  # between two attempts that failed


def complete(lease: Lease) -> None:
    """The work is done: the last act but the counters' of the transaction that writes its outcome.

    After the compare-and-set of the domain's row, as whoever changes that row schedules after it: two that lock the
    same rows in another order would wait for each other. Raises ``LeaseLost``, which undoes the transaction.
    """
    if not changed(delete(Task).where(*lease.mine)):
        raise LeaseLost


def still_mine(lease: Lease) -> bool:
    """Whether the lease holds, until the end of the transaction: for a step after which there is more to do."""
    return bool(changed(update(Task).where(*lease.mine).values(lease_until=func.now() + LEASE)))


def hand_back(lease: Lease, due_at: datetime | None, *, lane: str | None = None) -> None:
    """There is more to do at ``due_at``, with all attempts; as ``complete``. Raises ``LeaseLost``."""
    free = {"lease_token": None, "lease_until": None, "attempts": 0, "waiting_for": None}
    values = {**free, "due_at": due_at if due_at is not None else func.now(), "lane": lane or lease.lane}
    if not changed(update(Task).where(*lease.mine).values(values)):
        raise LeaseLost


@contextmanager
def acquire(
    kind: str,
    tenant_id: UUID,
    workspace_id: UUID,
    target_id: UUID,
    *,
    wait: timedelta = UNAVAILABLE,
    renew_seconds: float | None = None,
    on_lost: Callable[[], None] | None = None,
) -> Iterator[Lease | None]:
    """The lease of a task that is due, renewed by a thread until the end; None when there is none to be had.

    A block that ends without ``complete`` or ``hand_back`` found nothing to do: the task is over. ``Unavailable``
    inside puts it back for ``wait`` without burning an attempt (unless this file killed the scanner); a job that has
    had its time goes on in the slow lane; any other exception uses up an attempt and is raised. A lease that was lost
    ends the block in silence: somebody else does the work.
    """
    lease = _take(kind, tenant_id, workspace_id, target_id)
    if lease is None:
        yield None
        return
    began = now()
    try:
        with _renewed(lease, RENEW_SECONDS if renew_seconds is None else renew_seconds, on_lost):
            yield lease
    except LeaseLost:
        log.info("%s of %s is somebody else's by now", kind, target_id)
    except (Unavailable, JobTimeout) as error:
        # What interrupts a job that has had its time may be taken for a fault of the network, and arrive as another.
        if (now() - began).total_seconds() >= queue.NORMAL_SECONDS - 1 and lease.lane != SLOW:
            log.info("%s of %s takes longer than %d s", kind, target_id, queue.NORMAL_SECONDS)
            _put_back(lease, timedelta(), lane=SLOW, attempts=lease.attempts - 1)
            dispatcher.restrain(lease.tenant_id)
        elif isinstance(error, Unavailable):
            log.info("%s of %s waits: %s", kind, target_id, error.code)
            # A scanner that died with this file in its hands may die of it again: that attempt counts.
            refund = 0 if error.facts.get("during") == "scan" else 1
            _put_back(lease, wait, waiting_for=error.code, attempts=lease.attempts - refund)
        else:
            _put_back(lease, _pause(lease))
            raise
    except Exception:
        _put_back(lease, _pause(lease))
        raise
    else:
        with transaction():
            changed(delete(Task).where(*lease.mine))


@contextmanager
def exclusive(
    kind: str,
    target_id: UUID,
    *,
    tenant_id: UUID = NOWHERE,
    workspace_id: UUID = NOWHERE,
    lasts: timedelta = LEASE,
    on_lost: Callable[[], None] | None = None,
) -> Iterator[Lease | None]:
    """Lease a target for work without a task of its own; None when another worker has it.

    Whoever dies here keeps the others out for ``lasts`` at most.
    """
    lease = Lease(new_id(), kind, tenant_id, workspace_id, target_id, LOCK, 0, secrets.token_hex(8))
    if not _take_lock(lease, lasts):
        yield None
        return
    try:
        with _renewed(lease, min(RENEW_SECONDS, lasts.total_seconds() / 3), on_lost, lasts):
            yield lease
    finally:
        with transaction():
            changed(delete(Task).where(*lease.mine))


def is_leased(target_id: UUID) -> bool:
    """Is somebody at work on this target? It may have ended when this returns."""
    return _is_leased(target_id)


def _take(kind: str, tenant_id: UUID, workspace_id: UUID, target_id: UUID) -> Lease | None:
    token = secrets.token_hex(8)
    here = Task.target_id == target_id, Task.kind == kind
    there = Task.tenant_id == tenant_id, Task.workspace_id == workspace_id, Task.due_at <= func.now()
    free = or_(Task.lease_until.is_(None), Task.lease_until < func.now())
    # Entered as well: what the worker reads next is the tenant's.
    with transaction(None if tenant_id == NOWHERE else tenant_id):
        _lock(target_id)
        if _is_leased(target_id):
            later = func.greatest(Task.due_at, func.now() + BUSY)
            changed(update(Task).where(*here, *there, free).values(due_at=later))
            return None
        taken = update(Task).where(*here, *there, free)
        values = {"lease_token": token, "lease_until": func.now() + LEASE, "attempts": Task.attempts + 1}
        row = db.session.execute(taken.values(values).returning(Task.id, Task.lane, Task.attempts)).one_or_none()
    return row and Lease(row.id, kind, tenant_id, workspace_id, target_id, row.lane, row.attempts, token)


def _take_lock(lease: Lease, lasts: timedelta) -> bool:
    leased = {"lease_token": lease.token, "lease_until": func.now() + lasts}
    row = row_of(lease.kind, Target(lease.target_id, lease.tenant_id, lease.workspace_id, lane=LOCK))
    statement = insert(Task).values({**row, **leased, "due_at": null()})
    with transaction():
        _lock(lease.target_id)
        if _is_leased(lease.target_id):
            return False
        mine = statement.on_conflict_do_update(index_elements=KEY, set_=leased).returning(Task.id)
        lease.id = db.session.execute(mine).scalar_one()
    return True


def _lock(target_id: UUID) -> None:
    """Lock the target until the end of the transaction: a row lock would not exclude rows that are being inserted."""
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(target_id), 0))))


def _is_leased(target_id: UUID) -> bool:
    leased = exists().where(Task.target_id == target_id, Task.lease_until > func.now(), Task.lease_token.is_not(None))
    return bool(db.session.scalar(select(leased)))


def _put_back(
    lease: Lease,
    delay: timedelta,
    *,
    waiting_for: str | None = None,
    lane: str | None = None,
    attempts: int | None = None,
) -> None:
    values = {
        "lease_token": None,
        "lease_until": None,
        "due_at": func.now() + delay,
        "waiting_for": waiting_for,
        "lane": lane or lease.lane,
        "attempts": lease.attempts if attempts is None else attempts,
    }
    with transaction():
        changed(update(Task).where(*lease.mine).values(values))


def _pause(lease: Lease) -> timedelta:
    """Longer with each attempt that failed; what can be given up is, by whoever knows how (``exhausted``)."""
    longer: timedelta = LEASE * 2 ** max(0, min(lease.attempts - MOST_ATTEMPTS, 10))
    return min(longer, LONGEST_WAIT)


@contextmanager
def _renewed(
    lease: Lease, seconds: float, on_lost: Callable[[], None] | None, lasts: timedelta = LEASE
) -> Iterator[None]:
    over = threading.Event()
    arguments = db.engine, lease, over, seconds, on_lost, lasts  # the engine: the thread is outside of the application
    thread = threading.Thread(target=_renew, args=arguments, name=f"lease-{lease.token}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _renew(
    engine: Engine,
    lease: Lease,
    over: threading.Event,
    seconds: float,
    on_lost: Callable[[], None] | None,
    lasts: timedelta,
) -> None:
    statement = update(Task).where(*lease.mine).values(lease_until=func.now() + lasts)
    while not over.wait(seconds):
        try:
            with engine.begin() as connection:
                renewed = connection.execute(statement).rowcount
        except SQLAlchemyError as error:
            log.warning("the lease of %s of %s was not renewed: %s", lease.kind, lease.target_id, type(error).__name__)
            continue
        if not renewed:
            lease.lost.set()
            if on_lost is not None:
                on_lost()
            return
