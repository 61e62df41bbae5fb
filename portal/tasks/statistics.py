"""Statistics for operators: the backlog, and tasks that keep failing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Float, cast, func, or_, select, union

from portal.database import db
from portal.tasks.models import LOCK, Target, Task

ERROR = "error"  # the reason of what fails without waiting for anything


@dataclass(frozen=True)
class Backlog:
    """Tasks of one kind that are due, or wait: ``due`` now and ``later``; the oldest has waited for so many seconds."""

    kind: str
    waiting_for: str
    due: int
    later: int
    oldest_seconds: float


def backlog() -> list[Backlog]:
    """What is due, and what waits for a part or for its next attempt, by kind and reason.

    Not what has its time still to come: the million files in the trash are no backlog.
    """
    is_due = Task.due_at <= func.now()
    # Two statements, each by an index of its own: "due, or waiting" would read the whole table.
    columns = Task.id, Task.kind, func.coalesce(Task.waiting_for, "").label("waiting_for"), Task.due_at, Task.created_at
    rows = union(
        select(*columns).where(is_due, Task.lane != LOCK),
        select(*columns).where(Task.waiting_for.is_not(None)),
    ).subquery()
    now_due = rows.c.due_at <= func.now()
    since = func.min(func.coalesce(func.least(rows.c.due_at, func.now()), rows.c.created_at))
    statement = select(
        rows.c.kind,
        rows.c.waiting_for,
        func.count().filter(now_due),
        func.count().filter(or_(rows.c.due_at.is_(None), ~now_due)),
        cast(func.extract("epoch", func.now() - since), Float),
    )
    found = db.session.execute(statement.group_by(rows.c.kind, rows.c.waiting_for).order_by(rows.c.kind))
    return [Backlog(*row) for row in found]


@dataclass(frozen=True)
class Failing:
    """Tasks of one kind that keep failing, or waiting, for one reason."""

    code: str
    number: int
    day: int
    week: int
    oldest: datetime


def failing(kind: str) -> list[Failing]:
    """By reason: all there are, and those of the last day and week."""
    code, age = func.coalesce(Task.waiting_for, ERROR), func.now() - Task.created_at
    statement = select(
        code,
        func.count(),
        func.count().filter(age < timedelta(days=1)),
        func.count().filter(age < timedelta(days=7)),
        func.min(Task.created_at),
    )
    return [Failing(*row) for row in db.session.execute(statement.where(*_fails(kind)).group_by(code))]


def failing_targets(kind: str, code: str, most: int) -> list[Target]:
    """What these are about."""
    here = *_fails(kind), func.coalesce(Task.waiting_for, ERROR) == code
    columns = Task.target_id, Task.tenant_id, Task.workspace_id
    return [Target(*row) for row in db.session.execute(select(*columns).where(*here).order_by(Task.id).limit(most))]


def _fails(kind: str) -> tuple[ColumnElement[bool], ...]:
    return Task.kind == kind, or_(Task.attempts > 1, Task.waiting_for.is_not(None))
