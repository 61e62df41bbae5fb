"""The overview of a tenant, for its admins."""

from __future__ import annotations

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.admin import overview as overviews
from portal.tenancy.access import current_places, tenant
from portal.tenancy.labels import plan_name
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.pages import wants_next_rows
from portal.web.paging import read_paging

blueprint = Blueprint("tenants", __name__)


@blueprint.get("/t/<tenant_slug>/overview")
@tenant(Permission.TENANT_OVERVIEW)
def overview(member: Member) -> ResponseReturnValue:
    """Usage and workspaces; to htmx, which asks with a cursor, the next workspaces alone."""
    paging = read_paging()
    own = {workspace.id for place in current_places() for workspace in place.workspaces}
    rows, cursor = overviews.list_workspaces(member, own, paging)
    more = url_for(".overview", tenant_slug=member.tenant_slug, cursor=cursor) if cursor else None
    if wants_next_rows(paging):
        return render_template("tenants/_workspaces.html", workspaces=rows, workspaces_url=more, member=member)
    found = overviews.of_tenant(member)
    return render_template(
        "tenants/overview.html",
        tenant=found.tenant,
        plan_name=plan_name(found.tenant.plan),
        quota=found.quota,
        found=found,
        workspaces=rows,
        workspaces_url=more,
        member=member,
    )
