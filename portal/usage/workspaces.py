"""The list of quotas: each workspace with what it holds, where it is going, and its last 30 days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Date,
    Numeric,
    Select,
    case,
    cast,
    func,
    literal,
    select,
    true,
    tuple_,
    type_coerce,
)

from portal.database import db
from portal.errors import Invalid
from portal.quotas import limits
from portal.quotas.levels import Counter, UsageStatus
from portal.quotas.models import WorkspaceQuota
from portal.sizes import LARGEST
from portal.tenancy.models import Workspace
from portal.usage import snapshots, sparklines
from portal.usage.models import WorkspaceUsage
from portal.web.paging import Paging, cut

# Used and reserved in thousandths of the limit; -1: there is no limit. As a numeric, because a thousand times the
# largest size is more than a bigint holds; and at most a number that one holds, whatever the limit.
_PERMILLE = cast(
    case(
        (WorkspaceQuota.limit_bytes.is_(None), -1),
        (WorkspaceQuota.limit_bytes == 0, 1000),
        else_=func.least(
            (cast(WorkspaceQuota.used_bytes, Numeric) + WorkspaceQuota.reserved_bytes)
            * 1000
            / WorkspaceQuota.limit_bytes,
            1_000_000_000,
        ),
    ),
    BigInteger,
)
_FIRST_DAY = date(2000, 1, 1)
# PostgreSQL's difference of two days is a whole number; SQLAlchemy takes it for an interval.
_FULL_DAY = type_coerce(WorkspaceUsage.full_on - literal(_FIRST_DAY, Date), BigInteger)

# What each column is sorted by, a whole number (or the name) that is never null, because a comparison with null is
# neither true nor false, so that the page after such a row would be empty; and whether the largest come first.
SORTS: dict[str, tuple[ColumnElement[Any], bool]] = {
    "name": (func.lower(Workspace.name), False),
    "used": (WorkspaceQuota.used_bytes.expression, True),
    "reserved": (WorkspaceQuota.reserved_bytes.expression, True),
    "limit": (func.coalesce(WorkspaceQuota.limit_bytes, LARGEST), True),
    "share": (_PERMILLE, True),
    "change": (func.coalesce(WorkspaceUsage.change_bytes, -LARGEST), True),
    "full": (func.coalesce(_FULL_DAY, 2_000_000), False),
}
LEVELS: dict[str, ColumnElement[bool]] = {
    "": true(),
    "near": _PERMILLE >= 800,
    "full": _PERMILLE >= 1000,
    "unlimited": WorkspaceQuota.limit_bytes.is_(None),
    "growing": WorkspaceUsage.growth_bytes > 0,
}


@dataclass(frozen=True)
class Line:
    """One workspace; sizes in bytes, ``growth_bytes`` a day's, ``spark`` a path for the small drawing."""

    id: UUID
    name: str
    slug: str
    quota: UsageStatus
    files: int
    change_bytes: int | None
    growth_bytes: int | None
    full_on: date | None
    days_left: int | None
    share_percent: float
    spark: str

    @property
    def held_bytes(self) -> int:
        """What counts against the limit."""
        return self.quota.used_bytes + self.quota.reserved_bytes


@dataclass(frozen=True)
class Summary:
    """The tenant above its workspaces. ``over_bytes``: what was promised beyond the tenant's limit; 0: nothing."""

    workspaces: int
    limited: int
    promised_bytes: int
    over_bytes: int
    limit_bytes: int | None
    plan_bytes: int | None
    override_until: datetime | None
    quota: UsageStatus


@dataclass(frozen=True)
class View:
    """What of the list is asked for; ``reverse`` turns the column's own order around."""

    sort: str = "used"
    reverse: bool = False
    level: str = ""
    q: str = ""

    @classmethod
    def of(cls, sort: str, level: str, q: str) -> View:
        """From an address; what it can't be is the usual."""
        name = sort.removeprefix("-")
        known = name in SORTS
        return cls(name if known else "used", known and sort.startswith("-"), level if level in LEVELS else "", q[:200])

    @property
    def key(self) -> str:
        """As the address writes it."""
        return f"-{self.sort}" if self.reverse else self.sort


