"""What people do with assets: find them, put them into the trash, take them back, have them deleted for good.

Every command is safe to repeat. The state decides, by compare-and-set, who wins when two act at once; what holds the
bytes is removed by ``portal.assets.purging``, later and outside of these transactions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Uuid,
    any_,
    bindparam,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, array

from portal import audit
from portal.assets.models import Asset, AssetState, PreviewState, Variant
from portal.db import after_commit, compare_and_set, db, now, transaction
from portal.errors import Conflict, NotFound
from portal.events import service as events
from portal.events.models import EventType
from portal.identity.models import User
from portal.queue import ring
from portal.tenancy.service import Member
from portal.web.paging import Paging, cut

TRASH_DAYS = 30
COUNTED = 10_000  # files that a summary counts at most: what it costs does not grow with the trash
RUNG_AT_ONCE = 100  # purges asked for directly when the trash is emptied; the sweep rings for the rest
_A = Asset.__table__.c
_ALL = select(Asset)
OPENED_AGAIN = timedelta(minutes=1)  # a page that is reloaded within this was opened once


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to. Without ``status``: everything but the trash."""

    q: str | None = None
    kind: str | None = None
    status: AssetState | None = None
    library_id: UUID | None = None
    folder_id: UUID | None = None


@dataclass(frozen=True)
class TrashSummary:
    """What "empty the trash" would remove. ``more``: there are files beyond these; ``leaving`` are on their way out."""

    count: int
    bytes: int
    more: bool
    leaving: bool


def list_assets(workspace_id: UUID, filters: Filters, paging: Paging) -> tuple[Sequence[Asset], str | None]:
    """One page, newest first, and the cursor of the next. It costs the same at any depth and size of the workspace."""
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
    shape = {"state": filters.status, "kind": filters.kind, "goes_on": before is not None, "limit": paging.limit + 1}
    listed = _listed(statement, tuple(values), **shape)
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
    pattern = _pattern(filters.q or "")
    named = func.assets_named(workspace_id, pattern, *plain, paging.after_id(), paging.limit + 1).column_valued("id")
    return list(db.session.scalars(select(named)))


def _pattern(words: str) -> str:
    """The LIKE pattern for names that contain ``words`` as they are."""
    for special in ("\\", "%", "_"):
        words = words.replace(special, f"\\{special}")
    return f"%{words}%"


def find_asset(workspace_id: UUID, asset_id: UUID) -> Asset:
    """One asset of this workspace, in whatever state. Raises ``NotFound``."""
    asset = db.session.scalar(select(Asset).filter_by(workspace_id=workspace_id, id=asset_id))
    if asset is None:
        raise _missing()
    return asset


def variants_of(assets: Sequence[Asset]) -> dict[UUID, list[Variant]]:
    """The derived files of each asset, from small to large; one statement."""
    found: dict[UUID, list[Variant]] = {asset.id: [] for asset in assets}
    if found:
        statement = select(Variant).where(Variant.asset_id.in_(found)).order_by(Variant.width, Variant.size_bytes)
        for variant in db.session.scalars(statement):
            found[variant.asset_id].append(variant)
    return found


def author_of(asset: Asset) -> User | None:
    """Who uploaded it."""
    return db.session.get(User, asset.created_by)


