"""Create whole trees of folders at once, as uploading a folder needs them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from portal.database import db, new_id, now, transaction
from portal.errors import Invalid
from portal.folders import folder_names
from portal.folders.models import Folder
from portal.folders.service import MAX_DEPTH, MAX_RECORDED_NAMES, Target, depth_of, lock_folders, record, resolve
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member

Path = tuple[str, ...]


@dataclass(frozen=True)
class CreatedPath:
    """One path of the request: its folder, or a text that says why there is none."""

    path: str
    library_id: UUID
    folder_id: UUID | None = None
    refusal: str | None = None


def create_paths(member: Member, target: Target, paths: Sequence[str]) -> list[CreatedPath]:
    """Create the folders of these paths (``holiday/day 1``) below ``target``; existing ones are used.

    One result for each path, in their order: an invalid name refuses its own path and no other. Safe to repeat: two
    requests with the same tree at once get the same folders. Raises ``NotFound`` for the target.
    """
    with transaction(member.tenant_id):
        lock_folders(member.workspace)
        library_id = resolve(member.workspace, target)
        levels = MAX_DEPTH - depth_of(member.workspace, target.folder_id)
        split = {path: _split(path) for path in paths}
        refusals = {path: _complaint(parts, levels) for path, parts in split.items()}
        valid = [parts for path, parts in split.items() if not refusals[path]]
        known = _create_missing(member, library_id, target.folder_id, valid)
    return [CreatedPath(path, library_id, known.get(split[path]), refusals[path]) for path in paths]


def folder_at(member: Member, library_id: UUID, parent_id: UUID | None, path: str) -> UUID:
    """The folder at ``path`` (``holiday/day 1``) below a folder, or below the top of a library; missing folders are
    created.

    Belongs inside the caller's transaction. Raises ``Invalid`` for a name or a depth that can't be, ``Forbidden`` when
    folders are missing and this member may not create any, ``NotFound`` when the parent was deleted meanwhile.
    """
    parts = _split(path)
    _require_valid(parts, MAX_DEPTH)
    # Without the lock: of a thousand files for one folder only the first has to wait for others who change folders.
    existing = _find(library_id, parent_id, parts)
    if existing is not None:
        return existing
    member.require(Permission.EDIT)
    lock_folders(member.workspace)
    resolve(member.workspace, Target(library_id, parent_id))  # it may have been deleted before the lock was acquired
    _require_valid(parts, MAX_DEPTH - depth_of(member.workspace, parent_id))
    folder_id = _create_missing(member, library_id, parent_id, [parts])[parts]
    assert folder_id is not None  # only the empty path, the top of a library, has none
    return folder_id


def _find(library_id: UUID, parent_id: UUID | None, parts: Path) -> UUID | None:
    for name in parts:
        place = {"library_id": library_id, "parent_id": parent_id, "name": name, "deleted_at": None}
        # name_key stands before name in the unique index.
        statement = select(Folder.id).filter_by(**place).where(Folder.name_key == func.lower(name))
        parent_id = db.session.scalar(statement)
        if parent_id is None:
            return None
    return parent_id


def _create_missing(
    member: Member, library_id: UUID, parent_id: UUID | None, paths: Collection[Path]
) -> dict[Path, UUID | None]:
    """Create the missing folders of valid paths below ``parent_id``, level by level. Returns the folder of each."""
    known: dict[Path, UUID | None] = {(): parent_id}
    new: list[str] = []
    for depth in range(1, max(map(len, paths), default=0) + 1):
        level = {parts[:depth] for parts in paths if len(parts) >= depth}
        new += _create_level(member, library_id, sorted(level), known)
    if new:
        record(member, "folders.created", parent_id, count=len(new), names=new[:MAX_RECORDED_NAMES])
    return known


def _create_level(member: Member, library_id: UUID, level: Sequence[Path], known: dict[Path, UUID | None]) -> list[str]:
    """Create the folders of one depth, whose parents are known. Returns the names of new ones."""
    at = now()
    values = [
        {
            "id": new_id(),
            "tenant_id": member.tenant_id,
            "workspace_id": member.workspace,
            "library_id": library_id,
            "parent_id": known[path[:-1]],
            "name": path[-1],
            "created_at": at,
        }
        for path in level
    ]
    new = insert(Folder)
    # DO UPDATE with the same name, because DO NOTHING would not return the rows of existing folders.
    statement = new.on_conflict_do_update(
        index_elements=["library_id", "parent_id", "name_key", "name"],
        index_where=Folder.deleted_at.is_(None),
        set_={"name": new.excluded.name},
    ).returning(Folder.id, Folder.parent_id, Folder.name)
    # Also in another order than ``values``: found by parent and name, not by position.
    rows = db.session.execute(statement, values).all()
    found = {(row.parent_id, row.name): row.id for row in rows}
    known |= {path: found[known[path[:-1]], path[-1]] for path in level}
    made = {row.id for row in rows} & {each["id"] for each in values}
    return [row.name for row in rows if row.id in made]


def _split(path: str) -> Path:
    return tuple(folder_names.plain(part) for part in path.split("/"))


def _require_valid(parts: Path, levels: int) -> None:
    complaint = _complaint(parts, levels)
    if complaint:
        raise Invalid(complaint, field="folder_path")


def _complaint(parts: Path, levels: int) -> str | None:
    """Why this path can't be created."""
    if len(parts) > levels:
        return _("Folders can be nested %(most)s levels deep.", most=MAX_DEPTH)
    complaints = ((part, folder_names.complaint_about(part)) for part in parts)
    for part, problem in complaints:
        if problem:
            return _("The folder “%(name)s”: %(problem)s", name=part[:40], problem=problem)
    return None
