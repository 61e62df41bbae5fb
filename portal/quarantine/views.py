"""The page of what is held in a tenant."""

from __future__ import annotations

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.quarantine import service
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.pages import is_fragment_wanted
from portal.web.paging import read_paging

blueprint = Blueprint("quarantine", __name__)


@blueprint.get("/t/<tenant_slug>/quarantine")
@tenant(Permission.REVIEW_QUARANTINE)
def index(member: Member) -> ResponseReturnValue:
    """The list; to htmx, which asks with a cursor, the next rows alone."""
    paging = read_paging()
    items, cursor = service.list_items(member.tenant_id, paging)
    next_url = url_for(".index", tenant_slug=member.tenant_slug, cursor=cursor) if cursor else None
    if paging.after and is_fragment_wanted():
        return render_template("quarantine/_items.html", items=items, next_url=next_url)
    here = {"id": member.tenant_id, "slug": member.tenant_slug, "name": member.tenant_name}
    return render_template("quarantine/index.html", tenant=here, items=items, next_url=next_url)
