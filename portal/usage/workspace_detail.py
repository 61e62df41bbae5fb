"""One workspace for its tenant's admins: what takes its space, and what would free some.

An admin who is no member of the workspace sees the names of files and folders, and opens none of them
(docs/adr/0020-names-and-admins.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import select

from portal.assets import totals
from portal.assets.models import AssetState
from portal.database import db
from portal.errors import NotFound
from portal.mail.service import Addressee
from portal.tenancy import people
from portal.tenancy.models import WorkspaceRole
from portal.tenancy.service import Member, WorkspacePlace
from portal.usage import snapshots, tenant_report, workspaces
from portal.usage.forecast import Outlook
from portal.usage.models import WorkspaceUsage
from portal.usage.snapshots import Point
from portal.usage.tenant_report import PartLine, Somebody
from portal.usage.workspaces import Line, Summary

PEOPLE = 20


@dataclass(frozen=True)
class File:
    """A large file. ``count`` and ``bytes``: of duplicates, what could be freed."""

    id: UUID
    name: str
    kind: str
    bytes: int
    count: int = 1
    in_trash: bool = False


@dataclass(frozen=True)
class Folder:
    """A folder, or what lies in none of a library: then ``name`` is the library's."""

    name: str
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
    owners: Sequence[Addressee]
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
    today = snapshots.today()
    measured = WorkspaceUsage.workspace_id == workspace_id, WorkspaceUsage.as_of.is_not(None)
    usage = db.session.scalar(select(WorkspaceUsage).where(*measured).execution_options(populate_existing=True))
    days = snapshots.points_of([workspace_id], today)[workspace_id]
    return Drilldown(
        line=line,
        tenant=whole,
        here=here,
        owners=people.owners_of(workspace_id),
        as_of=usage.as_of if usage else None,
        parts=tenant_report.parts_of_workspace(workspace_id),
        people=tenant_report.people_of_workspace(workspace_id, PEOPLE),
        folders=_folders(usage),
        largest=_largest(usage, workspace_id),
        duplicates=_duplicates(usage, workspace_id),
        duplicate_files=usage.duplicate_files if usage else 0,
        duplicate_bytes=usage.duplicate_bytes if usage else 0,
        downloads=usage.downloads if usage else 0,
        download_bytes=usage.download_bytes if usage else 0,
        days=days,
        outlook=snapshots.outlook(days, line.quota.limit_bytes, today),
    )


def _folders(usage: WorkspaceUsage | None) -> list[Folder]:
    return [
        Folder(each["folder"] or each["library"], each["bytes"], each["files"], each["library_id"], each["folder_id"])
        for each in (usage.folders if usage else [])
    ]


def _largest(usage: WorkspaceUsage | None, workspace_id: UUID) -> list[File]:
    listed = {UUID(each["id"]): each for each in (usage.largest if usage else [])}
    named = totals.names_of(workspace_id, list(listed))
    return [
        File(file_id, named[file_id], each["kind"], each["bytes"], in_trash=each["state"] == AssetState.DELETED)
        for file_id, each in listed.items()
        if file_id in named
    ]


def _duplicates(usage: WorkspaceUsage | None, workspace_id: UUID) -> list[File]:
    listed = usage.duplicates if usage else []
    named = totals.first_with_content(workspace_id, [each["sha256"] for each in listed])
    return [
        File(*named[each["sha256"]], each["kind"], each["bytes"], each["files"])
        for each in listed
        if each["sha256"] in named
    ]
