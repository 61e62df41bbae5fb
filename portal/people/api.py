"""Members, invitations and people by JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from portal.database import now
from portal.errors import Problem
from portal.identity.access import recently_proved
from portal.people import invitations, members
from portal.people.invitations import MOST_AT_ONCE, USUAL_DAYS, NewInvitation
from portal.people.models import Invitation
from portal.tenancy import people
from portal.tenancy.access import member, tenant
from portal.tenancy.models import TenantRole, WorkspaceRole
from portal.tenancy.people import MemberOfWorkspace, PersonHere
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Body, Listing, Query, Time
from portal.web.openapi import operation
from portal.web.paging import Paging
from portal.web.problems import ProblemView, problem_facts
from portal.web.rate_limits import rates

blueprint = Blueprint("people_api", __name__)
WORKSPACE = "/v1/workspaces/<uuid:w>"
TENANT = "/v1/tenants/<uuid:t>/people"
Email = Annotated[str, Field(max_length=254)]


class MemberView(Answer):
    """A member of a workspace. ``disabled``: an administrator of the tenant lets them do nothing there."""

    user_id: UUID
    name: str
    email: str
    role: WorkspaceRole
    disabled: bool
    joined_at: Time


class SetRole(Body):
    """Another role in the workspace."""

    role: WorkspaceRole = Field(strict=False)


class Invite(Body):
    """Somebody to invite. The invitation is valid for so many days."""

    email: Email
    role: WorkspaceRole = Field(strict=False)
    expires_in_days: int = USUAL_DAYS

    def wanted(self) -> NewInvitation:
        """As the service takes it."""
        return NewInvitation(self.email, self.role, self.expires_in_days)


class InviteMany(Body):
    """People to invite, each with an outcome of their own."""

    items: list[Invite] = Field(min_length=1, max_length=MOST_AT_ONCE)


class InvitationView(Answer):
    """An invitation. ``state``: ``pending``, ``expired``, ``accepted`` or ``revoked``."""

    invitation_id: UUID
    email: str
    role: WorkspaceRole
    state: str
    created_at: Time
    expires_at: Time
    sent_at: Time | None

    @classmethod
    def of(cls, invitation: Invitation) -> InvitationView:
        """As the contract shows it."""
        is_expired = invitation.state.value == "pending" and invitation.expires_at <= now()
        return cls(
            invitation_id=invitation.id,
            email=invitation.email,
            role=invitation.role,
            state="expired" if is_expired else invitation.state.value,
            created_at=invitation.created_at,
            expires_at=invitation.expires_at,
            sent_at=invitation.sent_at,
        )


class InvitationsView(Answer):
    """For each item of the request, in the same order, the invitation or the problem."""

    items: Sequence[InvitationView | ProblemView]


class WorkspaceRoleView(Answer):
    """What somebody is in one workspace."""

    workspace_id: UUID
    name: str
    role: WorkspaceRole


class PersonView(Answer):
    """Somebody in a tenant. ``active`` false: an operator has blocked the account."""

    user_id: UUID
    name: str
    email: str
    role: TenantRole
    disabled: bool
    active: bool
    joined_at: Time
    workspaces: list[WorkspaceRoleView]

    @classmethod
    def of(cls, person: PersonHere) -> PersonView:
        """As the contract shows it."""
        return cls(
            user_id=person.id,
            name=person.name,
            email=person.email,
            role=person.role,
            disabled=person.disabled_at is not None,
            active=person.active,
            joined_at=person.joined_at,
            workspaces=[WorkspaceRoleView.model_validate(each) for each in person.workspaces],
        )


class ChangePerson(Body):
    """What is to change; what is left out stays."""

    role: TenantRole | None = Field(default=None, strict=False)
    disabled: bool | None = None


class PeopleQuery(Query):
    """Only people whose name or address contains ``q``."""

    q: str = Field(default="", max_length=200)


@blueprint.get(f"{WORKSPACE}/members")
@member(Permission.MANAGE_MEMBERS)
@operation(returns=Listing[MemberView], paged=True)
def list_members(member: Member, paging: Paging) -> Listing[MemberView]:
    """List the members of the workspace, by name."""
    found, cursor = people.list_members(member.workspace, paging)
    return Listing[MemberView](items=[_member_view(each) for each in found], next_cursor=cursor)


@blueprint.patch(f"{WORKSPACE}/members/<uuid:user_id>")
@member(Permission.MANAGE_MEMBERS)
@recently_proved
@operation(body=SetRole, errors=("conflict",))
def set_role(member: Member, user_id: UUID, body: SetRole) -> None:
    """Give a member another role. 409 for the only owner."""
    members.set_role(member.tenant_id, member.workspace, user_id, body.role, member.user_id)


@blueprint.delete(f"{WORKSPACE}/members/<uuid:user_id>")
@member(Permission.MANAGE_MEMBERS)
@recently_proved
@operation(errors=("conflict",))
def remove(member: Member, user_id: UUID) -> None:
    """Remove a member; what they uploaded stays. 409 for the only owner."""
    members.remove(member.tenant_id, member.workspace, user_id, member.user_id)


@blueprint.post(f"{WORKSPACE}/leave")
@member(Permission.VIEW)
@operation(errors=("conflict",))
def leave(member: Member) -> None:
    """End your own membership. 409 for the only owner."""
    members.remove(member.tenant_id, member.workspace, member.user_id, member.user_id)


@blueprint.post(f"{WORKSPACE}/invitations")
@member(Permission.MANAGE_MEMBERS)
@operation(body=Invite, returns=InvitationView, status=201, errors=("conflict",))
def invite(member: Member, body: Invite) -> InvitationView:
    """Invite somebody by e-mail. 409 for a member, and for who has a pending invitation."""
    rates().count(invitations.REQUESTS, str(member.user_id))
    return InvitationView.of(invitations.invite(member, body.wanted()))


@blueprint.post(f"{WORKSPACE}/invitations/batch")
@member(Permission.MANAGE_MEMBERS)
@operation(body=InviteMany, returns=InvitationsView)
def invite_many(member: Member, body: InviteMany) -> InvitationsView:
    """Invite up to 10,000 people."""
    rates().count(invitations.REQUESTS, str(member.user_id))
    outcomes = invitations.invite_all(member, [each.wanted() for each in body.items])
    items: list[InvitationView | ProblemView] = []
    for outcome in outcomes:
        if isinstance(outcome, Problem):
            items.append(ProblemView.model_validate(problem_facts(outcome)))
        else:
            items.append(InvitationView.of(outcome))
    return InvitationsView(items=items)


@blueprint.get(f"{WORKSPACE}/invitations")
@member(Permission.MANAGE_MEMBERS)
@operation(returns=Listing[InvitationView], paged=True)
def list_invitations(member: Member, paging: Paging) -> Listing[InvitationView]:
    """List the pending invitations, the newest first; expired ones, too."""
    found, cursor = invitations.list_invitations(member.workspace, paging)
    return Listing[InvitationView](items=[InvitationView.of(each) for each in found], next_cursor=cursor)


@blueprint.delete(f"{WORKSPACE}/invitations/<uuid:invitation_id>")
@member(Permission.MANAGE_MEMBERS)
@operation(errors=("conflict",))
def revoke(member: Member, invitation_id: UUID) -> None:
    """End a pending invitation."""
    invitations.revoke(member, invitation_id)


@blueprint.post(f"{WORKSPACE}/invitations/<uuid:invitation_id>/resend")
@member(Permission.MANAGE_MEMBERS)
@operation(returns=InvitationView, errors=("conflict",))
def resend(member: Member, invitation_id: UUID) -> InvitationView:
    """Send a pending invitation again: its new link replaces the earlier one."""
    rates().count(invitations.REQUESTS, str(member.user_id))
    return InvitationView.of(invitations.resend(member, invitation_id))


@blueprint.get(TENANT)
@tenant(Permission.MANAGE_PEOPLE)
@operation(query=PeopleQuery, returns=Listing[PersonView], paged=True)
def list_people(member: Member, query: PeopleQuery, paging: Paging) -> Listing[PersonView]:
    """List the people of the tenant, by name."""
    found, cursor = people.list_people(member.tenant_id, paging, query.q.strip())
    return Listing[PersonView](items=[PersonView.of(each) for each in found], next_cursor=cursor)


@blueprint.patch(f"{TENANT}/<uuid:p>")
@tenant(Permission.MANAGE_PEOPLE)
@recently_proved
@operation(body=ChangePerson, errors=("conflict",))
def change(member: Member, p: UUID, body: ChangePerson) -> None:
    """Change somebody's role in the tenant, or disable their membership. 409 for the only administrator.

    It concerns this tenant alone: an account is blocked by operators.
    """
    members.change_person(member.tenant_id, p, member.user_id, role=body.role, disabled=body.disabled)


@blueprint.delete(f"{TENANT}/<uuid:p>")
@tenant(Permission.MANAGE_PEOPLE)
@recently_proved
@operation(errors=("conflict",))
def remove_person(member: Member, p: UUID) -> None:
    """Remove somebody from the tenant and its workspaces; what they uploaded stays.

    409 for the only administrator, and for the only owner of a workspace.
    """
    members.remove_person(member.tenant_id, p, member.user_id)


def _member_view(found: MemberOfWorkspace) -> MemberView:
    return MemberView(
        user_id=found.user_id,
        name=found.name,
        email=found.email,
        role=found.role,
        disabled=found.disabled,
        joined_at=found.joined_at,
    )
