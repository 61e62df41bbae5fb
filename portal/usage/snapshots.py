"""What workspaces and tenants used at the end of each UTC day, and the forecast from the last 30 days.

Today's row is written again by every pass, so that yesterday's is what was used when the day ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from portal.database import db, now, transaction
from portal.quotas import limits
from portal.quotas.limits import WorkspaceCounters
from portal.tenancy.models import Tenant
from portal.texts import Text
from portal.usage import forecast
from portal.usage.forecast import WINDOW, Outlook
from portal.usage.models import TenantSnapshot, UsageSnapshot, WorkspaceUsage

KEEP = timedelta(days=800)  # two years and some: a year can be compared with the one before
Point = tuple[date, int]


def today() -> date:
    """The UTC day that it is."""
    return now().astimezone(UTC).date()


def take() -> Text:
    """Write today's rows of every tenant; a periodic task, safe to run at any time."""
    with transaction():
        tenants = list(db.session.scalars(select(Tenant.id).order_by(Tenant.id)))
    for tenant_id in tenants:
        take_of(tenant_id)
    return Text("Snapshots of %(day)s were taken. Tenants: %(count)s.", day=today().isoformat(), count=len(tenants))


def take_of(tenant_id: UUID) -> None:
    """Write one tenant's rows of today, and the forecast of each of its workspaces."""
    day = today()
    with transaction(tenant_id) as session:
        counters = limits.of_workspaces(tenant_id)
        _write_workspaces(tenant_id, counters, day)
        _write_forecasts(tenant_id, counters, day)
        _write_tenant(tenant_id, day)
        # Of this tenant alone: row-level security shows no other's rows to the transaction.
        for table in (UsageSnapshot, TenantSnapshot):
            session.execute(delete(table).where(table.tenant_id == tenant_id, table.day < day - KEEP))


def _write_workspaces(tenant_id: UUID, counters: Sequence[WorkspaceCounters], day: date) -> None:
    rows = [
        {
            "workspace_id": each.workspace_id,
            "day": day,
            "tenant_id": tenant_id,
            "used_bytes": each.used_bytes,
            "used_files": each.used_files,
        }
        for each in counters
    ]
    _write(UsageSnapshot, ["workspace_id", "day"], rows)


def _write_forecasts(tenant_id: UUID, counters: Sequence[WorkspaceCounters], day: date) -> None:
    """Beside what was measured; a workspace without a measurement gets a row that has only the forecast."""
    points = points_of([each.workspace_id for each in counters], day)
    rows: list[dict[str, Any]] = []
    for each in counters:
        seen = points[each.workspace_id]
        ahead = outlook(seen, each.limit_bytes, day)
        rows.append(
            {
                "workspace_id": each.workspace_id,
                "tenant_id": tenant_id,
                "change_bytes": seen[-1][1] - seen[0][1],
                "growth_bytes": ahead.growth_bytes,
                "full_on": ahead.full_on,
            }
        )
    _write(WorkspaceUsage, ["workspace_id"], rows)


def _write_tenant(tenant_id: UUID, day: date) -> None:
    tenant = limits.of_tenant(tenant_id)
    ahead = outlook(points_of_tenant(tenant_id, day), tenant.limit_bytes, day)
    row = {
        "tenant_id": tenant_id,
        "day": day,
        "used_bytes": tenant.used_bytes,
        "used_files": tenant.used_files,
        "limit_bytes": tenant.limit_bytes,
        "growth_bytes": ahead.growth_bytes,
        "full_on": ahead.full_on,
    }
    _write(TenantSnapshot, ["tenant_id", "day"], [row])


def _write(table: type[UsageSnapshot | TenantSnapshot | WorkspaceUsage], key: list[str], rows: list[Any]) -> None:
    """Insert rows, or change the other columns of those that are there already."""
    # By the primary key: of two passes at once both write, and the later one stays.
    if rows:
        new = insert(table)
        changed = {name: new.excluded[name] for name in rows[0] if name not in (*key, "tenant_id")}
        db.session.execute(new.on_conflict_do_update(index_elements=key, set_=changed), rows)


def outlook(points: Sequence[Point], limit_bytes: int | None, day: date, days: int = WINDOW) -> Outlook:
    """What the ``days`` before ``day`` say: a day that is not over would pull the line."""
    return forecast.outlook(whole_days(points, day, days), limit_bytes, day)


def whole_days(points: Sequence[Point], day: date, days: int = WINDOW) -> list[Point]:
    """Those of the ``days`` before ``day``."""
    return [(at, size) for at, size in points if day - timedelta(days=days) <= at < day]


def points_of_tenant(tenant_id: UUID, day: date, days: int = WINDOW) -> list[Point]:
    """The tenant's (day, bytes) of the ``days`` before ``day``, and of it, the oldest first."""
    query = select(TenantSnapshot.day, TenantSnapshot.used_bytes).where(TenantSnapshot.tenant_id == tenant_id)
    query = query.where(TenantSnapshot.day >= day - timedelta(days=days), TenantSnapshot.day <= day)
    return [(row.day, row.used_bytes) for row in db.session.execute(query.order_by(TenantSnapshot.day))]


def points_of(workspaces: Sequence[UUID], day: date) -> dict[UUID, list[Point]]:
    """The same of workspaces and ``WINDOW`` days, in one statement."""
    query = select(UsageSnapshot.workspace_id, UsageSnapshot.day, UsageSnapshot.used_bytes).where(
        UsageSnapshot.workspace_id.in_(workspaces),
        UsageSnapshot.day >= day - timedelta(days=WINDOW),
        UsageSnapshot.day <= day,
    )
    points: defaultdict[UUID, list[Point]] = defaultdict(list)
    for row in db.session.execute(query.order_by(UsageSnapshot.workspace_id, UsageSnapshot.day)):
        points[row.workspace_id].append((row.day, row.used_bytes))
    return points
