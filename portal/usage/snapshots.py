"""Use at the end of each UTC day, of workspaces and tenants, and what the last 30 days say about the next.

Today's row is written again at every look, so that yesterday's is what was used when the day ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, timedelta
from uuid import UUID

from sqlalchemy import select, text

from portal.database import db, now, transaction
from portal.tenancy.models import Tenant
from portal.texts import Text
from portal.usage import forecast
from portal.usage.forecast import WINDOW, Outlook
from portal.usage.models import TenantSnapshot, UsageSnapshot

KEEP = timedelta(days=800)  # two years and some: a year can be compared with the one before
Point = tuple[date, int]


_TAKE_WORKSPACES = text("""
    INSERT INTO usage_snapshots (workspace_id, day, tenant_id, used_bytes, used_files)
    SELECT workspace_id, :day, tenant_id, used_bytes, used_files FROM workspace_quotas WHERE tenant_id = :tenant
    ON CONFLICT (workspace_id, day) DO UPDATE SET used_bytes = excluded.used_bytes, used_files = excluded.used_files
""")
_TAKE_TENANT = text("""
    INSERT INTO tenant_snapshots (tenant_id, day, used_bytes, used_files, limit_bytes, growth_bytes, full_on)
    SELECT tenant_id, :day, used_bytes, used_files,
           CASE WHEN override_until > now() THEN override_bytes ELSE limit_bytes END, :growth, :full_on
    FROM tenant_quotas WHERE tenant_id = :tenant
    ON CONFLICT (tenant_id, day) DO UPDATE SET
        used_bytes = excluded.used_bytes, used_files = excluded.used_files, limit_bytes = excluded.limit_bytes,
        growth_bytes = excluded.growth_bytes, full_on = excluded.full_on
""")
_WRITE_OUTLOOKS = text("""
    INSERT INTO workspace_usage (workspace_id, tenant_id, duration_ms, folders, largest, duplicates, duplicate_files,
                                 duplicate_bytes, downloads, download_bytes, change_bytes, growth_bytes, full_on)
    SELECT n.workspace_id, :tenant, 0, '[]', '[]', '[]', 0, 0, 0, 0, n.change, n.growth, n.full_on
    FROM unnest(CAST(:workspaces AS uuid[]), CAST(:changes AS bigint[]), CAST(:growths AS bigint[]),
                CAST(:full_ons AS date[])) AS n (workspace_id, change, growth, full_on)
    ON CONFLICT (workspace_id) DO UPDATE SET
        change_bytes = excluded.change_bytes, growth_bytes = excluded.growth_bytes, full_on = excluded.full_on
""")
_LIMITS = text("SELECT workspace_id, limit_bytes FROM workspace_quotas WHERE tenant_id = :tenant")
_TENANT_LIMIT = text("""
    SELECT CASE WHEN override_until > now() THEN override_bytes ELSE limit_bytes END AS limit_bytes
    FROM tenant_quotas WHERE tenant_id = :tenant
""")
_FORGET = (
    text("DELETE FROM usage_snapshots WHERE tenant_id = :tenant AND day < :before"),
    text("DELETE FROM tenant_snapshots WHERE tenant_id = :tenant AND day < :before"),
)


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
    """Write one tenant's rows of today, and where each of its workspaces is going."""
    day = today()
    with transaction(tenant_id):
        db.session.execute(_TAKE_WORKSPACES, {"tenant": tenant_id, "day": day})
        _write_outlooks(tenant_id, day)
        limits = db.session.execute(_TENANT_LIMIT, {"tenant": tenant_id}).all()
        seen = outlook(points_of_tenant(tenant_id, day), limits[0].limit_bytes if limits else None, day)
        db.session.execute(
            _TAKE_TENANT, {"tenant": tenant_id, "day": day, "growth": seen.growth_bytes, "full_on": seen.full_on}
        )
        for statement in _FORGET:
            db.session.execute(statement, {"tenant": tenant_id, "before": day - KEEP})


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


def _write_outlooks(tenant_id: UUID, day: date) -> None:
    limits = {row.workspace_id: row.limit_bytes for row in db.session.execute(_LIMITS, {"tenant": tenant_id})}
    points = points_of(list(limits), day)
    seen = {each: outlook(points[each], limit, day) for each, limit in limits.items()}
    db.session.execute(
        _WRITE_OUTLOOKS,
        {
            "tenant": tenant_id,
            "workspaces": list(seen),
            "changes": [points[each][-1][1] - points[each][0][1] for each in seen],
            "growths": [each.growth_bytes for each in seen.values()],
            "full_ons": [each.full_on for each in seen.values()],
        },
    )
