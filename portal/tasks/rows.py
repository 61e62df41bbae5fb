"""Rows are written with the change that makes work due, and go with the one that makes it superfluous."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import redis
from flask import current_app
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    String,
    Uuid,
    any_,
    bindparam,
    case,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.sql.dml import ReturningInsert

from portal import queue
from portal.database import after_commit, db, new_id, now
from portal.queue import JOBS, Entry
from portal.tasks.dispatcher import Due
from portal.tasks.models import NOWHERE, SCHEDULER, Target, Task, changed

KEY = ["target_id", "kind"]


def _anew(statement: Insert) -> dict[str, Any]:
    """What a task that is there already becomes when it is scheduled again."""
    fresh = {name: statement.excluded[name] for name in ("lane", "due_at", "attempts", "waiting_for")}
    return {**fresh, "lease_token": None, "lease_until": None}


def _upsert(new: Insert) -> ReturningInsert[UUID, bool]:
    """Write one row; its id, and whether it is due."""
    is_due = func.coalesce(Task.due_at <= func.now(), False)
    return new.on_conflict_do_update(index_elements=KEY, set_=_anew(new)).returning(Task.id, is_due)


# Made once: to build this statement and look it up costs SQLAlchemy as much as two others cost in all, and every upload
# that is begun, committed or verified schedules tasks.
_SCHEDULE = _upsert(insert(Task))
_SCHEDULE_NOW = _upsert(insert(Task).values(due_at=func.now()))
_CANCEL = delete(Task).where(Task.target_id == any_(bindparam("targets", type_=ARRAY(Uuid()))))
_CANCEL_KINDS = _CANCEL.where(Task.kind == any_(bindparam("kinds", type_=ARRAY(String()))))


def schedule(
    kind: str,
    target_id: UUID,
    *,
    tenant_id: UUID = NOWHERE,
    workspace_id: UUID = NOWHERE,
    due_at: datetime | None = None,
    lane: str | None = None,
) -> None:
    """Have ``kind`` done to a target, at ``due_at`` or at once, with all its attempts; in the caller's transaction.

    A task that is there already starts anew, and whoever is working on it loses the lease: what made it due now may
    have happened after the facts that were read for it. Other than the kind's own lane only for what is known to be
    slow.
    """
    row = row_of(kind, Target(target_id, tenant_id, workspace_id, due_at, lane))
    if due_at is None:
        del row["due_at"]
    db.session.flush()  # rows are locked in the order of the command, this one after those that it has changed
    statement = _SCHEDULE_NOW if due_at is None else _SCHEDULE
    task_id, is_due = db.session.connection().execute(statement, row).one()
    if is_due and kind in JOBS:
        _enqueue_after_commit([Due(task_id, kind, tenant_id, workspace_id, target_id, row["lane"], 0).entry])


def schedule_all(
    kind: str,
    target_ids: Sequence[UUID],
    *,
    tenant_id: UUID = NOWHERE,
    workspace_id: UUID = NOWHERE,
    due_at: datetime | None = None,
) -> None:
    """The same for many targets of one workspace, in one statement however many they are."""
    if not target_ids:
        return
    row = row_of(kind, Target(NOWHERE, tenant_id, workspace_id, due_at))
    row["target_id"] = func.unnest(bindparam("targets", list(target_ids), ARRAY(Uuid())))
    row["id"] = func.gen_random_uuid()
    columns = [value if isinstance(value, ColumnElement) else literal(value) for value in row.values()]
    statement = insert(Task).from_select(list(row), select(*columns))
    _write(statement.on_conflict_do_update(index_elements=KEY, set_=_anew(statement)))


def schedule_if(condition: ColumnElement[bool], kind: str, target: Target) -> None:
    """``schedule`` by a query, in one statement. For tasks that need not be enqueued at once."""
    row = row_of(kind, target)
    columns = [value if isinstance(value, ColumnElement) else literal(value) for value in row.values()]
    new = insert(Task).from_select(list(row), select(*columns).where(condition))
    db.session.execute(new.on_conflict_do_nothing())


def schedule_sooner(kind: str, target: Target) -> None:
    """Make it due at ``due_at`` at the latest. A worker that has the lease continues, and finds what is new."""
    statement = insert(Task).values(row_of(kind, target))
    sooner = func.least(Task.due_at, statement.excluded.due_at)
    _write(statement.on_conflict_do_update(index_elements=KEY, set_={"due_at": sooner}))


def schedule_waiting(kind: str, target: Target, waiting_for: str) -> None:
    """Have it done once ``wake`` is called for ``waiting_for``."""
    statement = insert(Task).values(row_of(kind, target) | {"due_at": null(), "waiting_for": waiting_for})
    _write(statement.on_conflict_do_update(index_elements=KEY, set_=_anew(statement)))


def wake(waiting_for: str, *, most: int) -> int:
    """Let at most so many tasks that wait for this be due now; how many. Inside the caller's transaction."""
    some = select(Task.id).where(Task.waiting_for == waiting_for, Task.due_at.is_(None)).limit(most)
    woken = update(Task).where(Task.id.in_(some.with_for_update(skip_locked=True)))
    return changed(woken.values(due_at=func.now(), waiting_for=None))


