"""What the gallery and the trash show of each asset: one narrow statement a page, one tuple a row.

A row is hashable and holds everything that its card depends on, so that a card which was drawn once can be kept.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, Text, cast, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from portal.assets import presenters, variants
from portal.assets.models import Asset, AssetState, PreviewState, ScanResult, Variant
from portal.assets.presenters import Buckets
from portal.assets.service import Filters, page_of
from portal.db import db
from portal.errors import NotFound
from portal.identity.models import User
from portal.web.paging import Paging, cut

SHOWN = ("thumb", "small", "medium", "web")


class CardRow(NamedTuple):
    """One asset; ``derived`` is JSON text: [[name, width, height, object key], …] from small to large."""

    id: UUID
    workspace_id: UUID
    profile_id: UUID
    file_name: str
    kind: str
    size_bytes: int
    state: AssetState
    reason_code: str | None
    reason_detail: str | None
    waiting_for: str | None
    scan_result: ScanResult
    scan_signature: str | None
    scan_reason: str | None
    previews: PreviewState
    placeholder: str | None
    width: int | None
    height: int | None
    created_at: datetime
    deleted_at: datetime | None
    purge_after: datetime | None
    author_name: str | None
    author_email: str | None
    derived: str | None


_DERIVED = (
    select(
        cast(
            func.json_agg(
                aggregate_order_by(
                    func.json_build_array(Variant.name, Variant.width, Variant.height, Variant.object_key),
                    Variant.width,
                    Variant.size_bytes,
                )
            ),
            Text,
        )
    )
    .where(Variant.asset_id == Asset.id, Variant.name.in_(SHOWN))
    .scalar_subquery()
)
_COLUMNS = [getattr(Asset, name) for name in CardRow._fields[:-3]]


def _cards() -> Select[Any]:
    people = select(*_COLUMNS, User.name, User.email, _DERIVED)
    return people.select_from(Asset).outerjoin(User, User.id == Asset.created_by)


def list_cards(workspace_id: UUID, filters: Filters, paging: Paging) -> tuple[list[CardRow], str | None]:
    """One page of the gallery, newest first, and the cursor of the next."""
    return _page(_cards(), workspace_id, filters, paging)


def list_trash(workspace_id: UUID, paging: Paging) -> tuple[list[CardRow], str | None]:
    """One page of what can be restored, newest first, and the cursor of the next."""
    staying = _cards().where(Asset.purge_after > func.now())
    return _page(staying, workspace_id, Filters(status=AssetState.DELETED), paging)


def find_card(workspace_id: UUID, asset_id: UUID) -> CardRow:
    """One asset, in whatever state. Raises ``NotFound``."""
    statement = _cards().where(Asset.workspace_id == workspace_id, Asset.id == asset_id)
    row = db.session.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such file in this workspace.")
    return CardRow._make(row)


def _page(
    statement: Select[Any], workspace_id: UUID, filters: Filters, paging: Paging
) -> tuple[list[CardRow], str | None]:
    found = db.session.execute(page_of(statement, workspace_id, filters, paging)).all()
    rows, cursor = cut([CardRow._make(row) for row in found], paging, key=lambda row: row.id)
    return list(rows), cursor


def shown(row: CardRow, buckets: Buckets) -> dict[str, Any]:
    """What a template draws: the names of the API's asset, as far as a card needs them."""
    scan_reason = presenters.scan_reason(row.scan_reason)
    return {
        "asset_id": row.id,
        "workspace_id": row.workspace_id,
        "file_name": row.file_name,
        "kind": row.kind,
        "size_bytes": row.size_bytes,
        "status": row.state.value,
        "reason": presenters.reason_view(row.reason_code, row.reason_detail),
        "waiting": presenters.waiting_for(row.waiting_for),
        "scan": {"verdict": row.scan_result.value, "signature": row.scan_signature, "reason": scan_reason},
        "previews": row.previews.value,
        "placeholder": row.placeholder,
        "metadata": {"width": row.width, "height": row.height},
        "created_at": row.created_at,
        "created_by": {"name": row.author_name, "email": row.author_email},
        "deleted_at": row.deleted_at,
        "purge_on": row.purge_after,
        "variants": [
            {
                "name": name,
                "width": width,
                "height": height,
                "url": variants.url(buckets.of(row.profile_id), key, row.file_name, name),
            }
            for name, width, height, key in json.loads(row.derived or "[]")
        ],
    }


def is_final(row: CardRow) -> bool:
    """Whether it will stay as it is, so that its page need not ask again."""
    checking = row.state is AssetState.PROCESSING
    drawing = row.state is AssetState.AVAILABLE and row.previews is PreviewState.PENDING
    return not (checking or drawing)