def summary(tenant_id: UUID) -> Summary:
    """The tenant's own limit, and what its workspaces were promised; two statements."""
    promised, limited, count = db.session.execute(
        select(
            cast(func.coalesce(func.sum(WorkspaceQuota.limit_bytes), 0), BigInteger),
            func.count(WorkspaceQuota.limit_bytes),
            func.count(),
        ).where(WorkspaceQuota.tenant_id == tenant_id)
    ).one()
    whole = limits.of_tenant(tenant_id)
    return Summary(
        workspaces=count,
        limited=limited,
        promised_bytes=promised,
        over_bytes=0 if whole.limit_bytes is None else max(0, promised - whole.limit_bytes),
        limit_bytes=whole.limit_bytes,
        plan_bytes=whole.plan_bytes,
        override_until=whole.override_until,
        quota=Counter("tenant", whole.limit_bytes, whole.used_bytes, whole.reserved_bytes).status(),
    )


def list_lines(tenant_id: UUID, held_bytes: int, view: View, paging: Paging) -> tuple[list[Line], str | None]:
    """One page of workspaces and the cursor of the next; two statements. ``held_bytes``: of the whole tenant."""
    key, large_first = SORTS[view.sort]
    place = tuple_(key, WorkspaceQuota.workspace_id)
    query = _of_tenant(tenant_id).add_columns(key.label("sort_key")).where(LEVELS[view.level])
    if view.q.strip():
        query = query.where(Workspace.name.icontains(view.q.strip(), autoescape=True))
    descending = large_first is not view.reverse
    if paging.after:
        after = tuple_(*_after(view, paging))
        query = query.where(place < after if descending else place > after)
    order = [column.desc() if descending else column.asc() for column in (key, WorkspaceQuota.workspace_id)]
    found = db.session.execute(query.order_by(*order).limit(paging.limit + 1)).all()
    rows, cursor = cut(found, paging, lambda row: (row.sort_key, row.id))
    return _lines(rows, held_bytes), cursor


def find_line(tenant_id: UUID, workspace_id: UUID, held_bytes: int) -> Line | None:
    """One workspace of the tenant."""
    query = _of_tenant(tenant_id).where(WorkspaceQuota.workspace_id == workspace_id)
    return next(iter(_lines(db.session.execute(query).all(), held_bytes)), None)


def _of_tenant(tenant_id: UUID) -> Select[*tuple[Any, ...]]:
    """The columns of a line: three packages' in one statement, because the list is sorted and paged by any of them."""
    return (
        select(
            WorkspaceQuota.workspace_id.label("id"),
            Workspace.name,
            Workspace.slug,
            WorkspaceQuota.limit_bytes,
            WorkspaceQuota.used_bytes,
            WorkspaceQuota.reserved_bytes,
            WorkspaceQuota.used_files,
            WorkspaceUsage.change_bytes,
            WorkspaceUsage.growth_bytes,
            WorkspaceUsage.full_on,
        )
        .join(Workspace, Workspace.id == WorkspaceQuota.workspace_id)
        .outerjoin(WorkspaceUsage, WorkspaceUsage.workspace_id == WorkspaceQuota.workspace_id)
        .where(WorkspaceQuota.tenant_id == tenant_id)
    )


def _after(view: View, paging: Paging) -> tuple[BindParameter[Any], BindParameter[UUID]]:
    """The sort value and the id of the last row of the page before. Raises ``Invalid``."""
    try:
        key, row_id = paging.after
        value = literal(key) if view.sort == "name" else literal(int(key), BigInteger)
        return value, literal(UUID(row_id))
    except ValueError:
        raise Invalid(_("This cursor belongs to another list. Start again without it."), field="cursor") from None


def _lines(rows: Sequence[Any], held_bytes: int) -> list[Line]:
    today = snapshots.today()
    points = snapshots.points_of([row.id for row in rows], today)
    return [_line(row, held_bytes, sparklines.path(points[row.id], today), today) for row in rows]


def _line(row: Any, held_bytes: int, spark: str, today: date) -> Line:
    counter = Counter("workspace", row.limit_bytes, row.used_bytes, row.reserved_bytes)
    return Line(
        id=row.id,
        name=row.name,
        slug=row.slug,
        quota=counter.status(),
        files=row.used_files,
        change_bytes=row.change_bytes,
        growth_bytes=row.growth_bytes,
        full_on=row.full_on,
        days_left=None if row.full_on is None else max(0, (row.full_on - today).days),
        share_percent=counter.held_bytes * 100 / held_bytes if held_bytes else 0.0,
        spark=spark,
    )
