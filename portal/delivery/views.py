"""Downloads from a page."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, redirect
from flask.typing import ResponseReturnValue

from portal.delivery import service
from portal.delivery.forms import DownloadQuery
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import read_query

blueprint = Blueprint("delivery", __name__)


@blueprint.get("/t/<tenant_slug>/w/<workspace_slug>/files/<uuid:asset_id>/download")
@member(Permission.VIEW)
def download(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """Save the original, or with ``?variant=`` a derived file."""
    variant = read_query(DownloadQuery).variant
    if variant:
        return redirect(service.variant_link(member, asset_id, variant, saving=True))
    return redirect(service.original_link(member, asset_id))
