"""One workspace for its tenant's admins: what takes its space, and what would free some.

Names of files and folders are content: they are shown to members of the workspace only. Others see sizes, kinds and
people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import text

from portal.database import db
from portal.errors import NotFound
from portal.tenancy.models import WorkspaceRole
from portal.tenancy.service import Member, WorkspacePlace
from portal.usage import snapshots, tenant_report, workspaces
from portal.usage.forecast import Outlook
from portal.usage.snapshots import Point
from portal.usage.tenant_report import PartLine, Somebody
from portal.usage.workspaces import Line, Summary

PEOPLE = 20

_USAGE = text("SELECT * FROM workspace_usage WHERE workspace_id = :workspace AND as_of IS NOT NULL")
_PARTS = text("""
    SELECT p.part, p.kind, p.storage_class, s.mode, sum(p.bytes) AS bytes, sum(p.files) AS files
    FROM usage_parts p JOIN storage_profiles s ON s.id = p.profile_id WHERE p.workspace_id = :workspace
    GROUP BY p.part, p.kind, p.storage_class, s.mode ORDER BY p.part, sum(p.bytes) DESC
""")
_PEOPLE = text("""
    SELECT p.user_id, coalesce(u.name, '') AS name, coalesce(u.email, '') AS email, p.bytes, p.files
    FROM usage_people p LEFT JOIN users u ON u.id = p.user_id WHERE p.workspace_id = :workspace
    ORDER BY p.bytes DESC, p.user_id LIMIT :most
""")
_OWNERS = text("""
    SELECT coalesce(nullif(u.name, ''), u.email) AS name, u.email FROM workspace_memberships m
    JOIN users u ON u.id = m.user_id WHERE m.workspace_id = :workspace AND m.role = 'owner' AND u.active
    ORDER BY u.email
""")
_NAMES = text("SELECT id, file_name FROM assets WHERE workspace_id = :workspace AND id = ANY(CAST(:ids AS uuid[]))")
_SAMPLES = text("""
    SELECT DISTINCT ON (sha256) sha256, id, file_name FROM assets
    WHERE workspace_id = :workspace AND sha256 = ANY(CAST(:hashes AS text[])) AND state = 'available'
    ORDER BY sha256, id
""")


@dataclass(frozen=True)
class File:
    """A large file; ``name`` None: not for who asks. ``count`` and ``bytes``: of duplicates, what could be freed."""

    id: UUID | None
    name: str | None
    kind: str
    bytes: int
    count: int = 1
    in_trash: bool = False


@dataclass(frozen=True)
class Folder:
    """A folder, or what lies in none of a library; ``name`` None: not for who asks."""

    name: str | None
    bytes: int
    files: int
    library_id: str
    folder_id: str | None


@dataclass(frozen=True)
class Drilldown:
    """Everything that the page shows; ``here`` is the place of a member, None for somebody who is none."""

    line: Line
    tenant: Summary
    here: WorkspacePlace | None
    owners: Sequence[Any]
    as_of: datetime | None
    parts: list[PartLine]
    people: list[Somebody]
    folders: list[Folder]
    largest: list[File]
    duplicates: list[File]
    duplicate_files: int
    duplicate_bytes: int
    downloads: int
    download_bytes: int
    days: Sequence[Point]
    outlook: Outlook

    @property
    def may_purge(self) -> bool:
        """May they empty the trash themselves?"""
        return self.here is not None and self.here.role is not WorkspaceRole.VIEWER

    def held_by(self, part: str) -> PartLine:
        """All of one part together."""
        found = [line for line in self.parts if line.part == part]
        counted = any(line.counted for line in found)
        size, files = sum(line.bytes for line in found), sum(line.files for line in found)
        return PartLine(part, "", "", "", counted, size, files)


def of_workspace(member: Member, workspace_id: UUID, here: WorkspacePlace | None) -> Drilldown:
    """A workspace of the member's tenant; a fixed number of statements. Raises ``NotFound``."""
    whole = workspaces.summary(member.tenant_id)
    total = whole.quota.used_bytes + whole.quota.reserved_bytes
    line = workspaces.find_line(member.tenant_id, workspace_id, total)
    if line is None:
        raise NotFound(_("There is no such workspace."))
    place, today = {"workspace": workspace_id}, snapshots.today()
    usage = db.session.execute(_USAGE, place).first()
    days = snapshots.points_of([workspace_id], today)[workspace_id]
    return Drilldown(
        line=line,
        tenant=whole,
        here=here,
        owners=db.session.execute(_OWNERS, place).all(),
        as_of=usage.as_of if usage else None,
        parts=[tenant_report.part_line(row) for row in db.session.execute(_PARTS, place)],
        people=[tenant_report.somebody(row) for row in db.session.execute(_PEOPLE, {**place, "most": PEOPLE})],
        folders=_folders(usage, here),
        largest=_largest(usage, workspace_id, here),
        duplicates=_duplicates(usage, workspace_id, here),
        duplicate_files=usage.duplicate_files if usage else 0,
        duplicate_bytes=usage.duplicate_bytes if usage else 0,
        downloads=usage.downloads if usage else 0,
        download_bytes=usage.download_bytes if usage else 0,
        days=days,
        outlook=snapshots.outlook(days, line.quota.limit_bytes, today),
    )


def _folders(usage: Any, here: WorkspacePlace | None) -> list[Folder]:
    found = usage.folders if usage else []
    named = [(each["folder"] or each["library"] if here else None, each) for each in found]
    return [Folder(name, each["bytes"], each["files"], each["library_id"], each["folder_id"]) for name, each in named]


def _largest(usage: Any, workspace_id: UUID, here: WorkspacePlace | None) -> list[File]:
    listed = usage.largest if usage else []
    found = [File(UUID(f["id"]), None, f["kind"], f["bytes"], in_trash=f["state"] == "deleted") for f in listed]
    if here is None:
        return [replace(file, id=None) for file in found]
    named = {
        row.id: row.file_name
        for row in db.session.execute(_NAMES, {"workspace": workspace_id, "ids": [file.id for file in found]})
    }
    return [replace(file, name=named[file.id]) for file in found if file.id in named]


def _duplicates(usage: Any, workspace_id: UUID, here: WorkspacePlace | None) -> list[File]:
    listed = usage.duplicates if usage else []
    if here is None:
        return [File(None, None, each["kind"], each["bytes"], each["files"]) for each in listed]
    samples = db.session.execute(
        _SAMPLES, {"workspace": workspace_id, "hashes": [each["sha256"] for each in listed]}
    ).all()
    named = {row.sha256: row for row in samples}
    return [
        File(named[each["sha256"]].id, named[each["sha256"]].file_name, each["kind"], each["bytes"], each["files"])
        for each in listed
        if each["sha256"] in named
    ]
