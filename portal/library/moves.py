"""Move folders with their contents, and files, to another folder or library; rename a folder.

Folders and assets change in one transaction; so this is in the package above both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import ARRAY, Uuid, bindparam, select, text, update

from portal.assets.models import Asset
from portal.database import db, transaction
from portal.errors import Conflict, NotFound
from portal.folders import folder_names, libraries
from portal.folders.models import Folder
from portal.folders.service import (
    BELOW,
    FOLDER_PARAMETERS,
    MAX_RECORDED_NAMES,
    Target,
    among,
    depth_of,
    lock_folders,
    record,
    require_depth,
    require_free,
    resolve,
)
from portal.tenancy.service import Member

MOST_FILES = 10_000  # files that one request moves to another library or to the trash: about a second's work


class Origin(NamedTuple):
    """The folder of a file before it was moved."""

    asset_id: UUID
    library_id: UUID
    folder_id: UUID | None


_MOVE = text("""
    UPDATE assets a SET library_id = :library, folder_id = :folder FROM (
        SELECT id, library_id, folder_id FROM assets
        WHERE workspace_id = :workspace AND id = ANY (:assets) AND state <> 'deleted' ORDER BY id FOR UPDATE
    ) was WHERE a.id = was.id RETURNING was.id, was.library_id, was.folder_id, a.file_name
""").bindparams(*FOLDER_PARAMETERS, bindparam("library", type_=Uuid()), bindparam("assets", type_=ARRAY(Uuid())))


def change_folder(
    member: Member,
    folder_id: UUID,
    *,
    name: str | None = None,
    target: Target | None = None,
    seen_name: str | None = None,
) -> Folder:
    """Rename a folder, move it with its contents, or both. None: unchanged.

    A ``target`` without a library is in the folder's own. Raises ``NotFound``, ``Invalid``; ``Conflict`` when somebody
    has renamed it since ``seen_name`` was shown, when the target is inside of it or too deep, or the name is taken.
    """
    wanted = None if name is None else folder_names.checked(name)
    with transaction(member.tenant_id):
        lock_folders(member.workspace)
        folder = libraries.find_folder(member.workspace, folder_id)
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
            _move(member, folder, before, after)
    return folder


def _new_position(folder: Folder, target: Target) -> dict[str, Any]:
    """The columns of a folder in its new position, after every check except that of its name."""
    parent = Target(target.library_id or folder.library_id) if target.folder_id is None else target
    library_id = resolve(folder.workspace_id, parent)
    below = db.session.execute(BELOW, {"workspace": folder.workspace_id, "folder": folder.id}).all()
    if parent.folder_id in {row.id for row in below}:
        raise Conflict(_("A folder can't be moved into itself or into one of its subfolders."))
    require_depth(depth_of(folder.workspace_id, parent.folder_id) + max(row.step for row in below))
    return {"library_id": library_id, "parent_id": parent.folder_id}


def _move(member: Member, folder: Folder, before: dict[str, Any], after: dict[str, Any]) -> None:
    if after["library_id"] != before["library_id"]:
        _move_contents(folder, after["library_id"])
    for name, value in after.items():
        setattr(folder, name, value)
    if after["name"] != before["name"]:
        record(member, "folder.renamed", folder.id, name=folder.name, before=before["name"])
    if after["parent_id"] != before["parent_id"] or after["library_id"] != before["library_id"]:
        record(member, "folder.moved", folder.id, name=folder.name, into=str(folder.parent_id or folder.library_id))


def _move_contents(folder: Folder, library_id: UUID) -> None:
    """Move the contents to the other library, too, including files of it that are in the trash."""
    ids = [row.id for row in db.session.execute(BELOW, {"workspace": folder.workspace_id, "folder": folder.id})]
    inside = select(Asset.id).where(Asset.workspace_id == folder.workspace_id, among(Asset.folder_id, ids))
    if len(db.session.scalars(inside.limit(MOST_FILES + 1)).all()) > MOST_FILES:
        raise Conflict(_("This folder has more than %(most)s files. Move its subfolders one by one.", most=MOST_FILES))
    no_sync = {"synchronize_session": False}
    db.session.execute(
        update(Folder).where(among(Folder.id, ids)).values(library_id=library_id).execution_options(**no_sync)
    )
    files = update(Asset).where(Asset.workspace_id == folder.workspace_id, among(Asset.folder_id, ids))
    db.session.execute(files.values(library_id=library_id).execution_options(**no_sync))


def move_files(member: Member, asset_ids: Sequence[UUID], target: Target) -> list[Origin]:
    """Move files to a folder or to the top of a library, all or none. Returns where each of them was.

    Raises ``NotFound`` for a target, or a file, that does not exist or is in the trash.
    """
    wanted = list(dict.fromkeys(asset_ids))
    with transaction(member.tenant_id):
        library_id = resolve(member.workspace, target, lock=True)
        values = {
            "workspace": member.workspace,
            "assets": wanted,
            "library": library_id,
            "folder": target.folder_id,
        }
        rows = db.session.execute(_MOVE, values).all()
        if len(rows) < len(wanted):
            raise NotFound(_("One of these files was deleted or is in the trash. Nothing was moved."))
        one = wanted[0] if len(wanted) == 1 else None
        names = [row.file_name for row in rows[:MAX_RECORDED_NAMES]]
        record(member, "assets.moved", one, count=len(rows), names=names, into=str(target.folder_id or library_id))
    return [Origin(row.id, row.library_id, row.folder_id) for row in rows]
