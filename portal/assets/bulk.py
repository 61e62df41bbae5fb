"""Many files at once into the trash, and out of it: one statement, one event for each file.

What is being checked, or quarantined, stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update

from portal import audit, tasks
from portal.assets import rescans
from portal.assets.models import Asset, AssetState, PreviewState
from portal.assets.service import TRASH_DAYS
from portal.database import db, now, states_before, transaction
from portal.events import service as events
from portal.events.models import EventType
from portal.folders.models import Folder
from portal.tenancy.service import Member


class Taken(NamedTuple):
    """A file that changed its state, and its size in bytes."""

    id: UUID
    size_bytes: int


def discard_chosen(member: Member, asset_ids: Sequence[UUID]) -> list[Taken]:
    """Put these into the trash for 30 days, as far as their state allows; those that went."""
    with transaction(member.tenant_id):
        gone = discard(member, now(), timedelta(days=TRASH_DAYS), Asset.id.in_(asset_ids))
        _record_each(member, "asset.deleted", gone)
    return gone


def restore_chosen(member: Member, asset_ids: Sequence[UUID]) -> list[Taken]:
    """Take these out of the trash, each to where it was; those that are back."""
    with transaction(member.tenant_id):
        back = restore(member, Asset.id.in_(asset_ids))
        _record_each(member, "asset.restored", back)
    return back


def _record_each(member: Member, action: str, files: Sequence[Taken]) -> None:
    for each in files:
        audit.record(member.tenant_id, member.user_id, action, each.id, workspace_id=member.workspace)


def discard(member: Member, at: datetime, keep: timedelta, *which: ColumnElement[bool]) -> list[Taken]:
    """Into the trash, where ``which`` holds and the state allows it; belongs inside the caller's transaction."""
    values = {
        "state": AssetState.DELETED,
        "state_before": Asset.state,
        "deleted_at": at,
        "deleted_by": member.user_id,
        "purge_after": at + keep,
    }
    may = Asset.state.in_(states_before(Asset, AssetState.DELETED))
    gone = _change(member, EventType.ASSET_DELETED, values, may, *which)
    ids = [row.id for row in gone]
    tasks.schedule_all("purge", ids, tenant_id=member.tenant_id, workspace_id=member.workspace, due_at=at + keep)
    return [Taken(row.id, row.size_bytes) for row in gone]


def restore(member: Member, *which: ColumnElement[bool]) -> list[Taken]:
    """Out of the trash, each into the state it was in, unless it is on its way out for good; as ``discard``.

    A file whose folder was deleted goes to the top of its library.
    """
    # In the statement itself: each of the files may lie in another folder.
    home = select(Folder.id).where(Folder.id == Asset.folder_id, Folder.deleted_at.is_(None)).scalar_subquery()
    values = {
        "state": func.coalesce(Asset.state_before, AssetState.FAILED.value),
        "state_before": None,
        "deleted_at": None,
        "deleted_by": None,
        "purge_after": None,
        "folder_id": home,
    }
    # The time of this very statement: a purge that has begun since this transaction began must win.
    staying = Asset.purge_after > func.clock_timestamp()
    back = _change(member, EventType.ASSET_RESTORED, values, Asset.state == AssetState.DELETED, staying, *which)
    tasks.cancel([row.id for row in back], "purge")
    # Work on a file in the trash ends without a result; what it still lacks is due again.
    available = [row for row in back if row.state is AssetState.AVAILABLE]
    unfinished = [row.id for row in available if row.previews is PreviewState.PENDING]
    tasks.schedule_all("render_previews", unfinished, tenant_id=member.tenant_id, workspace_id=member.workspace)
    for row in available:
        if row.scan_reason in rescans.UNSCANNED:
            rescans.schedule(row)
    return [Taken(row.id, row.size_bytes) for row in back]


def _change(member: Member, what: EventType, values: dict[str, Any], *which: ColumnElement[bool]) -> Sequence[Any]:
    statement = update(Asset).where(Asset.workspace_id == member.workspace, *which).values(values)
    columns = Asset.id, Asset.tenant_id, Asset.workspace_id, Asset.size_bytes, Asset.state, Asset.previews
    changed = statement.returning(*columns, Asset.scan_reason).execution_options(synchronize_session=False)
    rows = db.session.execute(changed).all()
    for row in rows:
        actor = str(member.user_id)
        events.record(what, member.tenant_id, member.workspace, asset_id=str(row.id), actor_id=actor)
    return rows
