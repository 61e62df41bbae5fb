"""Commands and queries of assets: find, rename, move to the trash, restore, delete permanently.

Every command is safe to repeat. A compare-and-set of the state decides who wins when two act at once;
``portal.assets.purge`` deletes the objects, later and outside of these transactions.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import (
    ColumnElement,
    func,
    literal_column,
    select,
    update,
)

from portal import audit, tasks
from portal.assets import preview_jobs, rescans
from portal.assets.models import Asset, AssetState, PreviewState, Variant
from portal.database import compare_and_set, db, now, transaction
from portal.errors import Conflict, Invalid, NotFound
from portal.events import service as events
from portal.events.models import EventType
from portal.folders.models import Folder
from portal.identity.models import User
from portal.inspection import file_kinds
from portal.tenancy.service import Member

TRASH_DAYS = 30
MAX_COUNTED = 10_000  # files that a summary counts at most, so that its cost does not grow with the trash
OPENED_AGAIN = timedelta(minutes=1)  # reloading a page within this time counts once, and writes no row


@dataclass(frozen=True)
class TrashSummary:
    """What "empty the trash" would remove. ``more``: there are others; ``leaving``: some are being purged."""

    count: int
    bytes: int
    more: bool
    leaving: bool


def find_asset(workspace_id: UUID, asset_id: UUID) -> Asset:
    """One asset of this workspace, in any state. Raises ``NotFound``."""
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
    return db.session.get(User, asset.created_by)


def opened(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Record that somebody opened the file now: its page or a download, never a thumbnail."""
    with transaction(tenant_id):
        note_opened(workspace_id, asset_id)


def note_opened(workspace_id: UUID, asset_id: UUID) -> None:
    """``opened`` inside the caller's transaction."""
    at = now()
    long_ago = (Asset.last_opened_at.is_(None)) | (Asset.last_opened_at < at - OPENED_AGAIN)
    statement = update(Asset).where(Asset.workspace_id == workspace_id, Asset.id == asset_id, long_ago)
    db.session.execute(statement.values(last_opened_at=at).execution_options(synchronize_session=False))


def rename(member: Member, asset_id: UUID, file_name: str, seen_name: str | None = None) -> None:
    """Give the file another name. The extension stays: the content was checked against it.

    Raises ``NotFound``; ``Invalid`` for an invalid name; ``Conflict`` for a file that is not ready, and when
    somebody has renamed it since ``seen_name`` was shown.
    """
    name = unicodedata.normalize("NFC", file_name.strip())
    with transaction(member.tenant_id):
        asset = _locked(member.workspace, asset_id)
        before = asset.file_name
        if file_kinds.extension_of(name) != file_kinds.extension_of(before):
            raise Invalid(
                _("The name must still end in .%(extension)s.", extension=file_kinds.extension_of(before)),
                field="file_name",
            )
        file_kinds.check_name(name)
        if seen_name not in (None, before):
            raise Conflict(
                _("Somebody else has renamed this file to “%(name)s” in the meantime.", name=before), field="file_name"
            )
        if asset.state is not AssetState.AVAILABLE:
            raise Conflict(
                _(
                    "Only a file that is ready can be renamed: not while it is being checked, in quarantine or in "
                    "the trash."
                )
            )
        if name != before:
            asset.file_name = name
            _record(member, "asset.renamed", asset_id, name=name, before=before)


def discard(member: Member, asset_id: UUID) -> None:
    """Move the file to the trash for 30 days. Raises ``NotFound``; ``Conflict`` if processing or quarantined."""
    with transaction(member.tenant_id):
        _discard(member, asset_id, keep=timedelta(days=TRASH_DAYS))


def restore(member: Member, asset_id: UUID) -> bool:
    """Restore the file to the state it had before the trash. Raises ``NotFound``; ``Conflict`` once it is being purged.

    A file that had failed returns as failed. Returns True when its folder no longer exists, and the file went to the
    top of the library.
    """
    with transaction(member.tenant_id):
        asset = _locked(member.workspace, asset_id)
        if asset.state is not AssetState.DELETED:
            return False
        home = _living_folder(asset)
        # Not now(), the time at which this transaction began: a purge that has begun since then must win.
        staying = Asset.purge_after > func.clock_timestamp()
        before = asset.state_before or AssetState.FAILED
        pending = before is AssetState.AVAILABLE and asset.previews is PreviewState.PENDING
        back = {"state_before": None, "deleted_at": None, "deleted_by": None, "purge_after": None, "folder_id": home}
        if not compare_and_set(Asset, [*_this(member, asset_id), _IN_TRASH, staying], before, **back):
            raise Conflict(_("This file is being deleted permanently and can't be restored any more."))
        _record(member, "asset.restored", asset_id)
        _record_event(EventType.ASSET_RESTORED, member, asset_id)
        tasks.cancel(asset_id, "purge")
        if pending:
            preview_jobs.schedule(asset)
        if before is AssetState.AVAILABLE and asset.scan_reason in rescans.UNSCANNED:
            rescans.schedule(asset)
        return home != asset.folder_id


