"""Queries of the quarantine: the quarantined files of a tenant, and what an admin needs to know to decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import aliased

from portal.assets.models import Asset, AssetState
from portal.assets.purge import QUARANTINED_FOR
from portal.database import db
from portal.errors import NotFound
from portal.identity.models import User
from portal.tenancy.models import TenantMembership, Workspace
from portal.uploads.models import Upload
from portal.web.paging import Paging, cut

LISTED_GROUPS = 50  # in one filter: thousands of people would make the page slow and the list useless
HIGHEST_COUNT = 1000  # the number beside the menu entry: counting further would cost every page of an admin
# Literal: with a bound parameter PostgreSQL's generic plan can't use the partial index on this state.
_QUARANTINED: ColumnElement[bool] = literal_column(f"assets.state = '{AssetState.QUARANTINED}'")
_STAYS = or_(Asset.purge_after.is_(None), Asset.purge_after > func.now())


@dataclass(frozen=True)
class Uploader:
    """Who uploaded a file. ``blocked``: why their uploads are blocked, or None."""

    id: UUID
    name: str
    email: str
    blocked: str | None = None

    @property
    def display_name(self) -> str:
        """The name, or the e-mail address of somebody who gave none."""
        return self.name or self.email


@dataclass(frozen=True)
class QuarantinedFile:
    """One quarantined file. ``declared_type`` is what the client said, ``found_type`` what the content says.

    At ``deadline`` it is removed for good. ``elsewhere`` counts other files of the tenant with the same content.
    ``order`` is what a worker is about to do with it (``assets.quarantine_orders``), ``proposed_by`` (and name) who
    proposed to release it.
    """

    asset_id: UUID
    workspace_id: UUID
    workspace_name: str
    file_name: str
    size_bytes: int
    sha256: str | None
    declared_type: str
    found_type: str | None
    code: str | None
    reason: str
    signature: str | None
    engine: str | None
    database: str | None
    uploaded_by: Uploader
    quarantined_at: datetime
    deadline: datetime
    scanned_at: datetime | None = None
    elsewhere: int = 0
    order: str | None = None
    proposed_by: UUID | None = None
    proposer: str | None = None


@dataclass(frozen=True)
class QuarantineFilter:
    """The filters of the list. ``q`` is a part of the file's name or of the signature, or the whole SHA-256."""

    reason: str | None = None
    workspace_id: UUID | None = None
    person_id: UUID | None = None
    q: str | None = None


@dataclass(frozen=True)
class Group:
    """Quarantined files that share something: how many, and their bytes."""

    key: str
    name: str
    count: int
    bytes: int


@dataclass(frozen=True)
class Groups:
    """The largest groups, the chosen one among them, and how many more there are."""

    listed: list[Group]
    more: int = 0


@dataclass(frozen=True)
class Summary:
    """All that is quarantined, by reason, workspace and person; the largest groups first."""

    count: int
    bytes: int
    reasons: Groups
    workspaces: Groups
    people: Groups


# Columns instead of entities: the list shows facts of five tables and changes none.
_COLUMNS = (
    *("id", "workspace_id", "created_by", "created_at", "file_name", "mime_type", "size_bytes", "sha256", "found_type"),
    *("reason_code", "reason_detail", "scan_signature", "scan_engine", "scan_database", "scanned_at"),
    *("quarantined_at", "purge_after", "quarantine_order", "proposed_by"),
)


def list_items(
    tenant_id: UUID, paging: Paging, chosen: QuarantineFilter = QuarantineFilter()
) -> tuple[list[QuarantinedFile], str | None]:
    """One page of what is quarantined in the tenant, newest upload first, and the cursor of the next."""
    conditions = _conditions(chosen)
    if (after := paging.after_id()) is not None:
        conditions.append(Asset.id < after)
    statement = _items(tenant_id).where(*conditions).order_by(Asset.id.desc()).limit(paging.limit + 1)
    rows, cursor = cut(db.session.execute(statement).all(), paging, key=lambda row: row.id)
    return [_quarantined_file(row) for row in rows], cursor


def find_items(tenant_id: UUID, asset_ids: Sequence[UUID]) -> list[QuarantinedFile]:
    """Those of ``asset_ids`` that are quarantined now, the newest upload first."""
    statement = _items(tenant_id).where(Asset.id.in_(asset_ids)).order_by(Asset.id.desc())
    return [_quarantined_file(row) for row in db.session.execute(statement)]


def find_item(tenant_id: UUID, asset_id: UUID) -> QuarantinedFile:
    """One quarantined file. Raises ``NotFound``."""
    found = find_items(tenant_id, [asset_id])
    if not found:
        raise _missing()
    return found[0]


def quarantined_in(tenant_id: UUID) -> list[ColumnElement[bool]]:
    """Conditions for the quarantined files of a tenant whose purge has not begun."""
    return [Asset.tenant_id == tenant_id, _QUARANTINED, _STAYS]


def find_asset(tenant_id: UUID, asset_id: UUID) -> Asset:
    """The row of a quarantined file. Raises ``NotFound``."""
    statement = select(Asset).where(*quarantined_in(tenant_id), Asset.id == asset_id)
    asset = db.session.scalar(statement.execution_options(populate_existing=True))
    if asset is None:
        raise _missing()
    return asset


