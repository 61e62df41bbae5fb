"""Folders by JSON, as far as files change with them: moving, renaming, deleting and restoring; and moving files."""

from __future__ import annotations

from uuid import UUID

from portal.folders.api import FolderView, blueprint
from portal.folders.forms import FolderChange, MoveAssets
from portal.folders.service import Target
from portal.library import folder_trash, moves
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer
from portal.web.openapi import operation

# For clients these belong to the same part of the API as making and listing folders: they share its blueprint.
__all__ = ["blueprint"]


class DeletedView(Answer):
    """What went to the trash. ``staying``: processing and quarantined files, now at the top of the library."""

    folders: int
    files: int
    bytes: int
    staying: int


class RestoredView(FolderView):
    """A folder that is back, with ``files`` of its files."""

    files: int


class ChangedFolderView(FolderView):
    """A folder after a change. ``staying``: quarantined files that were in it, now at the top of their library."""

    staying: int


class OriginView(Answer):
    """A file, and where it lay before."""

    asset_id: UUID
    library_id: UUID
    folder_id: UUID | None


class MovedView(Answer):
    """Where the files lay, in the order of the database."""

    items: list[OriginView]


@blueprint.patch("/v1/workspaces/<uuid:w>/folders/<uuid:f>")
@member(Permission.EDIT)
@operation(body=FolderChange, returns=ChangedFolderView, errors=("conflict",))
def change_folder(member: Member, body: FolderChange, f: UUID) -> ChangedFolderView:
    """Rename a folder, move it with everything in it, or both. Quarantined files stay behind when it is moved."""
    changed = moves.change_folder(member, f, name=body.name, target=body.target(), seen_name=body.seen_name)
    return ChangedFolderView(**FolderView.model_validate(changed.folder).model_dump(), staying=changed.staying)


@blueprint.delete("/v1/workspaces/<uuid:w>/folders/<uuid:f>")
@member(Permission.EDIT)
@operation(returns=DeletedView, errors=("conflict",))
def delete_folder(member: Member, f: UUID) -> DeletedView:
    """Delete a folder with all that is in it; its files go to the trash."""
    return DeletedView.model_validate(folder_trash.discard(member, f))


@blueprint.post("/v1/workspaces/<uuid:w>/folders/<uuid:f>/restore")
@member(Permission.EDIT)
@operation(returns=RestoredView)
def restore_folder(member: Member, f: UUID) -> RestoredView:
    """Take a deleted folder back, with what was deleted with it.

    Where its place is gone it is put to the top of the library; where its name is taken it gets a number.
    """
    back = folder_trash.restore(member, f)
    return RestoredView(**FolderView.model_validate(back.folder).model_dump(), files=back.files)


@blueprint.post("/v1/workspaces/<uuid:w>/assets/move")
@member(Permission.EDIT)
@operation(body=MoveAssets, returns=MovedView, errors=("held",))
def move_assets(member: Member, body: MoveAssets) -> MovedView:
    """Put up to 500 assets into a folder or to the top of a library, all or none; answers where they lay.

    Quarantined assets can't be moved: 409 ``held`` names them in ``asset_ids``.
    """
    origins = moves.move_files(member, body.asset_ids, Target(body.library_id, body.folder_id))
    return MovedView(items=[OriginView.model_validate(each) for each in origins])
