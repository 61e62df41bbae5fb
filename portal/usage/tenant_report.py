"""The report of a tenant, or of all tenants for an operator: from counters and measurements, never from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from portal.database import db, now
from portal.quotas import limits
from portal.quotas.levels import Counter, Level
from portal.tenancy.service import Member
from portal.usage import snapshots
from portal.usage.forecast import WINDOW, Outlook
from portal.usage.snapshots import Point

FIRST = 10  # people and workspaces
NEAR = 0.8  # of a limit
MOST_NEAR = 100
MOST_PROFILES = 500
MANAGED = "managed_r2"  # the mode of a profile; storage stands beside this room
UNCOUNTED = frozenset(("derived", "staging", "tmp"))  # what the quota doesn't count, or counts as reserved


@dataclass(frozen=True)
class Place:
    """A workspace (or a tenant: ``workspace_id`` None) with what it holds; sizes in bytes."""

    tenant_id: UUID
    workspace_id: UUID | None
    name: str
    used_bytes: int
    reserved_bytes: int
    files: int
    limit_bytes: int | None

    @property
    def percent(self) -> float:
        """Used and reserved, of the limit."""
        return self._counter.permille / 10

    @property
    def level(self) -> Level:
        """The highest level that was reached."""
        return self._counter.level

    @property
    def _counter(self) -> Counter:
        return Counter("workspace", self.limit_bytes, self.used_bytes, self.reserved_bytes)


@dataclass(frozen=True)
class Somebody:
    """What a person's uploads hold in all workspaces together."""

    user_id: UUID
    name: str
    email: str
    bytes: int
    files: int


@dataclass(frozen=True)
class PlanLine:
    """The tenants of a plan."""

    plan: str
    tenants: int
    bytes: int
    files: int
    limit_bytes: int | None


@dataclass(frozen=True)
class PartLine:
    """Objects of one part, kind, class and kind of store; ``counted``: the quota counts them."""

    part: str
    kind: str
    storage_class: str
    mode: str
    counted: bool
    bytes: int
    files: int

    @property
    def is_managed(self) -> bool:
        """In the deployment's own store, not in a customer's bucket."""
        return self.mode == MANAGED


@dataclass(frozen=True)
class Report:
    """Everything that a report shows. ``as_of``: since when people and parts are at least true; None: not measured."""

    generated_at: datetime
    as_of: datetime | None
    total_bytes: int
    total_files: int
    limit_bytes: int | None
    by_plan: list[PlanLine]
    near_limit: list[Place]
    top_users: list[Somebody]
    top_workspaces: list[Place]
    parts: list[PartLine]
    days: Sequence[Point] = field(default_factory=list)
    outlook: Outlook = field(default_factory=lambda: Outlook(0))

    @property
    def average_bytes(self) -> int:
        """Of a file."""
        return round(self.total_bytes / self.total_files) if self.total_files else 0


_PLACES = """
    SELECT q.tenant_id, q.workspace_id, w.name, q.used_bytes, q.reserved_bytes, q.used_files AS files, q.limit_bytes
    FROM workspace_quotas q JOIN workspaces w ON w.id = q.workspace_id WHERE q.tenant_id = :tenant
"""
_LARGEST = text(f"{_PLACES} AND q.used_bytes > 0 ORDER BY q.used_bytes DESC, q.workspace_id LIMIT :most")
_NEAR = text(f"""
    {_PLACES} AND q.used_bytes + q.reserved_bytes > 0
      AND CAST(q.used_bytes AS numeric) + q.reserved_bytes >= q.limit_bytes * CAST(:share AS numeric)
    ORDER BY (CAST(q.used_bytes AS numeric) + q.reserved_bytes) / nullif(q.limit_bytes, 0) DESC NULLS FIRST,
             q.workspace_id
    LIMIT :most
""")
_PEOPLE = text("""
    SELECT s.user_id, coalesce(u.name, '') AS name, coalesce(u.email, '') AS email, s.bytes, s.files
    FROM (SELECT user_id, sum(bytes) AS bytes, sum(files) AS files FROM usage_people WHERE tenant_id = :tenant
          GROUP BY user_id ORDER BY sum(bytes) DESC, user_id LIMIT :most) s
    LEFT JOIN users u ON u.id = s.user_id ORDER BY s.bytes DESC, s.user_id
""")
_PARTS = text("""
    SELECT p.part, p.kind, p.storage_class, s.mode, sum(p.bytes) AS bytes, sum(p.files) AS files
    FROM usage_parts p JOIN storage_profiles s ON s.id = p.profile_id WHERE p.tenant_id = :tenant
    GROUP BY p.part, p.kind, p.storage_class, s.mode ORDER BY p.part, sum(p.bytes) DESC
""")
_PROFILES = text("""
    SELECT p.profile_id, p.workspace_id, s.name, s.mode, sum(p.bytes) AS bytes, sum(p.files) AS files
    FROM usage_parts p JOIN storage_profiles s ON s.id = p.profile_id WHERE p.tenant_id = :tenant
    GROUP BY p.profile_id, p.workspace_id, s.name, s.mode ORDER BY sum(p.bytes) DESC, p.profile_id LIMIT :most
""")
_AS_OF = text("""
    SELECT CASE WHEN count(*) = count(u.as_of) THEN min(u.as_of) END AS as_of, coalesce(sum(u.downloads), 0) AS links,
           coalesce(sum(u.download_bytes), 0) AS bytes
    FROM workspaces w LEFT JOIN workspace_usage u ON u.workspace_id = w.id WHERE w.tenant_id = :tenant
""")
_PLAN = text("SELECT plan FROM tenants WHERE id = :tenant")