def cancel(target_ids: UUID | Iterable[UUID], *kinds: str) -> int:
    """There is nothing to be done any more: of these kinds, or of any; how many. Inside the caller's transaction.

    Whoever works on it loses the lease.
    """
    ids = [target_ids] if isinstance(target_ids, UUID) else list(target_ids)
    db.session.flush()  # as in ``schedule``
    values = {"targets": ids, "kinds": list(kinds)} if kinds else {"targets": ids}
    return db.session.connection().execute(_CANCEL_KINDS if kinds else _CANCEL, values).rowcount


def hurry() -> int:
    """Make everything that waits for its next attempt due now. Returns how many. Leases stay."""
    free = or_(Task.lease_until.is_(None), Task.lease_until < func.now())
    again = or_(Task.attempts > 0, Task.waiting_for.is_not(None)), Task.due_at > func.now()
    return changed(update(Task).where(*again, free).values(due_at=func.now()))


def waiting_for(target_ids: Iterable[UUID], kind: str) -> dict[UUID, str]:
    """What the tasks of this kind wait for, of those that do."""
    here = Task.target_id.in_(list(target_ids)), Task.kind == kind, Task.waiting_for.is_not(None)
    return {
        row.target_id: row.waiting_for
        for row in db.session.execute(select(Task.target_id, Task.waiting_for).where(*here))
    }


def row_of(kind: str, target: Target) -> dict[str, Any]:
    """The columns of a task.

    Now is the time of the database, with which workers compare it; machines' clocks differ.
    """
    return {
        "id": new_id(),
        "created_at": now(),
        "kind": kind,
        "target_id": target.id,
        "tenant_id": target.tenant_id,
        "workspace_id": target.workspace_id,
        "lane": target.lane or (JOBS[kind].lane if kind in JOBS else SCHEDULER),
        "due_at": func.now() if target.due_at is None else target.due_at,
        "attempts": 0,
        "waiting_for": None,
    }


def _write(statement: Any) -> None:
    """Write rows, and have enqueued after the commit what is due by now."""
    columns = Task.id, Task.kind, Task.tenant_id, Task.workspace_id, Task.target_id, Task.lane, Task.attempts
    soon = case((Task.lease_token.is_not(None), False), else_=Task.due_at <= func.now()).label("soon")
    rows = db.session.execute(statement.returning(*columns, soon)).all()
    ready = [Due(*row[:7]).entry for row in rows if row.soon and row.kind in JOBS]
    if ready:
        _enqueue_after_commit(ready)


def _enqueue_after_commit(ready: Sequence[Entry]) -> None:
    connection: redis.Redis = current_app.extensions["portal.redis"]
    after_commit(lambda: cast(None, queue.enqueue_where_idle(connection, ready)))
