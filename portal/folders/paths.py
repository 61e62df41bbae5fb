"""Whole trees at once, as an uploaded folder brings them: every folder on the way that is not there yet is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import text

from portal.database import db, new_id, now, transaction
from portal.folders import folder_names
from portal.folders.service import DEEPEST, NAMED, Target, depth_of, lock_folders, record, resolve
from portal.tenancy.service import Member

Path = tuple[str, ...]


@dataclass(frozen=True)
class Laid:
    """One path as it was asked for: the folder it leads to, or in words why there is none."""

    path: str
    library_id: UUID
    folder_id: UUID | None = None
    refusal: str | None = None


# What is there already answers, too: that is why it is "changed" to what it is.
_LAY = text("""
    INSERT INTO folders (id, tenant_id, workspace_id, library_id, parent_id, name, created_at)
    SELECT n.id, :tenant, :workspace, :library, n.parent_id, n.name, :at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:parents AS uuid[]), CAST(:names AS text[])) AS n (id, parent_id, name)
    ON CONFLICT (library_id, parent_id, name_key, name) WHERE deleted_at IS NULL DO UPDATE SET name = excluded.name
    RETURNING id, parent_id, name
""")


def lay(member: Member, target: Target, paths: Sequence[str]) -> list[Laid]:
    """Make the folders of these paths (``holiday/day 1``) below a place; what is there already is taken as it is.

    One answer for each path, in their order: a name that can't be one refuses its own path and no other. Safe to
    repeat: two who send the same tree at once get the same folders. Raises ``NotFound`` for the place.
    """
    with transaction(member.tenant_id):
        lock_folders(member.workspace)
        library_id = resolve(member.workspace, target)
        room = DEEPEST - depth_of(member.workspace, target.folder_id)
        split = {path: tuple(folder_names.plain(part) for part in path.split("/")) for path in paths}
        refusals = {path: _complaint(parts, room) for path, parts in split.items()}
        known: dict[Path, UUID | None] = {(): target.folder_id}
        new: list[str] = []
        for depth in range(1, room + 1):
            level = {parts[:depth] for path, parts in split.items() if not refusals[path] and len(parts) >= depth}
            if not level:
                break
            new += _lay_level(member, library_id, sorted(level), known)
        if new:
            record(member, "folders.created", target.folder_id, count=len(new), names=new[:NAMED])
    return [Laid(path, library_id, known.get(split[path]), refusals[path]) for path in paths]


def _lay_level(member: Member, library_id: UUID, level: Sequence[Path], known: dict[Path, UUID | None]) -> list[str]:
    """Folders of one depth, whose parents are known; the names of those that are new."""
    ids = [new_id() for _ in level]
    parents = [known[path[:-1]] for path in level]
    place = {"tenant": member.tenant_id, "workspace": member.workspace, "library": library_id}
    rows = db.session.execute(
        _LAY, {**place, "ids": ids, "parents": parents, "names": [path[-1] for path in level], "at": now()}
    ).all()
    found = {(row.parent_id, row.name): row.id for row in rows}
    known |= {path: found[parent, path[-1]] for path, parent in zip(level, parents, strict=True)}
    made = {row.id for row in rows} & set(ids)
    return [row.name for row in rows if row.id in made]


def _complaint(parts: Path, room: int) -> str | None:
    """Why this path can't be laid, in words."""
    if len(parts) > room:
        return _("Folders can be nested %(most)s levels deep.", most=DEEPEST)
    complaints = ((part, folder_names.complaint_about(part)) for part in parts)
    for part, problem in complaints:
        if problem:
            return _("The folder “%(name)s”: %(problem)s", name=part[:40], problem=problem)
    return None
