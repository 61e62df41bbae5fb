"""Events: written with the change that they tell of, listed for whoever asks, forgotten after a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Uuid, bindparam, func, insert, select, text

from portal import queue
from portal.database import after_commit, db, new_id, now, transaction
from portal.events.models import Event, EventType
from portal.statements import directly
from portal.web.paging import Paging, cut

KEEP_EVENTS = timedelta(days=90)
BATCH = 5_000  # rows forgotten in one transaction

# Each value has a name of its own, so that the statement can be a part of another one. Where nobody listens, nobody has
# to be told; the table of webhooks is named in SQL only: its room stands above this one.
_NOBODY_LISTENS = text(
    "NOT EXISTS (SELECT FROM webhook_endpoints WHERE tenant_id = :told_tenant_id AND state <> 'disabled')"
).bindparams(bindparam("told_tenant_id", type_=Uuid()))
INSERT = (
    insert(Event)
    .values(
        {
            column.name: bindparam(f"told_{column.name}", type_=column.type)
            for column in Event.__table__.columns
            if column.name != "told"
        }
        | {"told": _NOBODY_LISTENS}
    )
    .returning(Event.told)
)
NOBODY = UUID(int=0)  # the bell is for all tenants


def record(event_type: EventType, tenant_id: UUID, workspace_id: UUID | None, **data: Any) -> None:
    """Write one event with the open transaction. ``data`` is JSON: ids as text, sizes in bytes, never secrets."""
    (row,) = directly(INSERT, **values_of(event_type, tenant_id, workspace_id, **data))
    if not row.told:
        after_commit(_ring)


def _ring() -> None:
    """Somebody listens, and should not wait for the clock."""
    queue.ring("tell", NOBODY, NOBODY, NOBODY)


def values_of(event_type: EventType, tenant_id: UUID, workspace_id: UUID | None, **data: Any) -> dict[str, Any]:
    """What ``INSERT`` writes, from what ``record`` takes: for a command that writes it with other rows."""
    when = {"told_id": new_id(), "told_time": now(), "told_type": event_type.value}
    return {**when, "told_tenant_id": tenant_id, "told_workspace_id": workspace_id, "told_data": Jsonb(data)}


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
            gone = int(db.session.scalar(select(func.forget_events(before, BATCH))) or 0)
        total += gone
        if gone < BATCH:
            return total