def delete_for_good(member: Member, asset_id: UUID) -> None:
    """Schedule the purge, from the trash or directly. Raises as ``discard`` does. The job frees the space."""
    with transaction(member.tenant_id) as session:
        _discard(member, asset_id, keep=timedelta(0))
        soon = update(Asset).where(*_this(member, asset_id), _IN_TRASH, Asset.purge_after > func.now())
        session.execute(soon.values(purge_after=func.now()).execution_options(synchronize_session=False))
        tasks.schedule("purge", asset_id, tenant_id=member.tenant_id, workspace_id=member.workspace)
        _record(member, "asset.purge_requested", asset_id)


def empty_trash(member: Member) -> TrashSummary:
    """Schedule the purge of everything in the trash. Returns what was in it."""
    with transaction(member.tenant_id) as session:
        leaving = update(Asset).where(Asset.workspace_id == member.workspace, _IN_TRASH, Asset.purge_after > func.now())
        gone = leaving.values(purge_after=func.now()).returning(Asset.id, Asset.size_bytes)
        rows = session.execute(gone.execution_options(synchronize_session=False)).all()
        count, size = len(rows), sum(row.size_bytes for row in rows)
        if count:
            _record(member, "trash.emptied", None, count=count, bytes=size)
        ids = [row.id for row in rows]
        tasks.schedule_all("purge", ids, tenant_id=member.tenant_id, workspace_id=member.workspace)
    return TrashSummary(count, size, more=False, leaving=bool(count))


def trash_summary(workspace_id: UUID) -> TrashSummary:
    """What is in the trash, for the question before emptying it: real numbers up to ``MAX_COUNTED`` files."""
    in_trash = select(Asset.size_bytes).where(Asset.workspace_id == workspace_id, _IN_TRASH)
    staying = in_trash.where(Asset.purge_after > func.now()).limit(MAX_COUNTED + 1).subquery()
    count, size = db.session.execute(select(func.count(), func.coalesce(func.sum(staying.c.size_bytes), 0))).one()
    leaving = db.session.scalar(select(in_trash.where(Asset.purge_after <= func.now()).exists()))
    return TrashSummary(min(count, MAX_COUNTED), int(size), more=count > MAX_COUNTED, leaving=bool(leaving))


# Literal: with a bound parameter PostgreSQL's generic plan can't use the partial index on this state.
_IN_TRASH: ColumnElement[bool] = literal_column(f"assets.state = '{AssetState.DELETED}'")


def _discard(member: Member, asset_id: UUID, keep: timedelta) -> None:
    """Move the file to the trash, unless it is there already."""
    at = now()
    values = {"deleted_at": at, "deleted_by": member.user_id, "purge_after": at + keep}
    if compare_and_set(Asset, _this(member, asset_id), AssetState.DELETED, state_before=Asset.state, **values):
        tasks.schedule("purge", asset_id, tenant_id=member.tenant_id, workspace_id=member.workspace, due_at=at + keep)
        _record(member, "asset.deleted", asset_id)
        _record_event(EventType.ASSET_DELETED, member, asset_id)
        return
    state = db.session.scalar(select(Asset.state).where(*_this(member, asset_id)))
    if state is None:
        raise _missing()
    if state is AssetState.QUARANTINED:
        raise Conflict(_("This file is in quarantine: an administrator decides what happens to it."), code="held")
    if state is AssetState.PROCESSING:
        raise Conflict(_("This file is still being checked. You can delete it in a moment."))


def _locked(workspace_id: UUID, asset_id: UUID) -> Asset:
    statement = select(Asset).filter_by(workspace_id=workspace_id, id=asset_id).with_for_update()
    asset = db.session.scalar(statement.execution_options(populate_existing=True))
    if asset is None:
        raise _missing()
    return asset


def _living_folder(asset: Asset) -> UUID | None:
    """The folder of the asset, locked until the transaction ends; None when it was deleted."""
    living = select(Folder.id).filter_by(workspace_id=asset.workspace_id, id=asset.folder_id, deleted_at=None)
    return db.session.scalar(living.with_for_update(read=True)) if asset.folder_id else None


def _this(member: Member, asset_id: UUID) -> list[ColumnElement[bool]]:
    return [Asset.workspace_id == member.workspace, Asset.id == asset_id]


def _missing() -> NotFound:
    return NotFound(_("There is no such file in this workspace."))


def _record(member: Member, action: str, asset_id: UUID | None, **facts: Any) -> None:
    audit.record(member.tenant_id, member.user_id, action, asset_id, workspace_id=member.workspace, **facts)


def _record_event(what: EventType, member: Member, asset_id: UUID) -> None:
    events.record(what, member.tenant_id, member.workspace, asset_id=str(asset_id), actor_id=str(member.user_id))
