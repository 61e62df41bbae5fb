"""Move folders with their contents, and files, to another folder or library; rename a folder.

Folders and assets change in one transaction; so this is in the package above both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import func, select, update

from portal.assets.models import Asset, AssetState
from portal.database import db, transaction
from portal.errors import Conflict, NotFound
from portal.folders import folder_names, libraries
from portal.folders.models import Folder
from portal.folders.service import (
    MAX_RECORDED_NAMES,
    Target,
    among,
    depth_of,
    lock_folders,
    record,
    require_depth,
    require_free,
    resolve,
    tree_below,
)
from portal.tenancy.service import Member

MOST_FILES = 10_000  # files that one request moves to another library or to the trash: about a second's work


class Origin(NamedTuple):
    """The folder of a file before it was moved."""

    asset_id: UUID
    library_id: UUID
    folder_id: UUID | None


class ChangedFolder(NamedTuple):
    """A folder after the change. ``staying``: quarantined files that were in it, now at the top of their library."""

    folder: Folder
    staying: int


def change_folder(
    member: Member,
    folder_id: UUID,
    *,
    name: str | None = None,
    target: Target | None = None,
    seen_name: str | None = None,
) -> ChangedFolder:
    """Rename a folder, move it with its contents, or both. None: unchanged.

    A ``target`` without a library is in the folder's own. Quarantined files are not moved, they stay behind: if they
    kept the folder from being moved, anybody who uploads a virus could lock it in its place. Raises ``NotFound``,
    ``Invalid``; ``Conflict`` when somebody has renamed it since ``seen_name`` was shown, when the target is inside of
    it or too deep, or the name is taken.
    """
    wanted = None if name is None else folder_names.checked(name)
    with transaction(member.tenant_id):
        lock_folders(member.workspace)
        folder = libraries.find_folder(member.workspace, folder_id)
        staying = 0
        before: dict[str, Any] = {"name": folder.name, "library_id": folder.library_id, "parent_id": folder.parent_id}
        after = dict(before)
        if wanted is not None:
            if seen_name not in (None, folder.name):
                raise Conflict(
                    _("Somebody else has renamed this folder to “%(name)s” in the meantime.", name=folder.name),
                    field="name",
                )
            after["name"] = wanted
        if target is not None:
            after |= _new_position(folder, target)
        if after != before:
            require_free(after["library_id"], after["parent_id"], after["name"], but=folder.id)
            staying = _move(member, folder, before, after)
    return ChangedFolder(folder, staying)


def _new_position(folder: Folder, target: Target) -> dict[str, Any]:
    """The columns of a folder in its new position, after every check except that of its name."""
    parent = Target(target.library_id or folder.library_id) if target.folder_id is None else target
    library_id = resolve(folder.workspace_id, parent)
    below = db.session.execute(select(tree_below(folder.workspace_id, folder.id))).all()
    if parent.folder_id in {row.id for row in below}:
        raise Conflict(_("A folder can't be moved into itself or into one of its subfolders."))
    require_depth(depth_of(folder.workspace_id, parent.folder_id) + max(row.step for row in below))
    return {"library_id": library_id, "parent_id": parent.folder_id}


def _move(member: Member, folder: Folder, before: dict[str, Any], after: dict[str, Any]) -> int:
    """Write the change. Returns how many quarantined files stayed behind."""
    is_moved = (after["library_id"], after["parent_id"]) != (before["library_id"], before["parent_id"])
    # First: they go to the top of the library in which they were, and are not moved with the contents then.
    staying = _leave_quarantined(folder) if is_moved else 0
    if after["library_id"] != before["library_id"]:
        _move_contents(folder, after["library_id"])
    for name, value in after.items():
        setattr(folder, name, value)
    if after["name"] != before["name"]:
        record(member, "folder.renamed", folder.id, name=folder.name, before=before["name"])
    if is_moved:
        into = str(folder.parent_id or folder.library_id)
        record(member, "folder.moved", folder.id, name=folder.name, into=into, staying=staying)
    return staying


def _leave_quarantined(folder: Folder) -> int:
    """Put the quarantined files of a folder that is moved to the top of their library, as a deletion of it does."""
    ids = db.session.scalars(select(tree_below(folder.workspace_id, folder.id).c.id)).all()
    inside = Asset.workspace_id == folder.workspace_id, among(Asset.folder_id, ids)
    up = update(Asset).where(*inside, Asset.state == AssetState.QUARANTINED).values(folder_id=None)
    return len(db.session.scalars(up.returning(Asset.id).execution_options(synchronize_session=False)).all())


def _move_contents(folder: Folder, library_id: UUID) -> None:
    """Put a folder, all below it and every file in them, files in the trash too, into another library.

    Raises ``Conflict`` above ``MOST_FILES``.
    """
    folder_ids = db.session.scalars(select(tree_below(folder.workspace_id, folder.id).c.id)).all()
    inside = Asset.workspace_id == folder.workspace_id, among(Asset.folder_id, folder_ids)
    counted = select(Asset.id).where(*inside).limit(MOST_FILES + 1).subquery()  # no further than the answer needs
    if db.session.execute(select(func.count()).select_from(counted)).scalar_one() > MOST_FILES:
        raise Conflict(_("This folder has more than %(most)s files. Move its subfolders one by one.", most=MOST_FILES))
    # Not synchronized with the objects of the session: for that SQLAlchemy would load every row.
    folders = update(Folder).where(among(Folder.id, folder_ids)).values(library_id=library_id)
    db.session.execute(folders.execution_options(synchronize_session=False))
    files = update(Asset).where(*inside).values(library_id=library_id)
    db.session.execute(files.execution_options(synchronize_session=False))


def move_files(
    member: Member, asset_ids: Sequence[UUID], target: Target, *, skip_quarantined: bool = False
) -> list[Origin]:
    """Move files to a folder or to the top of a library, all or none. Returns where each of them was.

    Quarantined files stay where they were found until an administrator has decided: with ``skip_quarantined`` the
    others are moved. Raises ``NotFound`` for a target, or a file, that does not exist or is in the trash; ``Conflict``
    (``held``, with ``asset_ids``) for quarantined files, or when there are no others.
    """
    wanted = list(dict.fromkeys(asset_ids))
    with transaction(member.tenant_id):
        library_id = resolve(member.workspace, target, lock=True)
        columns = Asset.id, Asset.state, Asset.library_id, Asset.folder_id, Asset.file_name
        here = Asset.workspace_id == member.workspace, among(Asset.id, wanted), Asset.state != AssetState.DELETED
        # Locked in the order of ids: two moves of the same files wait for each other, and can't deadlock.
        rows = db.session.execute(select(*columns).where(*here).order_by(Asset.id).with_for_update()).all()
        if len(rows) < len(wanted):
            raise NotFound(_("One of these files was deleted or is in the trash. Nothing was moved."))
        moving = [row for row in rows if row.state is not AssetState.QUARANTINED]
        if len(moving) < len(rows) and not (moving and skip_quarantined):
            raise _quarantined([row.id for row in rows if row.state is AssetState.QUARANTINED])
        values = {"library_id": library_id, "folder_id": target.folder_id}
        move = update(Asset).where(among(Asset.id, [row.id for row in moving])).values(values)
        db.session.execute(move.execution_options(synchronize_session=False))
        one = wanted[0] if len(wanted) == 1 else None
        names = [row.file_name for row in moving[:MAX_RECORDED_NAMES]]
        record(member, "assets.moved", one, count=len(moving), names=names, into=str(target.folder_id or library_id))
    return [Origin(row.id, row.library_id, row.folder_id) for row in moving]


def _quarantined(asset_ids: Sequence[UUID]) -> Conflict:
    detail = ngettext(
        "A file is in quarantine and can't be moved until an administrator has decided about it. Nothing was moved.",
        "%(num)s files are in quarantine and can't be moved until an administrator has decided about them. Nothing was "
        "moved.",
        len(asset_ids),
    )
    return Conflict(detail, code="held", asset_ids=[str(each) for each in asset_ids])