def opened(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Note that somebody looked at it now (a page or a download; never a thumbnail)."""
    with transaction(tenant_id):
        note_opened(workspace_id, asset_id)


def note_opened(workspace_id: UUID, asset_id: UUID) -> None:
    """The same inside the caller's transaction."""
    at = now()
    long_ago = (Asset.last_opened_at.is_(None)) | (Asset.last_opened_at < at - OPENED_AGAIN)
    statement = update(Asset).where(Asset.workspace_id == workspace_id, Asset.id == asset_id, long_ago)
    db.session.execute(statement.values(last_opened_at=at).execution_options(synchronize_session=False))


def discard(member: Member, asset_id: UUID) -> None:
    """Put it into the trash for 30 days. Raises ``NotFound``, and ``Conflict`` for what is checked or held back."""
    with transaction(member.tenant_id):
        _discard(member, asset_id, keep=timedelta(days=TRASH_DAYS))


def restore(member: Member, asset_id: UUID) -> None:
    """Take it out of the trash, into the state it was in. Raises ``NotFound``; ``Conflict`` once it is on its way out.

    The verdict stays with the state: a file that failed returns as failed.
    """
    with transaction(member.tenant_id):
        asset = _locked(member.workspace, asset_id)
        if asset.state is not AssetState.DELETED:
            return
        # The clock at this very statement: a purge that has claimed the row since this transaction began must win.
        staying = Asset.purge_after > func.clock_timestamp()
        before = asset.state_before or AssetState.FAILED
        pending = before is AssetState.AVAILABLE and asset.previews is PreviewState.PENDING
        back = {"state_before": None, "deleted_at": None, "deleted_by": None, "purge_after": None}
        due_at = now() if pending else None
        if not compare_and_set(Asset, [*_this(member, asset_id), _IN_TRASH, staying], before, **back, due_at=due_at):
            raise Conflict("This file is being deleted for good and can't be restored any more.")
        _record(member, "asset.restored", asset_id)
        _tell(EventType.ASSET_RESTORED, member, asset_id)
        if pending:
            _ring_later("render_previews", member, asset_id)


def delete_for_good(member: Member, asset_id: UUID) -> None:
    """Ask for its purge, from the trash or straight away. Raises as ``discard`` does. The space is free once it ran."""
    with transaction(member.tenant_id) as session:
        _discard(member, asset_id, keep=timedelta(0))
        soon = update(Asset).where(*_this(member, asset_id), _IN_TRASH, Asset.purge_after > func.now())
        session.execute(soon.values(purge_after=func.now(), due_at=None).execution_options(synchronize_session=False))
        _record(member, "asset.purge_requested", asset_id)
        _ring_later("purge", member, asset_id)


def empty_trash(member: Member) -> TrashSummary:
    """Ask for the purge of everything in the trash; what was in it."""
    with transaction(member.tenant_id) as session:
        leaving = update(Asset).where(Asset.workspace_id == member.workspace, _IN_TRASH, Asset.purge_after > func.now())
        gone = leaving.values(purge_after=func.now(), due_at=None).returning(Asset.id, Asset.size_bytes).cte("gone")
        newest = select(gone.c.id).order_by(gone.c.id.desc()).limit(RUNG_AT_ONCE).scalar_subquery()
        totals = select(func.count(), func.coalesce(func.sum(gone.c.size_bytes), 0), func.array(newest))
        count, size, ids = session.execute(totals.select_from(gone)).one()
        if count:
            _record(member, "trash.emptied", None, count=count, bytes=int(size))
        for asset_id in ids:
            _ring_later("purge", member, asset_id)
    return TrashSummary(count, int(size), more=False, leaving=bool(count))


def trash_summary(workspace_id: UUID) -> TrashSummary:
    """What is in the trash, for the question before emptying it: real numbers up to ``COUNTED`` files."""
    in_trash = select(Asset.size_bytes).where(Asset.workspace_id == workspace_id, _IN_TRASH)
    staying = in_trash.where(Asset.purge_after > func.now()).limit(COUNTED + 1).subquery()
    count, size = db.session.execute(select(func.count(), func.coalesce(func.sum(staying.c.size_bytes), 0))).one()
    leaving = db.session.scalar(select(in_trash.where(Asset.purge_after <= func.now()).exists()))
    return TrashSummary(min(count, COUNTED), int(size), more=count > COUNTED, leaving=bool(leaving))


_IN_TRASH: ColumnElement[bool] = literal_column(f"assets.state = '{AssetState.DELETED}'")


def _discard(member: Member, asset_id: UUID, keep: timedelta) -> None:
    """Into the trash, unless it is there already."""
    at = now()
    values = {"deleted_at": at, "deleted_by": member.user_id, "purge_after": at + keep, "due_at": None}
    if compare_and_set(Asset, _this(member, asset_id), AssetState.DELETED, state_before=Asset.state, **values):
        _record(member, "asset.deleted", asset_id)
        _tell(EventType.ASSET_DELETED, member, asset_id)
        return
    state = db.session.scalar(select(Asset.state).where(*_this(member, asset_id)))
    if state is None:
        raise _missing()
    if state is AssetState.QUARANTINED:
        raise Conflict("This file is held back: an administrator decides what happens to it.", code="held")
    if state is AssetState.PROCESSING:
        raise Conflict("This file is still being checked. Delete it when that is done, in a moment.")


def _locked(workspace_id: UUID, asset_id: UUID) -> Asset:
    statement = select(Asset).filter_by(workspace_id=workspace_id, id=asset_id).with_for_update()
    asset = db.session.scalar(statement.execution_options(populate_existing=True))
    if asset is None:
        raise _missing()
    return asset


def _this(member: Member, asset_id: UUID) -> list[ColumnElement[bool]]:
    return [Asset.workspace_id == member.workspace, Asset.id == asset_id]


def _missing() -> NotFound:
    return NotFound("There is no such file in this workspace.")


def _record(member: Member, action: str, asset_id: UUID | None, **facts: Any) -> None:
    audit.record(member.tenant_id, member.user_id, action, asset_id, workspace_id=member.workspace, **facts)


def _tell(what: EventType, member: Member, asset_id: UUID) -> None:
    events.record(what, member.tenant_id, member.workspace, asset_id=str(asset_id), actor_id=str(member.user_id))


def _ring_later(job: Literal["purge", "render_previews"], member: Member, asset_id: UUID) -> None:
    def rings() -> None:
        ring(job, member.tenant_id, member.workspace, asset_id)

    after_commit(rings)
