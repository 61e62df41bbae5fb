"""Queries of the quarantine: what is quarantined in a tenant, and what an admin has to know to decide about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Uuid,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    text,
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

LISTED = 50  # workspaces and people that a list can be narrowed to
COUNTED = 1000  # a number beside a menu entry need not be larger
# A plan with a parameter in the state's place can't use the index of what is held.
_HELD: ColumnElement[bool] = literal_column(f"assets.state = '{AssetState.QUARANTINED}'")
_STAYS = or_(Asset.purge_after.is_(None), Asset.purge_after > func.now())
# Asked for by every page of an admin.
_COUNT_HELD = text(
    "SELECT count(*) FROM (SELECT FROM assets WHERE tenant_id = :tenant AND state = 'quarantined' "
    "AND (purge_after IS NULL OR purge_after > now()) LIMIT :most) AS held"
).bindparams(bindparam("tenant", type_=Uuid()), bindparam("most", type_=Integer()))


@dataclass(frozen=True)
class Uploader:
    """Who sent it. ``blocked``: why nothing more is taken from them, or None."""

    id: UUID
    name: str
    email: str
    blocked: str | None = None

    @property
    def shown_name(self) -> str:
        """What others see."""
        return self.name or self.email


@dataclass(frozen=True)
class HeldFile:
    """One quarantined file. ``declared_type`` is what the client said, ``found_type`` what the content says.

    At ``deadline`` it is removed for good. ``elsewhere`` counts other files of the tenant with the same content.
    ``order`` is what a worker is about to do with it, ``proposed_by`` (and name) who wants it released.
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
class Narrowing:
    """What the list is narrowed to. ``q`` is a part of the file's name or of the signature, or the whole hash."""

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
class Summary:
    """What is quarantined altogether, by reason, workspace and person; the most first."""

    count: int
    bytes: int
    reasons: list[Group]
    workspaces: list[Group]
    people: list[Group]


# Plain columns: making objects of rows costs more than reading them.
_COLUMNS = (
    *("id", "workspace_id", "created_by", "created_at", "file_name", "mime_type", "size_bytes", "sha256", "found_type"),
    *("reason_code", "reason_detail", "scan_signature", "scan_engine", "scan_database", "scanned_at"),
    *("quarantined_at", "purge_after", "quarantine_order", "proposed_by"),
)


def list_items(
    tenant_id: UUID, paging: Paging, narrowing: Narrowing = Narrowing()
) -> tuple[list[HeldFile], str | None]:
    """One page of what is quarantined in the tenant, newest upload first, and the cursor of the next."""
    conditions = _narrowed(narrowing)
    if (after := paging.after_id()) is not None:
        conditions.append(Asset.id < after)
    statement = _items(tenant_id).where(*conditions).order_by(Asset.id.desc()).limit(paging.limit + 1)
    rows, cursor = cut(db.session.execute(statement).all(), paging, key=lambda row: row.id)
    return [_held_file(row) for row in rows], cursor


def find_items(tenant_id: UUID, asset_ids: Sequence[UUID]) -> list[HeldFile]:
    """Those of these that are quarantined now, the newest upload first."""
    statement = _items(tenant_id).where(Asset.id.in_(asset_ids)).order_by(Asset.id.desc())
    return [_held_file(row) for row in db.session.execute(statement)]


def find_item(tenant_id: UUID, asset_id: UUID) -> HeldFile:
    """One quarantined file. Raises ``NotFound``."""
    found = find_items(tenant_id, [asset_id])
    if not found:
        raise _missing()
    return found[0]


def held_in(tenant_id: UUID) -> list[ColumnElement[bool]]:
    """Conditions for what is quarantined in a tenant, and not on its way out."""
    return [Asset.tenant_id == tenant_id, _HELD, _STAYS]


def find_held(tenant_id: UUID, asset_id: UUID) -> Asset:
    """The row of a quarantined file. Raises ``NotFound``."""
    statement = select(Asset).where(*held_in(tenant_id), Asset.id == asset_id)
    asset = db.session.scalar(statement.execution_options(populate_existing=True))
    if asset is None:
        raise _missing()
    return asset


def summary(tenant_id: UUID) -> Summary:
    """Everything that is quarantined, by reason, and by the workspaces and people that have the most of it."""
    by = (Asset.reason_code, Asset.workspace_id, Asset.created_by)
    totals = func.count(), func.coalesce(func.sum(Asset.size_bytes), 0)
    groups = func.grouping_sets(*(tuple_(column) for column in by))
    rows: list[Any] = [
        tuple(row) for row in db.session.execute(select(*by, *totals).where(*held_in(tenant_id)).group_by(groups))
    ]
    reasons, places, people = [sorted((row for row in rows if row[n] is not None), key=_size) for n in range(3)]
    return Summary(
        sum(row[3] for row in places),
        int(sum(row[4] for row in places)),
        [Group(row[0], "", row[3], int(row[4])) for row in reasons],
        _named(places[:LISTED], 1, select(Workspace.id, Workspace.name)),
        _named(people[:LISTED], 2, select(User.id, func.coalesce(func.nullif(User.name, ""), User.email))),
    )


def count_held(tenant_id: UUID) -> int:
    """How many files are quarantined in the tenant, counted up to ``COUNTED``."""
    return db.session.scalar(_COUNT_HELD, {"tenant": tenant_id, "most": COUNTED}) or 0


def _missing() -> NotFound:
    return NotFound(_("There is no such file in quarantine. It may have been released or removed."))


def _items(tenant_id: UUID) -> Select[Any]:
    twin, proposer = aliased(Asset), aliased(User)
    same = twin.tenant_id == Asset.tenant_id, twin.sha256 == Asset.sha256, twin.id != Asset.id
    elsewhere = select(func.count()).select_from(twin).where(*same).scalar_subquery()
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
        .where(*held_in(tenant_id))
    )


def _narrowed(narrowing: Narrowing) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if narrowing.reason:
        conditions.append(Asset.reason_code == narrowing.reason)
    if narrowing.workspace_id:
        conditions.append(Asset.workspace_id == narrowing.workspace_id)
    if narrowing.person_id:
        conditions.append(Asset.created_by == narrowing.person_id)
    if narrowing.q:
        words = narrowing.q.strip()
        named = or_(
            Asset.file_name.icontains(words, autoescape=True), Asset.scan_signature.icontains(words, autoescape=True)
        )
        conditions.append(or_(named, Asset.sha256 == words.lower()))
    return conditions


def _size(row: tuple[Any, ...]) -> tuple[int, str]:
    """The most first, in an order that stays."""
    return -row[3], str(row[:3])


def _named(rows: list[tuple[Any, ...]], at: int, names: Any) -> list[Group]:
    """Groups by an id, with the name that each id has."""
    ids = [row[at] for row in rows]
    found = db.session.execute(names.where(names.selected_columns[0].in_(ids)))
    known: dict[UUID, str] = dict(tuple(row) for row in found)
    return [Group(str(row[at]), known.get(row[at], ""), row[3], int(row[4])) for row in rows]


def _held_file(row: Any) -> HeldFile:
    since = row.quarantined_at or row.created_at
    return HeldFile(
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
