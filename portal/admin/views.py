"""The overview of a tenant, for its admins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext

from portal.admin import overview as overviews
from portal.tenancy import people
from portal.tenancy.access import current_places, tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.uploads.cancel import count_open_of, end_all_of
from portal.web.body import Query, read_query
from portal.web.pages import wants_next_rows
from portal.web.paging import Paging, read_paging

blueprint = Blueprint("tenants", __name__)
LISTS = ("workspaces", "people")


class OverviewQuery(Query):
    """Which of the two lists the cursor belongs to."""

    of: Literal["workspaces", "people"] = "workspaces"


@blueprint.get("/t/<tenant_slug>/overview")
@tenant(Permission.TENANT_OVERVIEW)
def overview(member: Member) -> ResponseReturnValue:
    """Usage, workspaces and people; to htmx, which asks with a cursor, the next rows of one list alone."""
    wanted, paging = read_query(OverviewQuery).of, read_paging()
    if wants_next_rows(paging):
        return render_template(f"tenants/_{wanted}.html", **_list(wanted, member, paging))
    lists: dict[str, Any] = {}
    for name in LISTS:
        lists |= _list(name, member, paging if name == wanted else Paging())
    found = overviews.of_tenant(member)
    return render_template("tenants/overview.html", tenant=found.tenant, quota=found.quota, found=found, **lists)


@blueprint.post("/t/<tenant_slug>/people/<uuid:p>/end-uploads")
@tenant(Permission.REVIEW_QUARANTINE)
def end_uploads(member: Member, p: UUID) -> ResponseReturnValue:
    """Cancel a person's unfinished uploads."""
    people.require_member(member.tenant_id, p)
    ended = end_all_of(member.tenant_id, p, member.user_id)
    flash(ngettext("One upload was cancelled.", "%(num)s uploads were cancelled.", ended), "success")
    return redirect(url_for(".overview", tenant_slug=member.tenant_slug), 303)


def _list(name: str, member: Member, paging: Paging) -> dict[str, Any]:
    more: dict[str, Any] = {}
    rows: Sequence[Any]
    if name == "people":
        rows, cursor = overviews.list_people(member, paging)
        more["open_uploads"] = count_open_of(member.tenant_id, [each.id for each in rows])
    else:
        own = {workspace.id for place in current_places() for workspace in place.workspaces}
        rows, cursor = overviews.list_workspaces(member, own, paging)
    following = url_for(".overview", tenant_slug=member.tenant_slug, of=name, cursor=cursor) if cursor else None
    return {name: rows, f"{name}_url": following, "tenant_slug": member.tenant_slug, **more}
