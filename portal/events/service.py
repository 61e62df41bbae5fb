"""Events: written with the change that they tell of, listed for whoever asks, forgotten after a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Flask, current_app
from sqlalchemy import ColumnElement, func, insert, select

from portal import tasks
from portal.database import db, new_id, now, transaction
from portal.events.models import Event, EventType
from portal.tasks import Target
from portal.web.paging import Paging, cut

KEEP_EVENTS = timedelta(days=90)
BATCH = 5_000  # rows forgotten in one transaction

# A tenant's id; the condition that somebody wants to know of its events.
Listening = Callable[[UUID], ColumnElement[bool]]


def register(app: Flask, listening: Listening) -> None:
    """Set by which condition events are dispatched: once, by the composition root, as webhooks stand above events."""
    app.extensions["portal.listening"] = listening


def record(event_type: EventType, tenant_id: UUID, workspace_id: UUID | None, **data: Any) -> None:
    """Write one event with the open transaction. ``data`` is JSON: ids as text, sizes in bytes, never secrets.

    Where a webhook listens, it is dispatched to those who want it.
    """
    event_id = new_id()
    statement = insert(Event).values(
        id=event_id, time=now(), type=event_type.value, tenant_id=tenant_id, workspace_id=workspace_id, data=data
    )
    db.session.execute(statement)
    listening: Listening = current_app.extensions["portal.listening"]
    # A condition of the statement that inserts the task: most tenants have no webhook, and need no query for that.
    tasks.schedule_if(listening(tenant_id), "dispatch", Target(event_id, tenant_id, tasks.NOWHERE))


def list_events(tenant_id: UUID, only: EventType | None, paging: Paging) -> tuple[Sequence[Event], str | None]:
    """One page of what happened in the tenant, the newest first, and the cursor of the next."""
    statement = select(Event).where(Event.tenant_id == tenant_id).order_by(Event.id.desc()).limit(paging.limit + 1)
    if only is not None:
        statement = statement.where(Event.type == only.value)
    if (after := paging.after_id()) is not None:
        statement = statement.where(Event.id < after)
    return cut(db.session.scalars(statement).all(), paging, key=lambda event: event.id)


def forget() -> int:
    """Remove what is older than ``KEEP_EVENTS``, of every tenant; how many."""
    before, total = now() - KEEP_EVENTS, 0
    while True:
        with transaction():
            gone = int(db.session.scalar(select(func.delete_old_events(before, BATCH))) or 0)
        total += gone
        if gone < BATCH:
            return total
