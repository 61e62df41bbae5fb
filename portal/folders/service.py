"""What people do to folders: make, rename and move them; and put files into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import ARRAY, ColumnElement, String, Uuid, any_, bindparam, select, text, update
from sqlalchemy.orm import InstrumentedAttribute

from portal import audit
from portal.assets.models import Asset
from portal.database import db, new_id, transaction
from portal.errors import Conflict, NotFound
from portal.folders import folder_names, libraries
from portal.folders.models import Folder
from portal.tenancy.service import Member

DEEPEST = 20  # folders above each other: what breadcrumbs can show
MOST_FILES = 10_000  # files that one act takes to another library or to the trash: about a second's work
NAMED = 20  # names of files that an audit entry keeps


@dataclass(frozen=True)
class Target:
    """Where something is put: into a folder, or to the top of a library (without one: the workspace's first)."""

    library_id: UUID | None = None
    folder_id: UUID | None = None


class Origin(NamedTuple):
    """Where a file lay before it was moved."""

    asset_id: UUID
    library_id: UUID
    folder_id: UUID | None


# A folder and all that live below it, with the number of steps from it. What goes down or up a tree ends after twice
# ``DEEPEST`` steps, whatever stands in the rows.
TREE = """
    WITH RECURSIVE tree AS (
        SELECT id, library_id, 1 AS step FROM folders
        WHERE workspace_id = :workspace AND id = :folder AND deleted_at IS NULL
        UNION ALL
        SELECT f.id, f.library_id, tree.step + 1 FROM tree
        JOIN folders f ON f.library_id = tree.library_id AND f.parent_id = tree.id AND f.deleted_at IS NULL
        WHERE tree.step <= 40
    )
"""
PLACE = (bindparam("workspace", type_=Uuid()), bindparam("folder", type_=Uuid()))
BELOW = text(f"{TREE} SELECT id, step FROM tree").bindparams(*PLACE)  # noqa: S608  our own words
_ABOVE = text("""
    WITH RECURSIVE up AS (
        SELECT parent_id, 1 AS step FROM folders WHERE workspace_id = :workspace AND id = :folder
        UNION ALL
        SELECT f.parent_id, up.step + 1 FROM up
        JOIN folders f ON f.workspace_id = :workspace AND f.id = up.parent_id WHERE up.step <= 40
    )
    SELECT max(step) AS depth FROM up
""").bindparams(*PLACE)
_PUT = text("""
    UPDATE assets a SET library_id = :library, folder_id = :folder FROM (
        SELECT id, library_id, folder_id FROM assets
        WHERE workspace_id = :workspace AND id = ANY (:assets) AND state <> 'deleted' ORDER BY id FOR UPDATE
    ) was WHERE a.id = was.id RETURNING was.id, was.library_id, was.folder_id, a.file_name
""").bindparams(*PLACE, bindparam("library", type_=Uuid()), bindparam("assets", type_=ARRAY(Uuid())))
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))").bindparams(bindparam("name", type_=String()))


def among(column: InstrumentedAttribute[Any], ids: Sequence[UUID]) -> ColumnElement[bool]:
    """Is it one of these? However many there are, they are one value."""
    return column == any_(bindparam(None, list(ids), type_=ARRAY(Uuid())))


def hold_trees(workspace_id: UUID) -> None:
    """From here to the end of the transaction nobody else changes the folders of this workspace."""
    db.session.execute(_LOCK, {"name": f"folders of {workspace_id}"})


def create(member: Member, name: str, target: Target) -> Folder:
    """Add a folder. Raises ``NotFound``, ``Invalid``, and ``Conflict`` when one of this name is there."""
    name = folder_names.checked(name)
    with transaction(member.tenant_id) as session:
        hold_trees(member.workspace)
        library_id = resolve(member.workspace, target)
        _require_depth(depth_of(member.workspace, target.folder_id) + 1)
        _require_free(library_id, target.folder_id, name)
        folder = Folder(
            id=new_id(),
            tenant_id=member.tenant_id,
            workspace_id=member.workspace,
            library_id=library_id,
            parent_id=target.folder_id,
            name=name,
        )
        session.add(folder)
        record(member, "folder.created", folder.id, name=name)
    return folder


def change(
    member: Member,
    folder_id: UUID,
    *,
    name: str | None = None,
    target: Target | None = None,
    seen_name: str | None = None,
) -> Folder:
    """Rename a folder, put it with everything in it somewhere else, or both at once. None: it stays as it is.

    Without a library, ``target`` is in the folder's own. Raises ``NotFound``, ``Invalid``; ``Conflict`` when somebody
    has renamed it since ``seen_name`` was shown, and when it would lie in itself, too deep, or beside one of its name.
    """
    wanted = None if name is None else folder_names.checked(name)
    with transaction(member.tenant_id):
        hold_trees(member.workspace)
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
            after |= _new_place(folder, target)
        if after != before:
            _require_free(after["library_id"], after["parent_id"], after["name"], but=folder.id)
            _apply(member, folder, before, after)
    return folder


