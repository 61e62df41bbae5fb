"""What happened to files, counted by tenant and day (UTC) with the change that it counts: no chart sums over assets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from portal.assets.models import DailyCount
from portal.database import db, now

What = Literal["scan", "upload"]


def count(tenant_id: UUID, what: What, label: str, size_bytes: int = 0) -> None:
    """One more; belongs inside the transaction of the change, before the quota's counters are moved."""
    row = {"tenant_id": tenant_id, "day": now().date(), "kind": what, "label": label[:60]}
    added = insert(DailyCount).values(**row, number=1, bytes=size_bytes)
    sums = {"number": DailyCount.number + 1, "bytes": DailyCount.bytes + size_bytes}
    db.session.execute(added.on_conflict_do_update(index_elements=list(row), set_=sums))


def of_tenant(tenant_id: UUID, what: What, days: int) -> list[Any]:
    """(day, label, number) of the last ``days``, today with them, the oldest first."""
    first = now().date() - timedelta(days=days - 1)
    here = DailyCount.tenant_id == tenant_id, DailyCount.kind == what, DailyCount.day >= first
    columns = DailyCount.day, DailyCount.label, DailyCount.number
    return list(db.session.execute(select(*columns).where(*here).order_by(DailyCount.day)))


def of_all(days: int) -> list[Any]:
    """(day, kind, label, number, bytes) of the last ``days`` over all tenants."""
    first = now().date() - timedelta(days=days - 1)
    source = func.counts_since(first).table_valued("day", "kind", "label", "number", "bytes")
    return list(db.session.execute(select(source).order_by(source.c.day)))
