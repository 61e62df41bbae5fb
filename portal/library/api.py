"""The JSON side of assets: lists, one asset, trash and back, libraries."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from flask import Blueprint

from portal.assets import service
from portal.assets.models import Asset
from portal.assets.presenters import AssetView, asset_view
from portal.assets.preview_urls import PreviewUrls
from portal.folders import libraries
from portal.folders.forms import LibraryChange
from portal.library import asset_list
from portal.library.forms import AssetChange, DeleteQuery, ListQuery, NewLibrary
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Listing, Time
from portal.web.openapi import operation
from portal.web.paging import Paging, cut

blueprint = Blueprint("assets_api", __name__)


class LibraryView(Answer):
    """A collection of a workspace."""

    id: UUID
    name: str
    created_at: Time


@blueprint.get("/v1/workspaces/<uuid:w>/assets")
@member(Permission.VIEW)
@operation(query=ListQuery, paged=True, returns=Listing[AssetView])
def index(member: Member, query: ListQuery, paging: Paging) -> Listing[AssetView]:
    """List assets, the newest first; with ``ids``, those that one waits for."""
    assets, cursor = asset_list.list_assets(member.workspace, query.filters(), paging)
    return Listing[AssetView](items=_views(member, assets), next_cursor=cursor)


@blueprint.get("/v1/workspaces/<uuid:w>/assets/<uuid:a>")
@member(Permission.VIEW)
@operation(returns=AssetView)
def show(member: Member, a: UUID) -> AssetView:
    """Read one asset."""
    return _views(member, [service.find_asset(member.workspace, a)])[0]


@blueprint.patch("/v1/workspaces/<uuid:w>/assets/<uuid:a>")
@member(Permission.EDIT)
@operation(body=AssetChange, returns=AssetView, errors=("conflict",))
def rename(member: Member, body: AssetChange, a: UUID) -> AssetView:
    """Give a file another name. Its ending stays, and so do its bytes."""
    service.rename(member, a, body.file_name, body.seen_name)
    return _views(member, [service.find_asset(member.workspace, a)])[0]


@blueprint.delete("/v1/workspaces/<uuid:w>/assets/<uuid:a>")
@member(Permission.EDIT)
@operation(query=DeleteQuery, errors=("conflict",))
def delete(member: Member, a: UUID, query: DeleteQuery) -> None:
    """Put an asset into the trash, or delete it for good.

    Quarantined files (`held`) and those still being checked (`conflict`) can't be deleted. The quota is
    free once the bytes are gone, in a moment.
    """
    if query.permanent:
        member.require(Permission.PURGE)
        service.delete_for_good(member, a)
    else:
        service.discard(member, a)


@blueprint.post("/v1/workspaces/<uuid:w>/assets/<uuid:a>/restore")
@member(Permission.EDIT)
@operation(returns=AssetView, errors=("conflict",))
def restore(member: Member, a: UUID) -> AssetView:
    """Take an asset out of the trash, into the state it was in."""
    service.restore(member, a)
    return _views(member, [service.find_asset(member.workspace, a)])[0]


@blueprint.delete("/v1/workspaces/<uuid:w>/trash")
@member(Permission.PURGE)
@operation()
def empty_trash(member: Member) -> None:
    """Delete everything in the trash for good."""
    service.empty_trash(member)


@blueprint.get("/v1/workspaces/<uuid:w>/libraries")
@member(Permission.VIEW)
@operation(paged=True, returns=Listing[LibraryView])
def list_libraries(member: Member, paging: Paging) -> Listing[LibraryView]:
    """List libraries, the oldest first."""
    rows = libraries.list_libraries(member.workspace, after=paging.after_id(), limit=paging.limit + 1)
    page, cursor = cut(rows, paging, key=lambda row: row.id)
    return Listing[LibraryView](items=[LibraryView.model_validate(row) for row in page], next_cursor=cursor)


@blueprint.post("/v1/workspaces/<uuid:w>/libraries")
@member(Permission.EDIT)
@operation(body=NewLibrary, returns=LibraryView, status=201, errors=("conflict",))
def create_library(member: Member, body: NewLibrary) -> LibraryView:
    """Add a library."""
    return LibraryView.model_validate(libraries.create_library(member, body.name))


@blueprint.patch("/v1/workspaces/<uuid:w>/libraries/<uuid:l>")
@member(Permission.MANAGE_WORKSPACE)
@operation(body=LibraryChange, returns=LibraryView, errors=("conflict",))
def rename_library(member: Member, body: LibraryChange, l: UUID) -> LibraryView:  # noqa: E741  as in the address
    """Give a library another name; for owners."""
    return LibraryView.model_validate(libraries.rename_library(member, l, body.name, body.seen_name))


def _views(member: Member, assets: Sequence[Asset]) -> list[AssetView]:
    derived, urls = service.variants_of(assets), PreviewUrls(member.workspace)
    return [asset_view(asset, derived[asset.id], urls) for asset in assets]
