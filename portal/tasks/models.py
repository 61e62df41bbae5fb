"""The table of tasks, and what names one."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Identified, db

LEASE = timedelta(seconds=60)
MOST_ATTEMPTS = 5
SCHEDULER = "scheduler"  # the lane of what needs the database alone: the scheduler does it in its own process
LOCK = "lock"  # the lane of rows that are never due: whoever has one keeps others from doing the same
NOWHERE = UUID(int=0)  # the tenant and workspace of what belongs to none


class Task(Identified, Base):
    """One pending task. ``due_at`` null: it has no time, and waits for ``waiting_for``.

    ``lease_token`` is its worker's, until ``lease_until``; ``attempts`` counts those that were not ended by a part
    that is unavailable; ``waiting_for`` says which part that is.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        UniqueConstraint("target_id", "kind"),
        # For ``due``: the groups of lane, kind and tenant are walked in this order, each of them by time.
        Index("ix_tasks_lane", "lane", "kind", "tenant_id", "due_at"),
        Index("ix_tasks_due_at", "due_at"),
        Index("ix_tasks_waiting_for", "waiting_for", "kind", postgresql_where=text("waiting_for IS NOT NULL")),
        Index("ix_tasks_leased", "lane", "tenant_id", postgresql_where=text("lease_token IS NOT NULL")),
    )

    kind: Mapped[str] = mapped_column(String(30))
    target_id: Mapped[UUID]
    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    lane: Mapped[str] = mapped_column(String(20))
    due_at: Mapped[datetime | None]
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    waiting_for: Mapped[str | None] = mapped_column(String(60))


class LeaseLost(Exception):
    """Somebody else has the task by now, or it was cancelled: what its holder found must not be written."""


@dataclass
class Lease:
    """The right to do one task, and to write what came of it, until it is lost."""

    id: UUID
    kind: str
    tenant_id: UUID
    workspace_id: UUID
    target_id: UUID
    lane: str
    attempts: int
    token: str
    lost: threading.Event = field(default_factory=threading.Event)

    @property
    def exhausted(self) -> bool:
        """Has the task had every attempt it gets, not counting the present one?"""
        return self.attempts > MOST_ATTEMPTS

    @property
    def mine(self) -> list[ColumnElement[bool]]:
        """Conditions that hold as long as the lease does."""
        return [Task.id == self.id, Task.lease_token == self.token]


@dataclass(frozen=True)
class Target:
    """What a task is about."""

    id: UUID
    tenant_id: UUID
    workspace_id: UUID
    due_at: datetime | None = None
    lane: str | None = None


def changed(statement: Any) -> int:
    """Run a statement that changes rows behind the session's back; how many."""
    result = db.session.execute(statement.execution_options(synchronize_session=False))
    return cast(CursorResult[Any], result).rowcount