def summary(tenant_id: UUID, chosen: QuarantineFilter = QuarantineFilter()) -> Summary:
    """Everything that is quarantined, by reason, and by the workspaces and people that have the most of it."""
    by = (Asset.reason_code, Asset.workspace_id, Asset.created_by)
    totals = func.count(), func.coalesce(func.sum(Asset.size_bytes), 0)
    groups = func.grouping_sets(*(tuple_(column) for column in by))
    # One pass over the rows gives all three groupings; in each result row two of the three columns are null.
    statement = select(*by, *totals).where(*quarantined_in(tenant_id)).group_by(groups)
    rows: list[Any] = [tuple(row) for row in db.session.execute(statement)]
    rows.sort(key=_largest_first)
    reasons, places, people = [[row for row in rows if row[column] is not None] for column in range(3)]
    shown_name = User.shown_name
    return Summary(
        sum(row[3] for row in places),
        int(sum(row[4] for row in places)),
        Groups([Group(row[0], "", row[3], int(row[4])) for row in reasons]),
        _with_names(places, 1, chosen.workspace_id, select(Workspace.id, Workspace.name)),
        _with_names(people, 2, chosen.person_id, select(User.id, shown_name)),
    )


def count_quarantined(tenant_id: UUID) -> int:
    """How many files are quarantined in the tenant, counted up to ``HIGHEST_COUNT``."""
    counted = select(Asset.id).where(*quarantined_in(tenant_id)).limit(HIGHEST_COUNT).subquery()
    return db.session.scalar(select(func.count()).select_from(counted)) or 0


def _missing() -> NotFound:
    return NotFound(_("There is no such file in quarantine. It may have been released or removed."))


def _items(tenant_id: UUID) -> Select[Any]:
    other, proposer = aliased(Asset), aliased(User)
    same = other.tenant_id == Asset.tenant_id, other.sha256 == Asset.sha256, other.id != Asset.id
    elsewhere = select(func.count()).select_from(other).where(*same).scalar_subquery()
    membership = and_(TenantMembership.tenant_id == tenant_id, TenantMembership.user_id == Asset.created_by)
    return (
        select(
            *(getattr(Asset, name) for name in _COLUMNS),
            Workspace.name.label("workspace_name"),
            Upload.declared_type,
            User.name.label("uploader_name"),
            User.email.label("uploader_email"),
            TenantMembership.uploads_blocked_reason.label("blocked"),
            elsewhere.label("elsewhere"),
            func.coalesce(func.nullif(proposer.name, ""), proposer.email).label("proposer"),
        )
        .join(Workspace, Workspace.id == Asset.workspace_id)
        .outerjoin(Upload, Upload.id == Asset.upload_id)
        .outerjoin(User, User.id == Asset.created_by)
        .outerjoin(TenantMembership, membership)
        .outerjoin(proposer, proposer.id == Asset.proposed_by)
        .where(*quarantined_in(tenant_id))
    )


def _conditions(chosen: QuarantineFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if chosen.reason:
        conditions.append(Asset.reason_code == chosen.reason)
    if chosen.workspace_id:
        conditions.append(Asset.workspace_id == chosen.workspace_id)
    if chosen.person_id:
        conditions.append(Asset.created_by == chosen.person_id)
    if chosen.q:
        text = chosen.q.strip()
        is_named = or_(
            Asset.file_name.icontains(text, autoescape=True), Asset.scan_signature.icontains(text, autoescape=True)
        )
        conditions.append(or_(is_named, Asset.sha256 == text.lower()))
    return conditions


def _largest_first(row: tuple[Any, ...]) -> tuple[int, str]:
    # The ids make the order of equal groups the same each time.
    return -row[3], str(row[:3])


def _with_names(rows: list[tuple[Any, ...]], at: int, chosen: UUID | None, names: Any) -> Groups:
    """The first groups and the chosen one, with the name that belongs to the id in column ``at``."""
    listed = [row for number, row in enumerate(rows) if number < LISTED_GROUPS or row[at] == chosen]
    ids = [row[at] for row in listed]
    found = db.session.execute(names.where(names.selected_columns[0].in_(ids)))
    known: dict[UUID, str] = dict(tuple(row) for row in found)
    groups = [Group(str(row[at]), known.get(row[at], ""), row[3], int(row[4])) for row in listed]
    return Groups(groups, len(rows) - len(listed))


def _quarantined_file(row: Any) -> QuarantinedFile:
    since = row.quarantined_at or row.created_at
    return QuarantinedFile(
        asset_id=row.id,
        workspace_id=row.workspace_id,
        workspace_name=row.workspace_name,
        file_name=row.file_name,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        declared_type=row.declared_type or row.mime_type,
        found_type=row.found_type,
        code=row.reason_code,
        reason=str(row.reason_detail or _("This file is in quarantine.")),
        signature=row.scan_signature,
        engine=row.scan_engine,
        database=row.scan_database,
        uploaded_by=Uploader(row.created_by, row.uploader_name or "", row.uploader_email or "", row.blocked),
        quarantined_at=since,
        deadline=row.purge_after or since + QUARANTINED_FOR,
        scanned_at=row.scanned_at,
        elsewhere=row.elsewhere,
        order=row.quarantine_order,
        proposed_by=row.proposed_by,
        proposer=row.proposer,
    )
