"""Folders over JSON: list, create and read. ``library.folder_api`` has what changes files with them."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint

from portal.folders import contents, libraries, paths, service
from portal.folders.forms import FolderQuery, NewFolder, NewPaths
from portal.folders.service import Target
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Listing, Time
from portal.web.openapi import operation
from portal.web.paging import Paging, cut

blueprint = Blueprint("folders_api", __name__)


class FolderView(Answer):
    """A folder of a library; ``parent_id`` null: at its top."""

    id: UUID
    library_id: UUID
    parent_id: UUID | None
    name: str
    created_at: Time


class StepView(Answer):
    """One folder of a path."""

    id: UUID
    name: str


class PlacedFolderView(FolderView):
    """A folder with the folders above it: ``path`` begins at the top of the library and ends with the folder."""

    path: list[StepView]


class LaidView(Answer):
    """A path and its folder; else ``detail`` says why it can't be created."""

    path: str
    library_id: UUID
    folder_id: UUID | None
    detail: str | None


class LaidListing(Answer):
    """An answer for each path, in the order of the request."""

    items: list[LaidView]


@blueprint.get("/v1/workspaces/<uuid:w>/folders")
@member(Permission.VIEW)
@operation(query=FolderQuery, paged=True, returns=Listing[FolderView])
def list_folders(member: Member, query: FolderQuery, paging: Paging) -> Listing[FolderView]:
    """List the folders directly below a folder, or at the top of a library, the oldest first."""
    inside = service.resolve(member.workspace, Target(query.library_id, query.parent_id))
    rows = libraries.list_folders(
        member.workspace, inside, query.parent_id, after=paging.after_id(), limit=paging.limit + 1
    )
    page, cursor = cut(rows, paging, key=lambda row: row.id)
    return Listing[FolderView](items=[FolderView.model_validate(row) for row in page], next_cursor=cursor)


@blueprint.post("/v1/workspaces/<uuid:w>/folders")
@member(Permission.EDIT)
@operation(body=NewFolder, returns=FolderView, status=201, errors=("conflict",))
def create_folder(member: Member, body: NewFolder) -> FolderView:
    """Add a folder."""
    made = service.create(member, body.name, Target(body.library_id, body.parent_id))
    return FolderView.model_validate(made)


@blueprint.post("/v1/workspaces/<uuid:w>/folders/paths")
@member(Permission.EDIT)
@operation(body=NewPaths, returns=LaidListing)
def lay_paths(member: Member, body: NewPaths) -> LaidListing:
    """Create whole trees of folders.

    Missing folders are created, existing ones are used. A path with an invalid name is refused by itself. Safe to
    repeat, and to send twice at once.
    """
    created = paths.create_paths(member, Target(body.library_id, body.parent_id), body.paths)
    views = [
        LaidView(path=each.path, library_id=each.library_id, folder_id=each.folder_id, detail=each.refusal)
        for each in created
    ]
    return LaidListing(items=views)


@blueprint.get("/v1/workspaces/<uuid:w>/folders/<uuid:f>")
@member(Permission.VIEW)
@operation(returns=PlacedFolderView)
def show_folder(member: Member, f: UUID) -> PlacedFolderView:
    """Read one folder, and the folders above it."""
    folder = libraries.find_folder(member.workspace, f)
    spot, _folders, _cursor = contents.browse(member.workspace, None, f, Paging(1))
    path = [StepView(id=UUID(step.id), name=step.name) for step in spot.path]
    return PlacedFolderView(**FolderView.model_validate(folder).model_dump(), path=path)
