"""What the gallery and the trash show of each asset: one narrow statement a page, one tuple a row.

A page of the gallery is listed by what its cards depend on alone; only of cards that were not drawn yet is more asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Enum, Text, Uuid, any_, bindparam, cast, func, literal_column, select, type_coerce
from sqlalchemy.dialects.postgresql import ARRAY

from portal.assets import presenters as asset_presenters
from portal.assets import preview_urls
from portal.assets.models import Asset, AssetState, Variant
from portal.assets.presenters import Buckets
from portal.errors import NotFound
from portal.identity.models import User
from portal.library.asset_list import Filters, page_of
from portal.statements import looked_up
from portal.storage.models import StorageProfile
from portal.web.paging import Paging, cut


def _plain(column: Any) -> Any:
    """A column as the driver gives it: ids and states as text."""
    if isinstance(column.type, Uuid):
        return cast(column, Text)
    return type_coerce(column, Text) if isinstance(column.type, Enum) else column


class Listed(NamedTuple):
    """One asset of a page, and what its card depends on: hashable, so that a card which was drawn once can be kept.

    ``version`` is the transaction that wrote the row last (Postgres' ``xmin``): it changes whenever the row does.
    Derived files count as part of the row, because they are written in one transaction with it. ``keys_since`` is when
    the workspace's own bucket last got other keys: what the earlier ones signed may not open any more.
    """

    id: str
    version: str
    author: str | None
    keys_since: datetime | None


class CardRow(NamedTuple):
    """One asset, in plain values.

    ``derived`` has a line for each derived file: name, width, height and object key, none of which holds a space.
    """

    id: str
    workspace_id: str
    library_id: str
    folder_id: str | None
    profile_id: str
    file_name: str
    kind: str
    size_bytes: int
    state: str
    reason_code: str | None
    reason_detail: str | None
    waiting_for: str | None
    scan_result: str
    scan_signature: str | None
    scan_reason: str | None
    previews: str
    placeholder: str | None
    width: int | None
    height: int | None
    created_at: datetime
    deleted_at: datetime | None
    purge_after: datetime | None
    released_at: datetime | None
    author_name: str | None
    author_email: str | None
    derived: str | None


_A, _V, _U, _P = (each.__table__.c for each in (Asset, Variant, User, StorageProfile))
_COLUMNS = [_plain(_A[name]) for name in CardRow._fields[:-3]]
# Text with a line for each is the cheapest form by far: as JSON, or joined and sorted, it is most of the statement.
_LINE = func.concat_ws(literal_column("' '"), _V.name, _V.width, _V.height, _V.object_key)
_DERIVED = select(func.string_agg(_LINE, literal_column(r"E'\n'"))).where(_V.asset_id == _A.id).scalar_subquery()
_CARDS = select(*_COLUMNS, _U.name, _U.email, _DERIVED).outerjoin_from(
    Asset.__table__, User.__table__, _U.id == _A.created_by
)
_THESE = _CARDS.where(
    _A.workspace_id == bindparam("workspace_id"), _A.id == any_(bindparam("asset_ids", type_=ARRAY(Uuid())))
)
_IN_TRASH = _CARDS.where(_A.purge_after > func.now())
_VERSION = literal_column("CAST(assets.xmin AS text)", Text)
_AUTHOR = func.coalesce(func.nullif(_U.name, literal_column("''")), _U.email)
# Depends on no row, so that the database asks it once a page.
_KEYS_SINCE = select(func.max(_P.keys_changed_at)).where(_P.workspace_id == bindparam("workspace_id")).scalar_subquery()
_LISTED = select(_plain(_A.id), _VERSION, _AUTHOR, _KEYS_SINCE).outerjoin_from(
    Asset.__table__, User.__table__, _U.id == _A.created_by
)


def list_cards(workspace_id: UUID, filters: Filters, paging: Paging) -> tuple[Sequence[Listed], str | None]:
    """One page of the gallery, newest first, and the cursor of the next."""
    statement, values = page_of(_LISTED, workspace_id, filters, paging)
    return cut([Listed._make(row) for row in looked_up(statement, **values)], paging, key=lambda row: row.id)


def list_trash(workspace_id: UUID, paging: Paging) -> tuple[Sequence[CardRow], str | None]:
    """One page of what can be restored, newest first, and the cursor of the next."""
    statement, values = page_of(_IN_TRASH, workspace_id, Filters(status=AssetState.DELETED), paging)
    return cut([CardRow._make(row) for row in looked_up(statement, **values)], paging, key=lambda row: row.id)


def find_card(workspace_id: UUID, asset_id: UUID) -> CardRow:
    """One asset, in whatever state. Raises ``NotFound``."""
    (found,) = find_cards(workspace_id, [asset_id])
    if found is None:
        raise NotFound("There is no such file in this workspace.")
    return found


def find_cards(workspace_id: UUID, asset_ids: list[UUID]) -> list[CardRow | None]:
    """These assets in this order, None for each that is gone; one statement."""
    rows = looked_up(_THESE, workspace_id=workspace_id, asset_ids=asset_ids)
    found = {row.id: CardRow._make(row) for row in rows}
    return [found.get(str(each)) for each in asset_ids]


def shown(row: CardRow, buckets: Buckets) -> dict[str, Any]:
    """What a template draws: the names of the API's asset, as far as a card needs them."""
    scan_reason = asset_presenters.scan_reason(row.scan_reason)
    return {
        "asset_id": row.id,
        "workspace_id": row.workspace_id,
        "file_name": row.file_name,
        "kind": row.kind,
        "size_bytes": row.size_bytes,
        "status": row.state,
        "reason": asset_presenters.reason_view(row.reason_code, row.reason_detail),
        "waiting": asset_presenters.waiting_for(row.waiting_for),
        "released": row.released_at is not None,
        "scan": {"verdict": row.scan_result, "signature": row.scan_signature, "reason": scan_reason},
        "previews": row.previews,
        "placeholder": row.placeholder,
        "metadata": {"width": row.width, "height": row.height},
        "created_at": row.created_at,
        "created_by": {"name": row.author_name, "email": row.author_email},
        "deleted_at": row.deleted_at,
        "purge_on": row.purge_after,
        "variants": _variants(row, buckets),
    }


@dataclass(frozen=True)
class _Shown:
    """A derived file, as a template sees it. Its address is signed only where one is shown."""

    name: str
    width: int
    height: int
    address: Callable[[], str]

    @property
    def url(self) -> str:
        return self.address()


def _variants(row: CardRow, buckets: Buckets) -> list[_Shown]:
    """From small to large."""
    found = (line.split(" ") for line in (row.derived or "").splitlines())
    bucket = partial(buckets.of, UUID(row.profile_id))

    def shown_as(name: str, key: str) -> Callable[[], str]:
        return lambda: preview_urls.url(bucket(), key, row.file_name, name)

    named = [_Shown(name, int(width), int(height), shown_as(name, key)) for name, width, height, key in found]
    return sorted(named, key=lambda variant: (variant.width, variant.name != "thumb"))
