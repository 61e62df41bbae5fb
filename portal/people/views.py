"""The members page of a workspace, for its owners and for administrators of the tenant."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.errors import Invalid
from portal.identity.access import recently_proved
from portal.mail import service as mail
from portal.people import invitations, members, presenters
from portal.people.forms import InviteForm, WorkspaceRoleForm
from portal.tenancy import people
from portal.tenancy.access import member
from portal.tenancy.labels import WORKSPACE_ROLES
from portal.tenancy.models import TenantRole, WorkspaceRole
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Query, read_query
from portal.web.pages import flash_refusal, wants_next_rows
from portal.web.paging import Paging, read_paging
from portal.web.rate_limits import rates

blueprint = Blueprint("members", __name__, url_prefix="/t/<tenant_slug>/w/<workspace_slug>")
LISTS = ("members", "invitations")
FIRST = Paging()


class MembersQuery(Query):
    """Which of the two lists the cursor belongs to."""

    of: Literal["members", "invitations"] = "members"


@blueprint.get("/members")
@member(Permission.MANAGE_MEMBERS)
def index(member: Member) -> ResponseReturnValue:
    """Members, pending invitations and the form for more; to htmx, which asks with a cursor, the next rows alone."""
    wanted, paging = read_query(MembersQuery).of, read_paging()
    if wants_next_rows(paging):
        return render_template(f"people/_{wanted}.html", member=member, **_list(wanted, member, paging))
    return _page(member, InviteForm(formdata=None), wanted=wanted, paging=paging)


@blueprint.post("/members/invite")
@member(Permission.MANAGE_MEMBERS)
def invite(member: Member) -> ResponseReturnValue:
    """Invite the addresses of the form; those that can't be invited are invitation with the reason."""
    form = InviteForm()
    if not form.validate_on_submit():
        return _page(member, form), 422
    rates().count(invitations.REQUESTS, str(member.user_id))
    wanted = form.wanted()
    try:
        outcomes = invitations.invite_all(member, wanted)
    except Invalid as problem:
        form.addresses.errors = [problem.detail]
        return _page(member, form), 422
    result = presenters.invite_result([each.email for each in wanted], outcomes)
    return _page(member, InviteForm(formdata=None, role=form.role.data), result)


@blueprint.post("/invitations/<uuid:invitation_id>/resend")
@member(Permission.MANAGE_MEMBERS)
def resend(member: Member, invitation_id: UUID) -> ResponseReturnValue:
    """Send the invitation again."""
    with flash_refusal():
        invitation = invitations.resend(member, invitation_id)
        flash(_("The invitation is sent to %(email)s again.", email=invitation.email), "success")
    return _back(member)


@blueprint.post("/invitations/<uuid:invitation_id>/revoke")
@member(Permission.MANAGE_MEMBERS)
def revoke(member: Member, invitation_id: UUID) -> ResponseReturnValue:
    """End the invitation."""
    with flash_refusal():
        invitations.revoke(member, invitation_id)
        flash(_("The invitation was revoked. Its link opens nothing any more."), "success")
    return _back(member)


@blueprint.post("/members/<uuid:user_id>/role")
@member(Permission.MANAGE_MEMBERS)
@recently_proved
def set_role(member: Member, user_id: UUID) -> ResponseReturnValue:
    """Give a member another role."""
    form = WorkspaceRoleForm()
    if not form.validate_on_submit():
        raise Invalid(_("Choose a role."), field="role")
    with flash_refusal():
        members.set_role(member.tenant_id, member.workspace, user_id, WorkspaceRole(form.role.data), member.user_id)
        flash(_("The role was changed. It holds from the next click on."), "success")
    return _back(member)


@blueprint.post("/members/<uuid:user_id>/remove")
@member(Permission.MANAGE_MEMBERS)
@recently_proved
def remove(member: Member, user_id: UUID) -> ResponseReturnValue:
    """Remove a member; what they uploaded stays."""
    with flash_refusal():
        members.remove(member.tenant_id, member.workspace, user_id, member.user_id)
        flash(_("The person was removed from this workspace. The files that they uploaded stay."), "success")
    return _back(member)


@blueprint.post("/leave")
@member(Permission.VIEW)
def leave(member: Member) -> ResponseReturnValue:
    """End one's own membership."""
    with flash_refusal():
        members.remove(member.tenant_id, member.workspace, member.user_id, member.user_id)
        flash(_("You have left “%(workspace)s”.", workspace=member.workspace_name), "success")
    return redirect(url_for("workspaces.index"), 303)


def _back(member: Member) -> ResponseReturnValue:
    """To the members page, or away from it for who gave up the right to see it."""
    role = people.workspace_role(member.workspace, member.user_id)
    if role is WorkspaceRole.OWNER or member.tenant_role is TenantRole.ADMIN:
        return redirect(_address(member), 303)
    return redirect(url_for("workspaces.index"), 303)


def _page(
    member: Member,
    form: InviteForm,
    result: presenters.InviteResult | None = None,
    *,
    wanted: str = "members",
    paging: Paging = FIRST,
) -> str:
    lists: dict[str, Any] = {}
    for name in LISTS:
        lists |= _list(name, member, paging if name == wanted else FIRST)
    sends_mail = mail.server() is not None
    return render_template(
        "people/members.html", member=member, form=form, result=result, sends_mail=sends_mail, **lists
    )


def _list(name: str, member: Member, paging: Paging) -> dict[str, Any]:
    """The rows of one of the two lists, and the address of the next."""
    rows: list[Any]
    if name == "members":
        found, cursor = people.list_members(member.workspace, paging)
        rows = [presenters.member_row(each, member.user_id) for each in found]
    else:
        pending, cursor = invitations.list_invitations(member.workspace, paging)
        rows = [presenters.invitation_row(each) for each in pending]
    more = _address(member, of=name, cursor=cursor) if cursor else None
    return {name: rows, f"{name}_url": more, "roles": WORKSPACE_ROLES}


def _address(member: Member, of: str | None = None, cursor: str | None = None) -> str:
    return url_for(
        "members.index",
        tenant_slug=member.tenant_slug,
        workspace_slug=member.workspace_slug,
        of=of,
        cursor=cursor,
    )