def of_tenant(member: Member) -> Report:
    """The member's tenant; a fixed number of statements."""
    tenant, day = {"tenant": member.tenant_id}, snapshots.today()
    whole = limits.of_tenant(member.tenant_id)
    days = snapshots.points_of_tenant(member.tenant_id, day)
    plan = db.session.execute(_PLAN, tenant).one().plan
    return Report(
        generated_at=now(),
        as_of=db.session.execute(_AS_OF, tenant).one().as_of,
        total_bytes=whole.used_bytes,
        total_files=whole.used_files,
        limit_bytes=whole.limit_bytes,
        by_plan=[PlanLine(plan, 1, whole.used_bytes, whole.used_files, whole.limit_bytes)],
        near_limit=near_limit(member, NEAR),
        top_users=[somebody(row) for row in db.session.execute(_PEOPLE, {**tenant, "most": FIRST})],
        top_workspaces=[Place(*row) for row in db.session.execute(_LARGEST, {**tenant, "most": FIRST})],
        parts=parts_of_tenant(member.tenant_id),
        days=days,
        outlook=snapshots.outlook(days, whole.limit_bytes, day),
    )


def near_limit(member: Member, share: float) -> list[Place]:
    """What holds at least this share of its own limit: the tenant itself first, then workspaces, the fullest first."""
    whole = limits.of_tenant(member.tenant_id)
    counters = whole.used_bytes, whole.reserved_bytes, whole.used_files, whole.limit_bytes
    tenant = Place(member.tenant_id, None, member.tenant_name, *counters)
    total = whole.used_bytes + whole.reserved_bytes
    is_near = whole.limit_bytes is not None and total > 0 and total >= share * whole.limit_bytes
    rows = db.session.execute(_NEAR, {"tenant": member.tenant_id, "share": share, "most": MOST_NEAR}).all()
    return [*([tenant] if is_near else []), *(Place(*row) for row in rows)]


def parts_of_tenant(tenant_id: UUID) -> list[PartLine]:
    """By part, kind, storage class and kind of store."""
    return [part_line(row) for row in db.session.execute(_PARTS, {"tenant": tenant_id})]


@dataclass(frozen=True)
class ProfileLine:
    """Everything that lies in one storage profile, derived files included."""

    profile_id: UUID
    workspace_id: UUID
    name: str
    mode: str
    bytes: int
    files: int


def profiles_of_tenant(tenant_id: UUID) -> list[ProfileLine]:
    """By storage profile, what holds most first; at most ``MOST_PROFILES``."""
    rows = db.session.execute(_PROFILES, {"tenant": tenant_id, "most": MOST_PROFILES}).all()
    return [ProfileLine(r.profile_id, r.workspace_id, r.name, r.mode, int(r.bytes), int(r.files)) for r in rows]


@dataclass(frozen=True)
class Downloads:
    """Links that were issued in 30 days, and what their files hold."""

    as_of: datetime | None
    links: int
    bytes: int


def downloads_of_tenant(tenant_id: UUID) -> Downloads:
    """As of the last measurement."""
    row = db.session.execute(_AS_OF, {"tenant": tenant_id}).one()
    return Downloads(row.as_of, int(row.links), int(row.bytes))


def trend_of_tenant(tenant_id: UUID, days: int = WINDOW) -> tuple[list[Point], Outlook]:
    """The last days, and what they say of the coming ones."""
    day, whole = snapshots.today(), limits.of_tenant(tenant_id)
    points = snapshots.points_of_tenant(tenant_id, day, days)
    return points, snapshots.outlook(points, whole.limit_bytes, day, days)


def somebody(row: Any) -> Somebody:
    """From a row with sums, which come as decimals."""
    return Somebody(row.user_id, row.name, row.email, int(row.bytes), int(row.files))


def part_line(row: Any) -> PartLine:
    """From a row with sums. What lies in a customer's own bucket is never counted."""
    counted = row.mode == MANAGED and row.part not in UNCOUNTED
    return PartLine(row.part, row.kind, row.storage_class, row.mode, counted, int(row.bytes), int(row.files))
