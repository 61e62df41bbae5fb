"""The people page of a tenant, for its administrators."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.errors import Invalid
from portal.identity import sessions
from portal.identity.access import recently_proved
from portal.people import members, presenters
from portal.people.forms import TenantRoleForm
from portal.tenancy import people
from portal.tenancy.access import tenant
from portal.tenancy.labels import TENANT_ROLES
from portal.tenancy.models import TenantRole
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.uploads.cancel import count_open_of, end_all_of
from portal.usage.people import bytes_by_person
from portal.web.body import Query, read_query
from portal.web.pages import flash_refusal, wants_next_rows
from portal.web.paging import read_paging

blueprint = Blueprint("people", __name__, url_prefix="/t/<tenant_slug>/people")


class PeopleQuery(Query):
    """Only people whose name or address contains ``q``."""

    q: str = ""


@blueprint.get("")
@tenant(Permission.MANAGE_PEOPLE)
def index(member: Member) -> ResponseReturnValue:
    """Everybody in the tenant, by name; to htmx, which asks with a cursor, the next rows alone."""
    words, paging = read_query(PeopleQuery).q.strip()[:200], read_paging()
    found, cursor = people.list_people(member.tenant_id, paging, words)
    more = url_for(".index", tenant_slug=member.tenant_slug, q=words or None, cursor=cursor) if cursor else None
    template = "people/_people.html" if wants_next_rows(paging) else "people/index.html"
    return render_template(
        template,
        member=member,
        people=_rows(member, found),
        people_url=more,
        roles=TENANT_ROLES,
        words=words,
        total=people.count_people(member.tenant_id),
    )


@blueprint.post("/<uuid:p>/role")
@tenant(Permission.MANAGE_PEOPLE)
@recently_proved
def set_role(member: Member, p: UUID) -> ResponseReturnValue:
    """Make somebody an administrator of the tenant, or a member."""
    form = TenantRoleForm()
    if not form.validate_on_submit():
        raise Invalid(_("Choose a role."), field="role")
    with flash_refusal():
        members.change_person(member.tenant_id, p, member.user_id, role=TenantRole(form.role.data))
        flash(_("The role was changed."), "success")
    return _back(member)


@blueprint.post("/<uuid:p>/disable")
@tenant(Permission.MANAGE_PEOPLE)
@recently_proved
def disable(member: Member, p: UUID) -> ResponseReturnValue:
    """Let somebody do nothing in this tenant, at once."""
    with flash_refusal():
        members.change_person(member.tenant_id, p, member.user_id, disabled=True)
        flash(_("The person was disabled: they can do nothing here from now on. Their files stay."), "success")
    return _back(member)


@blueprint.post("/<uuid:p>/enable")
@tenant(Permission.MANAGE_PEOPLE)
@recently_proved
def enable(member: Member, p: UUID) -> ResponseReturnValue:
    """Let a disabled person work again, with the roles that they had."""
    with flash_refusal():
        members.change_person(member.tenant_id, p, member.user_id, disabled=False)
        flash(_("The person was enabled: they can work here again."), "success")
    return _back(member)


@blueprint.post("/<uuid:p>/remove")
@tenant(Permission.MANAGE_PEOPLE)
@recently_proved
def remove(member: Member, p: UUID) -> ResponseReturnValue:
    """Remove somebody from the tenant and its workspaces; what they uploaded stays."""
    with flash_refusal():
        members.remove_person(member.tenant_id, p, member.user_id)
        flash(_("The person was removed. The files that they uploaded stay."), "success")
    return _back(member)


@blueprint.post("/<uuid:p>/end-uploads")
@tenant(Permission.REVIEW_QUARANTINE)
def end_uploads(member: Member, p: UUID) -> ResponseReturnValue:
    """Cancel a person's unfinished uploads."""
    people.require_member(member.tenant_id, p)
    ended = end_all_of(member.tenant_id, p, member.user_id)
    flash(ngettext("One upload was cancelled.", "%(num)s uploads were cancelled.", ended), "success")
    return redirect(url_for(".index", tenant_slug=member.tenant_slug), 303)


def _back(member: Member) -> ResponseReturnValue:
    """To the people page, or away from it for who gave up the right to see it."""
    if people.is_admin(member.tenant_id, member.user_id):
        return redirect(url_for("people.index", tenant_slug=member.tenant_slug), 303)
    return redirect(url_for("workspaces.index"), 303)


def _rows(member: Member, found: Any) -> list[presenters.PersonRow]:
    ids = [each.id for each in found]
    last_seen, used = sessions.last_seen(ids), bytes_by_person(member.tenant_id, ids)
    unfinished = count_open_of(member.tenant_id, ids)
    return [
        presenters.person_row(each, member.user_id, last_seen=last_seen, used=used, open_uploads=unfinished)
        for each in found
    ]
