"""Lists of assets: one page, newest first, of a workspace, a library or a folder; and the search by name.

Each combination of filters is one statement that an index answers: it costs the same at any depth and size.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Uuid, any_, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY, array

from portal.assets.models import Asset, AssetState
from portal.database import db
from portal.web.paging import Paging, cut

_A = Asset.__table__.c
_ALL = select(Asset)


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to. Without ``status``: everything but the trash. ``top``: in no folder.

    ``ids``: to these alone, in whatever state; the others count for nothing then.
    """

    q: str | None = None
    kind: str | None = None
    status: AssetState | None = None
    library_id: UUID | None = None
    folder_id: UUID | None = None
    top: bool = False
    ids: tuple[UUID, ...] = ()


def list_assets(workspace_id: UUID, filters: Filters, paging: Paging) -> tuple[Sequence[Asset], str | None]:
    """One page, newest first, and the cursor of the next. It costs the same at any depth and size of the workspace."""
    if filters.ids:
        return db.session.scalars(_by_id(_ALL), {"workspace_id": workspace_id, "ids": list(filters.ids)}).all(), None
    statement, values = page_of(_ALL, workspace_id, filters, paging)
    return cut(db.session.scalars(statement, values).all(), paging, key=lambda asset: asset.id)


def page_of(
    statement: Select[Any], workspace_id: UUID, filters: Filters, paging: Paging
) -> tuple[Select[Any], dict[str, Any]]:
    """``statement`` (a constant, over assets) for one page and one row more, newest first; with its parameters."""
    if filters.q:
        return _by_id(statement), {"workspace_id": workspace_id, "ids": _named(workspace_id, filters, paging)}
    places = {"workspace_id": workspace_id, "library_id": filters.library_id, "folder_id": filters.folder_id}
    values = {name: value for name, value in places.items() if value is not None}
    before = paging.after_id()
    narrow = {"state": filters.status, "kind": filters.kind, "top": filters.top}
    listed = _listed(statement, tuple(values), **narrow, goes_on=before is not None, limit=paging.limit + 1)
    return listed, values if before is None else {**values, "before": before}


@lru_cache(maxsize=16)
def _by_id(statement: Select[Any]) -> Select[Any]:
    ids = bindparam("ids", type_=ARRAY(Uuid()))
    place = _A.workspace_id == bindparam("workspace_id")
    return statement.where(place, _A.id == any_(ids)).order_by(_A.id.desc())


@lru_cache(maxsize=512)
def _listed(
    statement: Select[Any],
    places: tuple[str, ...],
    *,
    state: AssetState | None,
    kind: str | None,
    top: bool,
    goes_on: bool,
    limit: int,
) -> Select[Any]:
    """The statement for one combination of filters, with the parameters ``places`` and ``before``.

    Ids are UUIDv7, so the newest is the largest. The narrowest place is asked for as ``= ANY (ARRAY[…])`` and heads the
    order: with a plain ``=`` the planner may walk the ids of all workspaces instead, hoping to meet enough of this
    one's soon, and read a million of others' rows. State and kind stand as literals, because a plan with a parameter
    in their place can't use an index that is made for them.
    """
    *wider, narrowest = (_A[name] for name in places)
    conditions = [column == bindparam(column.name) for column in wider]
    conditions += [narrowest == any_(array([bindparam(narrowest.name, type_=Uuid())])), _in_state(state)]
    if kind:
        conditions.append(_A.kind == _literal(kind))
    if top:
        conditions.append(_A.folder_id.is_(None))
    if goes_on:
        conditions.append(_A.id < bindparam("before"))
    newest_first = statement.where(*conditions).order_by(narrowest.desc(), _A.id.desc())
    return newest_first.limit(literal_column(str(int(limit)), Integer))


def _literal(word: str) -> ColumnElement[str]:
    """A word of ours as it stands in a statement. Raises ValueError for what could be more than a word."""
    if not word.isidentifier():
        raise ValueError(f"not a word: {word!r}")
    return literal_column(f"'{word}'")


def _in_state(state: AssetState | None) -> ColumnElement[bool]:
    """Without a state: everything but the trash."""
    return literal_column(f"assets.state = '{state}'" if state else f"assets.state <> '{AssetState.DELETED}'")


def _named(workspace_id: UUID, filters: Filters, paging: Paging) -> list[UUID]:
    """The ids of one page of a search, found by the function that may use the index of names."""
    plain = (filters.kind, filters.status and filters.status.value, filters.library_id, filters.folder_id)
    rest = (*plain, paging.after_id(), paging.limit + 1)
    found: set[UUID] = set()
    for words in _spellings(filters.q or ""):
        named = func.assets_named(workspace_id, _pattern(words), *rest).column_valued("id")
        found.update(db.session.scalars(select(named)))
    return sorted(found, reverse=True)[: paging.limit + 1]


def _spellings(words: str) -> set[str]:
    """As they are, composed and decomposed: a Mac writes an accent after its letter, people type both as one."""
    return {words, *(unicodedata.normalize(form, words) for form in ("NFC", "NFD"))}


def _pattern(words: str) -> str:
    """The LIKE pattern for names that contain ``words`` as they are."""
    for special in ("\\", "%", "_"):
        words = words.replace(special, f"\\{special}")
    return f"%{words}%"
