"""The list of quotas: each workspace with what it holds, where it is going, and its last 30 days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import TextClause, text

from portal.database import db
from portal.errors import Invalid
from portal.quotas import limits
from portal.quotas.levels import Counter, UsageStatus
from portal.sizes import LARGEST
from portal.usage import snapshots, sparklines
from portal.web.paging import Paging, cut

# What each column is sorted by, a whole number (or the name); the second says whether the large come first.
SORTS: dict[str, tuple[str, bool]] = {
    "name": ("lower(name)", False),
    "used": ("used_bytes", True),
    "reserved": ("reserved_bytes", True),
    "limit": (f"coalesce(limit_bytes, {LARGEST})", True),
    "share": ("permille", True),
    "change": (f"coalesce(change_bytes, {-LARGEST})", True),
    "full": ("coalesce(full_on - date '2000-01-01', 2000000)", False),
}
LEVELS: dict[str, str] = {
    "": "true",
    "near": "permille >= 800",
    "full": "permille >= 1000",
    "unlimited": "limit_bytes IS NULL",
    "growing": "growth_bytes > 0",
}
_LINES = """
    SELECT q.workspace_id AS id, w.name, w.slug, q.limit_bytes, q.used_bytes, q.reserved_bytes, q.used_files,
           u.change_bytes, u.growth_bytes, u.full_on,
           CAST(CASE WHEN q.limit_bytes IS NULL THEN -1 WHEN q.limit_bytes = 0 THEN 1000
                ELSE least((CAST(q.used_bytes AS numeric) + q.reserved_bytes) * 1000 / q.limit_bytes, 1000000000)
                END AS bigint) AS permille
    FROM workspace_quotas q JOIN workspaces w ON w.id = q.workspace_id
    LEFT JOIN workspace_usage u ON u.workspace_id = q.workspace_id
    WHERE q.tenant_id = :tenant AND w.name ILIKE :pattern
"""
_ONE = text(f"SELECT *, 0 AS sort_key FROM ({_LINES}) l WHERE id = :workspace")  # noqa: S608
_SUMMARY = text("""
    SELECT count(*) AS workspaces, coalesce(sum(limit_bytes), 0) AS promised, count(limit_bytes) AS limited
    FROM workspace_quotas WHERE tenant_id = :tenant
""")


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
    sort_key: Any

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
    row = db.session.execute(_SUMMARY, {"tenant": tenant_id}).one()
    whole = limits.of_tenant(tenant_id)
    promised = int(row.promised)
    return Summary(
        workspaces=row.workspaces,
        limited=row.limited,
        promised_bytes=promised,
        over_bytes=0 if whole.limit_bytes is None else max(0, promised - whole.limit_bytes),
        limit_bytes=whole.limit_bytes,
        plan_bytes=whole.plan_bytes,
        override_until=whole.override_until,
        quota=Counter("tenant", whole.limit_bytes, whole.used_bytes, whole.reserved_bytes).status(),
    )


def list_lines(tenant_id: UUID, held_bytes: int, view: View, paging: Paging) -> tuple[list[Line], str | None]:
    """One page of workspaces and the cursor of the next; two statements. ``held_bytes``: of the whole tenant."""
    values: dict[str, Any] = {"tenant": tenant_id, "pattern": _pattern(view.q), "most": paging.limit + 1}
    if paging.after:
        values |= _after(view, paging)
    found = db.session.execute(_statement(view.sort, view.reverse, view.level, bool(paging.after)), values).all()
    rows, cursor = cut(found, paging, lambda row: (row.sort_key, row.id))
    return _drawn(rows, held_bytes), cursor


def find_line(tenant_id: UUID, workspace_id: UUID, held_bytes: int) -> Line | None:
    """One workspace of the tenant."""
    rows = db.session.execute(_ONE, {"tenant": tenant_id, "pattern": "%", "workspace": workspace_id}).all()
    return next(iter(_drawn(rows, held_bytes)), None)


@lru_cache
def _statement(sort: str, reverse: bool, level: str, goes_on: bool) -> TextClause:
    key, large_first = SORTS[sort]
    kind = "text" if sort == "name" else "bigint"
    order, then = ("DESC", "<") if large_first is not reverse else ("ASC", ">")
    place = f"AND ({key}, id) {then} (CAST(:after AS {kind}), CAST(:after_id AS uuid))" if goes_on else ""
    where = f"{LEVELS[level]} {place} ORDER BY {key} {order}, id {order} LIMIT :most"
    return text(f"SELECT *, {key} AS sort_key FROM ({_LINES}) l WHERE {where}")  # noqa: S608  constants of our own


def _after(view: View, paging: Paging) -> dict[str, Any]:
    try:
        key, row_id = paging.after
        return {"after": key if view.sort == "name" else int(key), "after_id": UUID(row_id)}
    except ValueError:
        raise Invalid(_("This cursor belongs to another list. Start again without it."), field="cursor") from None


def _pattern(q: str) -> str:
    escaped = q.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _drawn(rows: Any, held_bytes: int) -> list[Line]:
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
        sort_key=row.sort_key,
    )
