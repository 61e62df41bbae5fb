"""Create folders, and the rules for their position. What moves or deletes files with them is in ``library``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import ARRAY, ColumnElement, String, Uuid, any_, bindparam, select, text
from sqlalchemy.orm import InstrumentedAttribute

from portal import audit
from portal.database import db, new_id, transaction
from portal.errors import Conflict, NotFound
from portal.folders import folder_names, libraries
from portal.folders.models import Folder
from portal.tenancy.service import Member

MAX_DEPTH = 20  # nested folders: what breadcrumbs can show
MAX_RECORDED_NAMES = 20  # names of files in one audit entry


@dataclass(frozen=True)
class Target:
    """A folder, or the top of a library (None: the workspace's first)."""

    library_id: UUID | None = None
    folder_id: UUID | None = None


# A folder and all undeleted ones below it, with their distance. Recursion stops after twice ``MAX_DEPTH`` steps: a
# circle in the rows must not run for ever.
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
FOLDER_PARAMETERS = (bindparam("workspace", type_=Uuid()), bindparam("folder", type_=Uuid()))
BELOW = text(f"{TREE} SELECT id, step FROM tree").bindparams(*FOLDER_PARAMETERS)  # noqa: S608  our own words
_ABOVE = text("""
    WITH RECURSIVE up AS (
        SELECT parent_id, 1 AS step FROM folders WHERE workspace_id = :workspace AND id = :folder
        UNION ALL
        SELECT f.parent_id, up.step + 1 FROM up
        JOIN folders f ON f.workspace_id = :workspace AND f.id = up.parent_id WHERE up.step <= 40
    )
    SELECT max(step) AS depth FROM up
""").bindparams(*FOLDER_PARAMETERS)
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))").bindparams(bindparam("name", type_=String()))


def among(column: InstrumentedAttribute[Any], ids: Sequence[UUID]) -> ColumnElement[bool]:
    """``column = ANY (ids)``: one parameter however many ids, so that the statement is prepared once."""
    return column == any_(bindparam(None, list(ids), type_=ARRAY(Uuid())))


def lock_folders(workspace_id: UUID) -> None:
    """Lock the tree of this workspace until the end of the transaction.

    Two moves at once could otherwise put each of two folders into the other.
    """
    db.session.execute(_LOCK, {"name": f"folders of {workspace_id}"})


def create(member: Member, name: str, target: Target) -> Folder:
    """Add a folder. Raises ``NotFound``, ``Invalid``, and ``Conflict`` when the name is taken."""
    name = folder_names.checked(name)
    with transaction(member.tenant_id) as session:
        lock_folders(member.workspace)
        library_id = resolve(member.workspace, target)
        require_depth(depth_of(member.workspace, target.folder_id) + 1)
        require_free(library_id, target.folder_id, name)
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


def resolve(workspace_id: UUID, target: Target, *, lock: bool = False) -> UUID:
    """The library of a target. ``lock``: nobody deletes the folder until the transaction ends. Raises ``NotFound``."""
    if target.folder_id is None:
        return libraries.find_library(workspace_id, target.library_id).id
    folder = libraries.find_folder(workspace_id, target.folder_id, lock=lock)
    if target.library_id not in (None, folder.library_id):
        raise NotFound(_("There is no such folder in this library."))
    return folder.library_id


def is_free(library_id: UUID, parent_id: UUID | None, name: str, but: UUID | None = None) -> bool:
    """Whether no other folder than ``but`` has this name there."""
    taken = select(Folder.id).filter_by(library_id=library_id, parent_id=parent_id, name=name, deleted_at=None)
    return db.session.scalar(taken) in (None, but)


def require_free(library_id: UUID, parent_id: UUID | None, name: str, but: UUID | None = None) -> None:
    """Raises ``Conflict`` when another folder than ``but`` has this name there."""
    if not is_free(library_id, parent_id, name, but):
        raise Conflict(
            _("There is already a folder named “%(name)s” here. Choose another name.", name=name), field="name"
        )


def require_depth(depth: int) -> None:
    """Raises ``Conflict`` for more folders above each other than ``MAX_DEPTH``."""
    if depth > MAX_DEPTH:
        raise Conflict(_("Folders can be nested %(most)s levels deep. Choose a folder further up.", most=MAX_DEPTH))


def depth_of(workspace_id: UUID, folder_id: UUID | None) -> int:
    """The depth of a folder; 0 for the top of a library."""
    if folder_id is None:
        return 0
    depth: int = db.session.execute(_ABOVE, {"workspace": workspace_id, "folder": folder_id}).one().depth
    return depth


def record(member: Member, action: str, target_id: UUID | None, **facts: Any) -> None:
    """Write an audit entry."""
    audit.record(member.tenant_id, member.user_id, action, target_id, workspace_id=member.workspace, **facts)
