"""The report of a tenant, or of all tenants for an operator: from counters and measurements, never from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Numeric, Select, case, cast, func, select

from portal.database import db, now
from portal.identity.models import User
from portal.quotas import limits
from portal.quotas.levels import Counter, Level
from portal.quotas.models import WorkspaceQuota
from portal.storage.models import ProfileMode, StorageProfile
from portal.tenancy import service as tenancy
from portal.tenancy.models import Workspace
from portal.tenancy.service import Member
from portal.usage import snapshots
from portal.usage.forecast import WINDOW, Outlook
from portal.usage.models import Part, UsagePart, UsagePerson, WorkspaceUsage
from portal.usage.snapshots import Point

FIRST = 10  # people and workspaces
NEAR = 0.8  # of a limit
MOST_NEAR = 100
MOST_PROFILES = 500
UNCOUNTED = frozenset((Part.DERIVED, Part.STAGING, Part.TMP))  # what the quota doesn't count, or counts as reserved
# PostgreSQL's sum of bigints is a numeric, which Python reads as a ``Decimal``.
_SIZE = cast(func.sum(UsagePart.bytes), BigInteger).label("bytes")
_FILES = cast(func.sum(UsagePart.files), BigInteger).label("files")


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
        return self.mode == ProfileMode.MANAGED


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


def of_tenant(member: Member) -> Report:
    """The member's tenant; a fixed number of statements."""
    day = snapshots.today()
    whole = limits.of_tenant(member.tenant_id)
    days = snapshots.points_of_tenant(member.tenant_id, day)
    plan = tenancy.plan_code_of(member.tenant_id)
    return Report(
        generated_at=now(),
        as_of=downloads_of_tenant(member.tenant_id).as_of,
        total_bytes=whole.used_bytes,
        total_files=whole.used_files,
        limit_bytes=whole.limit_bytes,
        by_plan=[PlanLine(plan, 1, whole.used_bytes, whole.used_files, whole.limit_bytes)],
        near_limit=near_limit(member, NEAR),
        top_users=_largest_people(member.tenant_id),
        top_workspaces=_largest_workspaces(member.tenant_id),
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
    return [*([tenant] if is_near else []), *_workspaces_near_limit(member.tenant_id, share)]


def parts_of_tenant(tenant_id: UUID) -> list[PartLine]:
    """By part, kind, storage class and kind of store."""
    return _parts(UsagePart.tenant_id == tenant_id)


def parts_of_workspace(workspace_id: UUID) -> list[PartLine]:
    """The same of one workspace."""
    return _parts(UsagePart.workspace_id == workspace_id)


def people_of_workspace(workspace_id: UUID, most: int) -> list[Somebody]:
    """Whose uploads hold most in a workspace; names are empty for somebody whose account is gone."""
    query = (
        select(UsagePerson.user_id, User.name, User.email, UsagePerson.bytes, UsagePerson.files)
        .outerjoin(User, User.id == UsagePerson.user_id)
        .where(UsagePerson.workspace_id == workspace_id)
        .order_by(UsagePerson.bytes.desc(), UsagePerson.user_id)
        .limit(most)
    )
    return [_somebody(row) for row in db.session.execute(query)]


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
    columns = UsagePart.profile_id, UsagePart.workspace_id, StorageProfile.name, StorageProfile.mode
    query = (
        select(*columns, _SIZE, _FILES)
        .join(StorageProfile, StorageProfile.id == UsagePart.profile_id)
        .where(UsagePart.tenant_id == tenant_id)
        .group_by(*columns)
        .order_by(_SIZE.desc(), UsagePart.profile_id)
        .limit(MOST_PROFILES)
    )
    return [ProfileLine(*row) for row in db.session.execute(query)]


@dataclass(frozen=True)
class Downloads:
    """Links that were issued in 30 days, and what their files hold."""

    as_of: datetime | None
    links: int
    bytes: int


def downloads_of_tenant(tenant_id: UUID) -> Downloads:
    """As of the last measurement."""
    measured_at = WorkspaceUsage.as_of
    query = (
        select(
            # As of the oldest measurement, and nothing is known of the whole before each workspace was measured once.
            case((func.count() == func.count(measured_at), func.min(measured_at))),
            cast(func.coalesce(func.sum(WorkspaceUsage.downloads), 0), BigInteger),
            cast(func.coalesce(func.sum(WorkspaceUsage.download_bytes), 0), BigInteger),
        )
        .select_from(Workspace)
        .outerjoin(WorkspaceUsage, WorkspaceUsage.workspace_id == Workspace.id)
        .where(Workspace.tenant_id == tenant_id)
    )
    return Downloads(*db.session.execute(query).one())


def trend_of_tenant(tenant_id: UUID, days: int = WINDOW) -> tuple[list[Point], Outlook]:
    """The last days, and what they say of the coming ones."""
    day, whole = snapshots.today(), limits.of_tenant(tenant_id)
    points = snapshots.points_of_tenant(tenant_id, day, days)
    return points, snapshots.outlook(points, whole.limit_bytes, day, days)


def part_line(row: Any) -> PartLine:
    """From a row with sums. What lies in a customer's own bucket is never counted."""
    counted = row.mode == ProfileMode.MANAGED and row.part not in UNCOUNTED
    return PartLine(row.part, row.kind, row.storage_class, row.mode, counted, int(row.bytes), int(row.files))


def _parts(which: ColumnElement[bool]) -> list[PartLine]:
    columns = UsagePart.part, UsagePart.kind, UsagePart.storage_class, StorageProfile.mode
    query = (
        select(*columns, _SIZE, _FILES)
        .join(StorageProfile, StorageProfile.id == UsagePart.profile_id)
        .where(which)
        .group_by(*columns)
        .order_by(UsagePart.part, _SIZE.desc())
    )
    return [part_line(row) for row in db.session.execute(query)]


def _workspaces(tenant_id: UUID) -> Select[UUID, UUID, str, int, int, int, int | None]:
    """The columns of ``Place``, in its order."""
    counters = WorkspaceQuota.used_bytes, WorkspaceQuota.reserved_bytes, WorkspaceQuota.used_files
    query = select(
        WorkspaceQuota.tenant_id, WorkspaceQuota.workspace_id, Workspace.name, *counters, WorkspaceQuota.limit_bytes
    )
    return query.join(Workspace, Workspace.id == WorkspaceQuota.workspace_id).where(
        WorkspaceQuota.tenant_id == tenant_id
    )


def _largest_workspaces(tenant_id: UUID) -> list[Place]:
    query = _workspaces(tenant_id).where(WorkspaceQuota.used_bytes > 0)
    query = query.order_by(WorkspaceQuota.used_bytes.desc(), WorkspaceQuota.workspace_id).limit(FIRST)
    return [Place(*row) for row in db.session.execute(query)]


def _workspaces_near_limit(tenant_id: UUID, share: float) -> list[Place]:
    """The fullest first; before all what holds something at a limit of zero."""
    held = cast(WorkspaceQuota.used_bytes, Numeric) + WorkspaceQuota.reserved_bytes  # two bigints could be too much
    query = (
        _workspaces(tenant_id)
        .where(held > 0, held >= WorkspaceQuota.limit_bytes * cast(share, Numeric))
        .order_by((held / func.nullif(WorkspaceQuota.limit_bytes, 0)).desc().nulls_first(), WorkspaceQuota.workspace_id)
        .limit(MOST_NEAR)
    )
    return [Place(*row) for row in db.session.execute(query)]


def _largest_people(tenant_id: UUID) -> list[Somebody]:
    size = cast(func.sum(UsagePerson.bytes), BigInteger).label("bytes")
    files = cast(func.sum(UsagePerson.files), BigInteger).label("files")
    # Names are joined to the few that stay, not to everybody's row in each workspace.
    few = (
        select(UsagePerson.user_id, size, files)
        .where(UsagePerson.tenant_id == tenant_id)
        .group_by(UsagePerson.user_id)
        .order_by(size.desc(), UsagePerson.user_id)
        .limit(FIRST)
        .subquery()
    )
    query = select(few.c.user_id, User.name, User.email, few.c.bytes, few.c.files)
    query = query.outerjoin(User, User.id == few.c.user_id).order_by(few.c.bytes.desc(), few.c.user_id)
    return [_somebody(row) for row in db.session.execute(query)]


def _somebody(row: Any) -> Somebody:
    return Somebody(row.user_id, row.name or "", row.email or "", row.bytes, row.files)
