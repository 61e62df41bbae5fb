"""Queries of the quarantine: what is held in a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Uuid, bindparam, literal_column, select, text

from portal.assets.models import Asset, AssetState
from portal.assets.purging import HELD_FOR
from portal.db import db
from portal.identity.models import User
from portal.statements import directly
from portal.tenancy.models import Workspace
from portal.uploads.models import Upload
from portal.web.paging import Paging, cut

COUNTED = 1000  # a number beside a menu entry need not be larger
# A plan with a parameter in the state's place can't use the index of what is held.
_HELD: ColumnElement[bool] = literal_column(f"assets.state = '{AssetState.QUARANTINED}'")
# Asked for by every page of an admin.
_COUNT_HELD = text(
    "SELECT count(*) FROM (SELECT FROM assets WHERE tenant_id = :tenant AND state = 'quarantined' LIMIT :most) AS held"
).bindparams(bindparam("tenant", type_=Uuid()), bindparam("most", type_=Integer()))


@dataclass(frozen=True)
class Uploader:
    """Who sent it."""

    id: UUID
    name: str
    email: str


@dataclass(frozen=True)
class HeldFile:
    """One held file. ``declared_type`` is what the client said, ``found_type`` what the content says.

    At ``deadline`` it is removed for good.
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


def list_items(tenant_id: UUID, paging: Paging) -> tuple[list[HeldFile], str | None]:
    """One page of what is held in the tenant, newest upload first, and the cursor of the next."""
    statement = (
        select(Asset, Workspace.name, Upload.declared_type, User.name, User.email)
        .join(Workspace, Workspace.id == Asset.workspace_id)
        .outerjoin(Upload, Upload.id == Asset.upload_id)
        .outerjoin(User, User.id == Asset.created_by)
        .where(Asset.tenant_id == tenant_id, _HELD)
        .order_by(Asset.id.desc())
        .limit(paging.limit + 1)
        .execution_options(populate_existing=True)
    )
    if (after := paging.after_id()) is not None:
        statement = statement.where(Asset.id < after)
    rows, cursor = cut(db.session.execute(statement).all(), paging, key=lambda row: row[0].id)
    return [_held_file(row) for row in rows], cursor


def count_held(tenant_id: UUID) -> int:
    """How many files are held in the tenant, counted up to ``COUNTED``."""
    count: int = directly(_COUNT_HELD, tenant=tenant_id, most=COUNTED)[0].count
    return count


def _held_file(row: Any) -> HeldFile:
    asset, workspace_name, declared_type, name, email = row
    since = asset.quarantined_at or asset.created_at
    return HeldFile(
        asset_id=asset.id,
        workspace_id=asset.workspace_id,
        workspace_name=workspace_name,
        file_name=asset.file_name,
        size_bytes=asset.size_bytes,
        sha256=asset.sha256,
        declared_type=declared_type or asset.mime_type,
        found_type=asset.found_type,
        code=asset.reason_code,
        reason=asset.reason_detail or "This file is held back.",
        signature=asset.scan_signature,
        engine=asset.scan_engine,
        database=asset.scan_database,
        uploaded_by=Uploader(asset.created_by, name or "", email or ""),
        quarantined_at=since,
        deadline=asset.purge_after or since + HELD_FOR,
    )
