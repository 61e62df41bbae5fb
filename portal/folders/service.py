"""Create folders, and the rules for their position. What moves or deletes files with them is in ``library``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import ARRAY, CTE, BindParameter, ColumnElement, Uuid, and_, any_, bindparam, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute

from portal import audit
from portal.database import db, lock_until_commit, new_id, transaction
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


# Recursion stops after twice as many steps as there can be: a circle in the rows must not run for ever.
MAX_STEPS = 2 * MAX_DEPTH


def tree_below(workspace_id: UUID, folder_id: UUID) -> CTE:
    """A folder and all undeleted ones below it: rows of (id, library_id, step), the folder's own step is 1."""
    tree = (
        select(Folder.id, Folder.library_id, literal(1).label("step"))
        .where(Folder.workspace_id == workspace_id, Folder.id == folder_id, Folder.deleted_at.is_(None))
        .cte("tree", recursive=True)
    )
    return tree.union_all(
        select(Folder.id, Folder.library_id, tree.c.step + 1)
        .join(tree, and_(Folder.library_id == tree.c.library_id, Folder.parent_id == tree.c.id))
        .where(Folder.deleted_at.is_(None), tree.c.step <= MAX_STEPS)
    )


def path_above(workspace_id: UUID | BindParameter[UUID], folder_id: UUID | BindParameter[UUID]) -> CTE:
    """An undeleted folder and those above it: rows of (id, parent_id, library_id, name, step), its own step is 1.

    What is above an undeleted folder is not deleted either.
    """
    path = (
        select(Folder.id, Folder.parent_id, Folder.library_id, Folder.name, literal(1).label("step"))
        .where(Folder.workspace_id == workspace_id, Folder.id == folder_id, Folder.deleted_at.is_(None))
        .cte("path", recursive=True)
    )
    return path.union_all(
        select(Folder.id, Folder.parent_id, Folder.library_id, Folder.name, path.c.step + 1)
        .join(path, Folder.id == path.c.parent_id)
        .where(Folder.workspace_id == workspace_id, path.c.step <= MAX_STEPS)
    )


def among(column: InstrumentedAttribute[Any], ids: Sequence[UUID]) -> ColumnElement[bool]:
    """``column = ANY (ids)``: one parameter however many ids, so that the statement is prepared once."""
    return column == any_(bindparam(None, list(ids), type_=ARRAY(Uuid())))


def lock_folders(workspace_id: UUID) -> None:
    """Lock the tree of this workspace until the end of the transaction.

    Two moves at once could otherwise put each of two folders into the other.
    """
    lock_until_commit(f"folders of {workspace_id}")


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
    depth: int = db.session.execute(select(func.max(path_above(workspace_id, folder_id).c.step))).scalar_one()
    return depth


def record(member: Member, action: str, target_id: UUID | None, **facts: Any) -> None:
    """Write an audit entry."""
    audit.record(member.tenant_id, member.user_id, action, target_id, workspace_id=member.workspace, **facts)
