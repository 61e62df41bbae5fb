"""Pages for admins of a tenant."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.admin import overview as overviews
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member

blueprint = Blueprint("tenants", __name__)


@blueprint.get("/t/<tenant_slug>/overview")
@tenant(Permission.TENANT_OVERVIEW)
def overview(member: Member) -> ResponseReturnValue:
    """The tenant at a glance: how full it is, its workspaces, its people."""
    found = overviews.of_tenant(member)
    return render_template(
        "tenants/overview.html",
        tenant=found.tenant,
        quota=found.quota,
        workspaces=found.workspaces,
        people=found.people,
    )
