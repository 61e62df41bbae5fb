"""Delete and restore a folder with every folder in it and their files, which are in the trash meanwhile.

The time of deletion marks what belongs together: restoring a folder restores what was deleted with it, and nothing that
was deleted before. Files that are quarantined or processing are not deleted; they move to the top of the library.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import func, not_, select, update

from portal import names
from portal.assets import bulk
from portal.assets.models import Asset, AssetState
from portal.assets.service import TRASH_DAYS
from portal.database import db, now, states_before, transaction
from portal.errors import Conflict, NotFound
from portal.folders import libraries
from portal.folders.models import Folder
from portal.folders.service import among, is_free, lock_folders, record, tree_below
from portal.library.moves import MOST_FILES
from portal.tenancy.service import Member

_NO_SYNC = {"synchronize_session": False}  # no such row is loaded in this session: nothing to bring up to date


@dataclass(frozen=True)
class Contents:
    """What is deleted with a folder. ``staying`` of its files can't be deleted; ``more``: not all were counted."""

    folders: int
    files: int
    bytes: int
    staying: int = 0
    more: bool = False


@dataclass(frozen=True)
class Restored:
    """A restored folder. ``elsewhere``: its parent is gone, so it is at the top; ``renamed``: its name was taken."""

    folder: Folder
    files: int
    elsewhere: bool
    renamed: bool


def contents_of(workspace_id: UUID, folder_id: UUID) -> Contents:
    """What is in a folder and below it, counted up to ``MOST_FILES`` files. Raises ``NotFound``."""
    tree = tree_below(workspace_id, folder_id)
    inside = (
        select(Asset.state, Asset.size_bytes)
        .where(
            Asset.workspace_id == workspace_id,
            Asset.folder_id.in_(select(tree.c.id)),
            Asset.state != AssetState.DELETED,
        )
        .limit(MOST_FILES + 1)
        .subquery()
    )
    deletable = inside.c.state.in_(states_before(Asset, AssetState.DELETED))
    query = select(
        select(func.count() - 1).select_from(tree).scalar_subquery().label("folders"),
        func.count().filter(deletable).label("files"),
        func.coalesce(func.sum(inside.c.size_bytes).filter(deletable), 0).label("bytes"),
        func.count().filter(not_(deletable)).label("staying"),
    ).select_from(inside)
    found = db.session.execute(query).one()
    if found.folders < 0:
        raise NotFound(_("There is no such folder in this workspace."))
    more = found.files + found.staying > MOST_FILES
    return Contents(found.folders, found.files, int(found.bytes), found.staying, more)


def discard(member: Member, folder_id: UUID) -> Contents:
    """Delete a folder with its contents; its files go to the trash for 30 days. Repeating it changes nothing.

    Raises ``NotFound``; ``Conflict`` when it has more than ``MOST_FILES`` files.
    """
    with transaction(member.tenant_id):
        lock_folders(member.workspace)
        folder = libraries.find_folder(member.workspace, folder_id, deleted_too=True)
        if folder.deleted_at is not None:
            return Contents(0, 0, 0)
        inside_folder = contents_of(member.workspace, folder_id)
        if inside_folder.more:
            raise Conflict(
                _("This folder has more than %(most)s files. Delete its subfolders one by one.", most=MOST_FILES)
            )
        at = now()
        tree = db.session.scalars(select(tree_below(member.workspace, folder_id).c.id)).all()
        # The folders first: an upload that is committed meanwhile waits for their rows, and then goes to the top.
        db.session.execute(
            update(Folder).where(among(Folder.id, tree)).values(deleted_at=at).execution_options(**_NO_SYNC)
        )
        inside = among(Asset.folder_id, tree)
        gone = bulk.discard(member, at, timedelta(days=TRASH_DAYS), inside)
        up = update(Asset).where(Asset.workspace_id == member.workspace, inside, Asset.state != AssetState.DELETED)
        staying = db.session.scalars(up.values(folder_id=None).returning(Asset.id).execution_options(**_NO_SYNC)).all()
        done = Contents(len(tree) - 1, len(gone), sum(each.size_bytes for each in gone), len(staying))
        record(
            member,
            "folder.deleted",
            folder_id,
            name=folder.name,
            folders=done.folders,
            count=done.files,
            bytes=done.bytes,
            staying=done.staying,
        )
    return done


def restore(member: Member, folder_id: UUID) -> Restored:
    """Restore a folder with what was deleted with it. Repeating it changes nothing. Raises ``NotFound``."""
    with transaction(member.tenant_id):
        lock_folders(member.workspace)
        folder = libraries.find_folder(member.workspace, folder_id, deleted_too=True)
        if folder.deleted_at is None:
            return Restored(folder, 0, elsewhere=False, renamed=False)
        at, parent_id = folder.deleted_at, folder.parent_id
        tree = _deleted_with(folder)  # before its columns change: the query compares them
        if parent_id is not None and not _exists(parent_id, folder.library_id):
            folder.parent_id = None
        name = _free_name(folder)
        elsewhere, renamed = folder.parent_id != parent_id, folder.name != name
        folder.name = name
        db.session.flush()
        back = update(Folder).where(among(Folder.id, tree)).values(deleted_at=None)
        db.session.execute(back.execution_options(**_NO_SYNC))
        files = bulk.restore(member, among(Asset.folder_id, tree), Asset.deleted_at == at)
        record(member, "folder.restored", folder_id, name=name, folders=len(tree) - 1, count=len(files))
        db.session.refresh(folder)
    return Restored(folder, len(files), elsewhere, renamed)


def _deleted_with(folder: Folder) -> list[UUID]:
    """The folder, and those below it that were deleted with it."""
    deleted_then = select(Folder.id, Folder.parent_id).where(
        Folder.workspace_id == folder.workspace_id, Folder.deleted_at == folder.deleted_at
    )
    below: dict[UUID | None, list[UUID]] = {}
    for each, parent_id in db.session.execute(deleted_then):
        below.setdefault(parent_id, []).append(each)
    tree = [folder.id]
    for each in tree:
        tree += below.get(each, [])
    return tree


def _exists(folder_id: UUID, library_id: UUID) -> bool:
    found = select(Folder.id).filter_by(id=folder_id, library_id=library_id, deleted_at=None)
    return db.session.scalar(found) is not None


def _free_name(folder: Folder) -> str:
    """Its own name, or the first free one with a number after it."""
    for number in count(1):
        mark = "" if number == 1 else f" ({number})"
        name = folder.name[: names.LONGEST - len(mark)] + mark
        if is_free(folder.library_id, folder.parent_id, name):
            return name
    raise AssertionError("numbers do not end")
