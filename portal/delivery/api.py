"""Downloads for programs."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, redirect
from flask.typing import ResponseReturnValue

from portal.delivery import service
from portal.delivery.forms import DownloadQuery
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.openapi import operation

blueprint = Blueprint("delivery_api", __name__)


@blueprint.get("/v1/workspaces/<uuid:w>/assets/<uuid:a>/download")
@member(Permission.VIEW)
@operation(query=DownloadQuery, status=302, errors=("conflict",))
def download(member: Member, a: UUID, query: DownloadQuery) -> ResponseReturnValue:
    """Redirect to a short-lived address of a file.

    The link to the original saves it under its name and is valid for five minutes. The link to a derived file
    (`variant`) shows it, and stays the same for a while. Quarantined files (`held`) and unavailable ones (`conflict`)
    have none.
    """
    link = service.variant_link(member, a, query.variant) if query.variant else service.original_link(member, a)
    response = redirect(link)
    response.headers["Cache-Control"] = "no-store"
    return response
