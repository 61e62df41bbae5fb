"""Lists of assets: one page, newest first, of a workspace, a library or a folder; and the search by name.

Each combination of filters is one statement that an index answers: it costs the same at any depth and size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Row,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.orm import InstrumentedAttribute

from portal.assets.models import Asset, AssetState
from portal.database import db
from portal.folders.models import Folder, Library
from portal.folders.service import MAX_STEPS
from portal.web.paging import Paging, cut

AnySelect = Select[*tuple[Any, ...]]
AnyRow = Row[*tuple[Any, ...]]


MOST_WORDS = 20  # of a search: each one more is one more comparison with every name found


@dataclass(frozen=True)
class Filters:
    """Which assets a list has. Without ``status``: all but the trash. ``top``: those in no folder.

    ``q``: words that the name contains, all of them, in any case and order, with or without their accents.

    ``ids``: these alone, in whatever state; the other filters do not count then.
    """

    q: str | None = None
    kind: str | None = None
    status: AssetState | None = None
    library_id: UUID | None = None
    folder_id: UUID | None = None
    top: bool = False
    ids: tuple[UUID, ...] = ()


def list_assets(workspace_id: UUID, filters: Filters, paging: Paging) -> tuple[Sequence[Asset], str | None]:
    """One page of assets, and the cursor of the next (None at the end)."""
    statement = one_page(select(Asset), workspace_id, filters, paging)
    if filters.ids:
        return db.session.scalars(statement).all(), None
    return cut(db.session.scalars(statement).all(), paging, key=lambda asset: asset.id)


def list_rows(
    columns: AnySelect, workspace_id: UUID, filters: Filters, paging: Paging
) -> tuple[Sequence[AnyRow], str | None]:
    """The same page as rows of ``columns``, a SELECT over assets that includes their ``id``."""
    statement = one_page(columns, workspace_id, filters, paging)
    return cut(db.session.execute(statement).all(), paging, key=lambda row: row.id)


def places_of(workspace_id: UUID, asset_ids: Sequence[UUID]) -> set[tuple[UUID, UUID | None]]:
    """The places, as (library, folder), in which these assets lie."""
    statement = select(Asset.library_id, Asset.folder_id).where(Asset.workspace_id == workspace_id)
    return {(row.library_id, row.folder_id) for row in db.session.execute(statement.where(among(Asset.id, asset_ids)))}


def paths_of(workspace_id: UUID, asset_ids: Sequence[UUID]) -> dict[UUID, tuple[str, ...]]:
    """For each of these files the names of its library and of the folders above it. One statement."""
    if not asset_ids:
        return {}
    path = (
        select(
            Asset.id.label("asset_id"),
            Asset.library_id,
            Asset.folder_id.label("next_id"),
            cast(array([], type_=Text), ARRAY(Text)).label("names"),
            literal(1).label("step"),
        )
        .where(Asset.workspace_id == workspace_id, among(Asset.id, asset_ids))
        .cte("path", recursive=True)
    )
    path = path.union_all(
        select(
            path.c.asset_id,
            path.c.library_id,
            Folder.parent_id,
            func.array_prepend(cast(Folder.name, Text), path.c.names),
            path.c.step + 1,
        )
        .join(Folder, Folder.id == path.c.next_id)
        .where(Folder.workspace_id == workspace_id, path.c.step <= MAX_STEPS)
    )
    query = select(path.c.asset_id, Library.name, path.c.names).join(Library, Library.id == path.c.library_id)
    rows = db.session.execute(query.where(path.c.next_id.is_(None)))
    return {asset_id: (library, *names) for asset_id, library, names in rows}


def one_page(statement: AnySelect, workspace_id: UUID, filters: Filters, paging: Paging) -> AnySelect:
    """``statement``, a SELECT over assets, for one page and one row more, newest first.

    Ids are UUIDv7, so the newest is the largest.
    """
    if filters.ids or filters.q:
        ids = filters.ids or _named(workspace_id, filters, paging)
        return statement.where(Asset.workspace_id == workspace_id, among(Asset.id, ids)).order_by(Asset.id.desc())
    places = [(Asset.folder_id, filters.folder_id), (Asset.library_id, filters.library_id)]
    equal = [(column, place) for column, place in places if place is not None] + [(Asset.workspace_id, workspace_id)]
    narrowest, place = equal[0]
    # With a plain "=" the planner may walk the ids of all workspaces instead, hoping to meet enough of this one's soon,
    # and read a million rows of others. "= ANY (ARRAY[…])", and the column at the head of the order, keep it from that.
    conditions = [narrowest == any_(array([bindparam(None, place, type_=Uuid())]))]
    conditions += [column == value for column, value in equal[1:]]
    conditions += [_in_state(filters.status)]
    if filters.kind:
        conditions.append(Asset.kind == _inline(filters.kind, Asset.kind.type))
    if filters.top:
        conditions.append(Asset.folder_id.is_(None))
    if (before := paging.after_id()) is not None:
        conditions.append(Asset.id < before)
    newest_first = statement.where(*conditions).order_by(narrowest.desc(), Asset.id.desc())
    return newest_first.limit(_inline(paging.limit + 1, Integer()))


def among(column: InstrumentedAttribute[UUID], ids: Sequence[UUID]) -> ColumnElement[bool]:
    """Is it one of these? However many there are they are one parameter, so that the statement is always the same."""
    return column == any_(bindparam(None, list(ids), type_=ARRAY(Uuid())))


def _inline(value: Any, type_: Any) -> BindParameter[Any]:
    """A value that SQLAlchemy writes into the statement: the server must know it when it plans a prepared statement.

    With a parameter in its place the plan can't use an index that has this value in its predicate, and guesses LIMIT.
    """
    return bindparam(None, value, type_=type_, literal_execute=True)


def _in_state(state: AssetState | None) -> ColumnElement[bool]:
    if state is None:
        return Asset.state != _inline(AssetState.DELETED, Asset.state.type)
    return Asset.state == _inline(state, Asset.state.type)


def _named(workspace_id: UUID, filters: Filters, paging: Paging) -> list[UUID]:
    """The ids of one page of a search, found by the function that may use the index of names."""
    named = func.assets_named(
        workspace_id,
        list(dict.fromkeys((filters.q or "").split()))[:MOST_WORDS],
        filters.kind,
        filters.status.value if filters.status else None,
        filters.library_id,
        filters.folder_id,
        paging.after_id(),
        paging.limit + 1,
    )
    return list(db.session.scalars(select(named.column_valued("id"))))