def _new_place(folder: Folder, target: Target) -> dict[str, Any]:
    """The columns of a folder that is put there, after every check but that of its name."""
    place = Target(target.library_id or folder.library_id) if target.folder_id is None else target
    library_id = resolve(folder.workspace_id, place)
    below = db.session.execute(BELOW, {"workspace": folder.workspace_id, "folder": folder.id}).all()
    if place.folder_id in {row.id for row in below}:
        raise Conflict(_("A folder can't be moved into itself or into one of its subfolders."))
    _require_depth(depth_of(folder.workspace_id, place.folder_id) + max(row.step for row in below))
    return {"library_id": library_id, "parent_id": place.folder_id}


def _apply(member: Member, folder: Folder, before: dict[str, Any], after: dict[str, Any]) -> None:
    if after["library_id"] != before["library_id"]:
        _take_along(folder, after["library_id"])
    for name, value in after.items():
        setattr(folder, name, value)
    if after["name"] != before["name"]:
        record(member, "folder.renamed", folder.id, name=folder.name, before=before["name"])
    if after["parent_id"] != before["parent_id"] or after["library_id"] != before["library_id"]:
        record(member, "folder.moved", folder.id, name=folder.name, into=str(folder.parent_id or folder.library_id))


def _take_along(folder: Folder, library_id: UUID) -> None:
    """Everything in it goes to the other library, too; what of it is in the trash with it."""
    ids = [row.id for row in db.session.execute(BELOW, {"workspace": folder.workspace_id, "folder": folder.id})]
    inside = select(Asset.id).where(Asset.workspace_id == folder.workspace_id, among(Asset.folder_id, ids))
    if len(db.session.scalars(inside.limit(MOST_FILES + 1)).all()) > MOST_FILES:
        raise Conflict(_("This folder has more than %(most)s files. Move its subfolders one by one.", most=MOST_FILES))
    unseen = {"synchronize_session": False}
    db.session.execute(
        update(Folder).where(among(Folder.id, ids)).values(library_id=library_id).execution_options(**unseen)
    )
    files = update(Asset).where(Asset.workspace_id == folder.workspace_id, among(Asset.folder_id, ids))
    db.session.execute(files.values(library_id=library_id).execution_options(**unseen))


def put_files(member: Member, asset_ids: Sequence[UUID], target: Target) -> list[Origin]:
    """Put files into a folder or to the top of a library, all or none; where each of them lay.

    Raises ``NotFound`` for a place, or a file, that is not there or in the trash.
    """
    wanted = list(dict.fromkeys(asset_ids))
    with transaction(member.tenant_id):
        library_id = resolve(member.workspace, target, hold=True)
        place = {"library": library_id, "folder": target.folder_id}
        rows = db.session.execute(_PUT, {"workspace": member.workspace, "assets": wanted, **place}).all()
        if len(rows) < len(wanted):
            raise NotFound(_("One of these files was deleted or is in the trash. Nothing was moved."))
        one = wanted[0] if len(wanted) == 1 else None
        names = [row.file_name for row in rows[:NAMED]]
        record(member, "assets.moved", one, count=len(rows), names=names, into=str(target.folder_id or library_id))
    return [Origin(row.id, row.library_id, row.folder_id) for row in rows]


def resolve(workspace_id: UUID, target: Target, *, hold: bool = False) -> UUID:
    """The library of a place that lives. ``hold``: the folder stays until the transaction ends. Raises ``NotFound``."""
    if target.folder_id is None:
        return libraries.find_library(workspace_id, target.library_id).id
    folder = libraries.find_folder(workspace_id, target.folder_id, hold=hold)
    if target.library_id not in (None, folder.library_id):
        raise NotFound(_("There is no such folder in this library."))
    return folder.library_id


def is_free(library_id: UUID, parent_id: UUID | None, name: str, but: UUID | None = None) -> bool:
    """Is no folder of this name there?"""
    taken = select(Folder.id).filter_by(library_id=library_id, parent_id=parent_id, name=name, deleted_at=None)
    return db.session.scalar(taken) in (None, but)


def _require_free(library_id: UUID, parent_id: UUID | None, name: str, but: UUID | None = None) -> None:
    if not is_free(library_id, parent_id, name, but):
        raise Conflict(
            _("There is already a folder named “%(name)s” here. Choose another name.", name=name), field="name"
        )


def _require_depth(depth: int) -> None:
    if depth > DEEPEST:
        raise Conflict(_("Folders can be nested %(most)s levels deep. Choose a place further up.", most=DEEPEST))


def depth_of(workspace_id: UUID, folder_id: UUID | None) -> int:
    """How many folders lead to what is put there."""
    if folder_id is None:
        return 0
    depth: int = db.session.execute(_ABOVE, {"workspace": workspace_id, "folder": folder_id}).one().depth
    return depth


def record(member: Member, action: str, target_id: UUID | None, **facts: Any) -> None:
    """Write into the trail what was done here."""
    audit.record(member.tenant_id, member.user_id, action, target_id, workspace_id=member.workspace, **facts)
