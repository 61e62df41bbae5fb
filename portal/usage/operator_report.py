"""The report over all tenants, for operators."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from portal.database import db, now
from portal.identity.models import User
from portal.quotas.levels import Counter, UsageStatus
from portal.tenancy.models import Plan, Tenant
from portal.usage import snapshots, tenant_report
from portal.usage.forecast import WINDOW
from portal.usage.tenant_report import Place, PlanLine, Report, Somebody

# Row-level security hides the rows of all tenants from the application's role: functions with the owner's rights answer
# sums and names (docs/database-functions.md).
_TENANTS = func.usage_by_tenant().table_valued(
    "tenant_id",
    "limit_bytes",
    "plan_bytes",
    "override_until",
    "used_bytes",
    "reserved_bytes",
    "used_files",
    "workspaces",
    "promised_bytes",
    "growth_bytes",
    "full_on",
)
_WORKSPACES = func.largest_workspaces(tenant_report.FIRST).table_valued(
    "workspace_id", "tenant_id", "name", "bytes", "files", "limit_bytes"
)
_PEOPLE = func.largest_people(tenant_report.FIRST).table_valued("user_id", "bytes", "files")
_PARTS = func.usage_by_part().table_valued("part", "kind", "mode", "storage_class", "bytes", "files")


@dataclass(frozen=True)
class TenantLine:
    """One tenant; sizes in bytes. ``over_bytes``: what its workspaces were promised beyond its limit."""

    id: UUID
    slug: str
    name: str
    plan: str
    quota: UsageStatus
    files: int
    workspaces: int
    plan_bytes: int | None
    override_until: datetime | None
    over_bytes: int
    growth_bytes: int | None
    full_on: date | None


def list_tenants() -> list[TenantLine]:
    """Every tenant, what holds most first; one statement."""
    query = select(_TENANTS, Tenant.slug, Tenant.name, Tenant.plan).join(Tenant, Tenant.id == _TENANTS.c.tenant_id)
    rows = db.session.execute(query.order_by(_TENANTS.c.used_bytes.desc(), Tenant.slug))
    return [_line(row) for row in rows]


def find_tenant(tenant_id: UUID) -> Tenant | None:
    """By its id."""
    return db.session.get(Tenant, tenant_id)


def report(tenants: list[TenantLine]) -> Report:
    """Over all tenants; ``near_limit`` are tenants."""
    today = snapshots.today()
    by_day = func.usage_by_day(today - timedelta(days=WINDOW)).table_valued("day", "used_bytes")
    days = [(row.day, int(row.used_bytes)) for row in db.session.execute(select(by_day))]
    parts = db.session.execute(select(_PARTS).order_by(_PARTS.c.part, _PARTS.c.bytes.desc()))
    return Report(
        generated_at=now(),
        as_of=None,
        total_bytes=sum(line.quota.used_bytes for line in tenants),
        total_files=sum(line.files for line in tenants),
        limit_bytes=None,
        by_plan=_by_plan(tenants),
        near_limit=[_place(line) for line in tenants if line.quota.percent >= tenant_report.NEAR * 100 and _held(line)],
        top_users=_people(),
        top_workspaces=[_workspace(row) for row in db.session.execute(select(_WORKSPACES))],
        parts=[tenant_report.part_line(row) for row in parts],
        days=days,
        outlook=snapshots.outlook(days, None, today),
    )


def _line(row: Any) -> TenantLine:
    overridden = row.override_until is not None and row.override_until > now()
    promised = int(row.promised_bytes)
    return TenantLine(
        id=row.tenant_id,
        slug=row.slug,
        name=row.name,
        plan=row.plan,
        quota=Counter("tenant", row.limit_bytes, row.used_bytes, row.reserved_bytes).status(),
        files=row.used_files,
        workspaces=row.workspaces,
        plan_bytes=row.plan_bytes,
        override_until=row.override_until if overridden else None,
        over_bytes=0 if row.limit_bytes is None else max(0, promised - row.limit_bytes),
        growth_bytes=row.growth_bytes,
        full_on=row.full_on,
    )


def _held(line: TenantLine) -> int:
    return line.quota.used_bytes + line.quota.reserved_bytes


def _place(line: TenantLine) -> Place:
    quota = line.quota
    return Place(line.id, None, line.name, quota.used_bytes, quota.reserved_bytes, line.files, quota.limit_bytes)


def _workspace(row: Any) -> Place:
    return Place(row.tenant_id, row.workspace_id, row.name, row.bytes, 0, row.files, row.limit_bytes)


def _people() -> list[Somebody]:
    rows = db.session.execute(select(_PEOPLE)).all()
    users = select(User.id, User.name, User.email).where(User.id.in_([row.user_id for row in rows]))
    known = {row.id: (row.name, row.email) for row in db.session.execute(users)}
    return [Somebody(r.user_id, *known.get(r.user_id, ("", "")), int(r.bytes), int(r.files)) for r in rows]


def _by_plan(tenants: list[TenantLine]) -> list[PlanLine]:
    # The plan's own limit: a tenant may have another one.
    limits = {plan.code: plan.limit_bytes for plan in db.session.scalars(select(Plan))}
    plans: defaultdict[str, list[TenantLine]] = defaultdict(list)
    for line in tenants:
        plans[line.plan].append(line)
    return [
        PlanLine(
            plan=plan,
            tenants=len(found),
            bytes=sum(line.quota.used_bytes for line in found),
            files=sum(line.files for line in found),
            limit_bytes=limits[plan],
        )
        for plan, found in sorted(plans.items())
    ]
