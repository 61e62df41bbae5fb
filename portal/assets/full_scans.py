"""Scanning everything again: after a big step of the signatures, or because an operator asks for it.

One runs at a time, through all tenants in the order of ids, a batch after another on the last of the queues, so that
nothing else waits for it. A batch is done when every file of it was looked at since the scan began, or after an hour.
What a lost bell left out is rung again: a stop at any point, of workers, Valkey or the clock, costs nothing but time.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import redis
from flask import current_app
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from portal import audit, queue
from portal.assets.models import Rescan
from portal.database import db, new_id, now, transaction
from portal.errors import Conflict
from portal.inspection import scanner_status
from portal.inspection.models import ScannerProof

log = logging.getLogger(__name__)

BATCH = 200
MOST_SHOWN = 5
RING_AGAIN = timedelta(seconds=60)
PATIENCE = timedelta(hours=1)  # for a batch: a store that is away must not keep the others' files from being scanned
BIG_STEP = 30  # ClamAV numbers its databases by the day: so many of them are a month's
FIRST = UUID(int=0)


class Handed(NamedTuple):
    """A file that is to be looked at."""

    tenant_id: UUID
    workspace_id: UUID
    id: UUID


def start(why: str, actor_id: UUID | None) -> Rescan:
    """Begin; ``why`` is ``operator`` or ``signatures``. Raises ``Conflict`` while one runs, or without a scanner."""
    proof = scanner_status.last()
    if proof is None or proof.state != "ready":
        raise Conflict("There is no scanner that could look at anything now.")
    began = now()
    with transaction(None):
        total = int(db.session.scalar(select(func.count_for_rescan(began))) or 0)
        values = {"id": new_id(), "created_at": began, "started_by": actor_id, "why": why, "total": total}
        place = {"database": proof.database or "", "until": new_id(), "cursor": FIRST, "handed": 0}
        blank = {"done": 0, "infected": 0, "stopped": False}
        made = db.session.execute(
            insert(Rescan).values(**values, **place, **blank).on_conflict_do_nothing().returning(Rescan.id)
        ).one_or_none()
        if made is None:
            raise Conflict("Everything is being scanned already.")
        db.session.execute(update(ScannerProof).values(rescanned_version=ScannerProof.version))
        audit.record_act(actor_id, "rescan.started", None, rows=total)
    return db.session.get_one(Rescan, values["id"])


def stop(actor_id: UUID) -> None:
    """End the one that runs where it stands. Raises ``Conflict`` when none does."""
    with transaction(None):
        over = {"finished_at": now(), "stopped": True}
        running = update(Rescan).where(Rescan.finished_at.is_(None)).values(over).returning(Rescan.done)
        row = db.session.execute(running).one_or_none()
        if row is None:
            raise Conflict("Nothing is being scanned again.")
        audit.record_act(actor_id, "rescan.stopped", None, rows=row.done)


def running() -> Rescan | None:
    """The one that runs."""
    return db.session.scalar(select(Rescan).where(Rescan.finished_at.is_(None)))


def history() -> list[Rescan]:
    """The last ones, the newest first."""
    fresh = select(Rescan).order_by(Rescan.id.desc()).limit(MOST_SHOWN).execution_options(populate_existing=True)
    return list(db.session.scalars(fresh))


def note_find() -> None:
    """One infected file more, when everything is being scanned; inside the transaction that holds it."""
    found = update(Rescan).where(Rescan.finished_at.is_(None)).values(infected=Rescan.infected + 1)
    db.session.execute(found.execution_options(synchronize_session=False))


def go_on() -> int:
    """Hand the next batch to workers once the last one is done; how many bells were rung. Needs a scanner."""
    if not _workers_are_free():
        return 0
    with transaction(None):
        free = select(Rescan).where(Rescan.finished_at.is_(None)).with_for_update(skip_locked=True)
        rescan = db.session.scalar(free.execution_options(populate_existing=True))
        batch = _next_batch(rescan) if rescan is not None else []
    for each in batch:
        queue.ring("scan_again", *each)
    return len(batch)


def start_after_updates() -> str:
    """The chore: begin when the signatures have made a big step since everything was scanned last."""
    proof = scanner_status.last()
    if proof is None or proof.state != "ready" or proof.version is None:
        return "There is no scanner with dated signatures."
    if proof.rescanned_version is None:
        with transaction(None):
            db.session.execute(update(ScannerProof).values(rescanned_version=proof.version))
        return f"From database {proof.version} on, steps are counted."
    step = proof.version - proof.rescanned_version
    if step < BIG_STEP:
        return f"The signatures are {step} databases ahead of the last scan of everything; {BIG_STEP} are a big step."
    if running() is not None:
        return "Everything is being scanned again."
    return f"The signatures are {step} databases ahead: {start('signatures', None).total} files are scanned again."


def _workers_are_free() -> bool:
    try:
        return not queue.depths(current_app.extensions["portal.redis"])["idle"]
    except redis.RedisError:
        return False


def _next_batch(rescan: Rescan) -> list[Handed]:
    """What to ring for now: the rest of the batch at hand after a while, or the next one."""
    if rescan.handed_to is not None:
        left = _due(rescan, rescan.handed_to)
        if left and (rescan.handed_at is None or rescan.handed_at > now() - PATIENCE):
            if rescan.rung_at is not None and rescan.rung_at > now() - RING_AGAIN:
                return []
            rescan.rung_at = now()
            return left
        if left:
            log.warning("%d files could not be scanned again, because their storage is away", len(left))
        rescan.cursor, rescan.done = rescan.handed_to, rescan.done + rescan.handed - len(left)
        rescan.handed_to, rescan.handed = None, 0
    batch = _due(rescan, rescan.until)
    if not batch:
        rescan.finished_at = now()
        return []
    rescan.handed_to, rescan.handed = batch[-1].id, len(batch)
    rescan.handed_at = rescan.rung_at = now()
    return batch


def _due(rescan: Rescan, until: UUID) -> list[Handed]:
    source = func.due_for_rescan(rescan.cursor, until, rescan.created_at, BATCH)
    rows = db.session.execute(select(source.table_valued(*Handed._fields)))
    return [Handed(*row) for row in rows]
