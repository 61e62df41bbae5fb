"""Invitations to a workspace: made, sent, listed, revoked, accepted."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import ARRAY, ColumnElement, String, any_, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from portal import audit, tasks
from portal.database import compare_and_set, db, enter, new_id, now, transaction
from portal.errors import Conflict, Invalid, NotFound, Problem
from portal.events import service as events
from portal.events.models import EventType
from portal.identity import service as identity
from portal.identity.models import User
from portal.mail import service as mail
from portal.mail.service import Addressee
from portal.people.models import Invitation, InvitationState
from portal.tenancy import memberships, people
from portal.tenancy.labels import WORKSPACE_ROLES
from portal.tenancy.models import Tenant, TenantRole, Workspace, WorkspaceRole
from portal.tenancy.service import Member, checked_name
from portal.web.paging import Paging, cut
from portal.web.rate_limits import Rate

log = logging.getLogger(__name__)

USUAL_DAYS, MOST_DAYS = 7, 90
MOST_AT_ONCE = 10_000  # addresses in one request
REQUESTS = Rate("invitations", "60 per hour")  # of one person


@dataclass(frozen=True)
class NewInvitation:
    """An address that is to be invited. ``days`` from now the invitation expires."""

    email: str
    role: WorkspaceRole
    days: int = USUAL_DAYS


@dataclass(frozen=True)
class InvitationDetails:
    """What the page behind the link says. ``has_account``: somebody with this address can log in."""

    id: UUID
    tenant_id: UUID
    workspace_id: UUID
    email: str
    role: WorkspaceRole
    state: InvitationState
    expires_at: datetime
    workspace_slug: str
    workspace_name: str
    tenant_slug: str
    tenant_name: str
    invited_by: str
    has_account: bool


def invite(member: Member, wanted: NewInvitation) -> Invitation:
    """Invite one address. Raises ``Invalid`` with the field, ``Conflict`` for a member and for who was invited."""
    (outcome,) = invite_all(member, [wanted])
    if isinstance(outcome, Problem):
        raise outcome
    return outcome


def invite_all(member: Member, wanted: Sequence[NewInvitation]) -> list[Invitation | Problem]:
    """Invite many addresses in one transaction: for each, in the same order, the invitation or why there is none.

    Four statements however many there are. Raises ``Invalid`` for more than ``MOST_AT_ONCE``.
    """
    if len(wanted) > MOST_AT_ONCE:
        raise Invalid(_("Invite at most %(most)s addresses at once.", most=MOST_AT_ONCE), field="items")
    addresses = [_checked(each) for each in wanted]
    with transaction(member.tenant_id):
        known = _reasons_against(member, {each for each in addresses if isinstance(each, str)})
        new: dict[str, dict[str, Any]] = {}
        outcomes: list[Invitation | Problem | str] = []
        for each, address in zip(wanted, addresses, strict=True):
            if isinstance(address, Problem):
                outcomes.append(address)
            elif address in known:
                outcomes.append(known[address])
            elif address in new:
                outcomes.append(Conflict(_("This address is in the list twice.")))
            else:
                new[address] = _row(member, address, each)
                outcomes.append(address)
        made = _insert(member, list(new.values()))
    taken = Conflict(_("This address is invited already. Send that invitation again, or revoke it."))
    return [made.get(each, taken) if isinstance(each, str) else each for each in outcomes]


def list_invitations(workspace_id: UUID, paging: Paging) -> tuple[Sequence[Invitation], str | None]:
    """One page of the pending invitations (expired ones, too), the newest first, and the cursor of the next."""
    pending = Invitation.workspace_id == workspace_id, Invitation.state == InvitationState.PENDING
    statement = select(Invitation).where(*pending).order_by(Invitation.id.desc()).limit(paging.limit + 1)
    if (after := paging.after_id()) is not None:
        statement = statement.where(Invitation.id < after)
    return cut(db.session.scalars(statement).all(), paging, key=lambda invitation: invitation.id)


def revoke(member: Member, invitation_id: UUID) -> None:
    """End an invitation: its link opens nothing any more. Raises ``NotFound``, ``Conflict`` once it was answered."""
    with transaction(member.tenant_id):
        invitation = _find(member.workspace, invitation_id)
        if not _answer(invitation.id, InvitationState.REVOKED, member.user_id):
            raise Conflict(_("This invitation was accepted or revoked already."))
        facts = {"email": invitation.email}
        audit.record(
            member.tenant_id,
            member.user_id,
            "invitation.revoked",
            invitation.id,
            workspace_id=invitation.workspace_id,
            **facts,
        )


def resend(member: Member, invitation_id: UUID) -> Invitation:
    """Send another e-mail, whose link replaces the earlier one; from now on it holds the usual number of days.

    Raises ``NotFound``, ``Conflict`` once it was answered.
    """
    with transaction(member.tenant_id):
        invitation = _find(member.workspace, invitation_id)
        if invitation.state is not InvitationState.PENDING:
            raise Conflict(_("This invitation was accepted or revoked already."))
        invitation.expires_at = now() + timedelta(days=USUAL_DAYS)
        tasks.schedule(
            "send_invitation", invitation.id, tenant_id=invitation.tenant_id, workspace_id=invitation.workspace_id
        )
    return invitation


def send(tenant_id: UUID, workspace_id: UUID, invitation_id: UUID) -> None:
    """Write the e-mail of an invitation, with a new token; a job. What was answered meanwhile is left alone."""
    with tasks.acquire("send_invitation", tenant_id, workspace_id, invitation_id) as lease:
        if lease is None:
            return
        with transaction(tenant_id) as session:
            invitation = session.get(Invitation, invitation_id, with_for_update=True, populate_existing=True)
            if invitation is None or invitation.state is not InvitationState.PENDING or invitation.expires_at <= now():
                return
            plain = secrets.token_urlsafe(32)  # 256 bits
            is_first = invitation.sent_at is None
            invitation.token_hash, invitation.sent_at = hash_token(plain), now()
            _enqueue_email(invitation, plain)
            if is_first:
                events.record(
                    EventType.MEMBER_INVITED,
                    tenant_id,
                    workspace_id,
                    invitation_id=str(invitation.id),
                    email=invitation.email,
                    role=invitation.role.value,
                )
            tasks.complete(lease)


def find_by_token(plain: str) -> InvitationDetails:
    """The invitation that a link names; enters its tenant. Raises ``NotFound`` for a link that is none of ours."""
    found = db.session.execute(select(func.invitation_of(hash_token(plain)))).scalar_one_or_none()
    if found is None:
        raise NotFound(_("This link is not valid. If there is a newer e-mail, use the link in that one."))
    enter(found)
    invitation = db.session.scalars(select(Invitation).where(Invitation.token_hash == hash_token(plain))).one()
    workspace = db.session.get_one(Workspace, invitation.workspace_id)
    tenant = db.session.get_one(Tenant, invitation.tenant_id)
    return InvitationDetails(
        id=invitation.id,
        tenant_id=invitation.tenant_id,
        workspace_id=invitation.workspace_id,
        email=invitation.email,
        role=invitation.role,
        state=invitation.state,
        expires_at=invitation.expires_at,
        workspace_slug=workspace.slug,
        workspace_name=workspace.name,
        tenant_slug=tenant.slug,
        tenant_name=tenant.name,
        invited_by=_name_of(invitation.invited_by),
        has_account=identity.find_user(invitation.email) is not None,
    )


def require_open(details: InvitationDetails) -> None:
    """Raises ``Conflict`` with what to do for an invitation that can't be accepted any more."""
    if details.state is InvitationState.ACCEPTED:
        raise Conflict(_("This invitation was used already. The workspace is among yours."))
    if details.state is InvitationState.REVOKED:
        raise Conflict(_("This invitation was revoked. Ask whoever invited you for another one."))
    if details.expires_at <= now():
        raise Conflict(_("This invitation has expired. Ask whoever invited you to send it again."))


def accept(details: InvitationDetails, user_id: UUID) -> None:
    """Join the workspace. Whoever is its member already keeps their role.

    Raises ``Conflict`` when the invitation was answered or expired meanwhile, when it is for another address, and for
    somebody whom an administrator of the tenant has disabled.
    """
    with transaction(details.tenant_id):
        _accept(details, db.session.get_one(User, user_id))


def sign_up(details: InvitationDetails, name: str, password: str) -> User:
    """Create the account that the invitation is for, and join; gives the new person.

    The address needs no confirmation: whoever has the link has read the e-mail. Raises ``Invalid`` with the field,
    ``Conflict`` as ``accept``, and when the account exists by now.
    """
    with transaction(details.tenant_id):
        user = identity.create_user(details.email, password, name=checked_name(name))
        _accept(details, user)
    return user


def hash_token(plain: str) -> str:
    """As it is kept: SHA-256 suffices for 256 random bits."""
    return hashlib.sha256(plain.encode()).hexdigest()


def _accept(details: InvitationDetails, user: User) -> None:
    if user.email != details.email:
        raise Conflict(_("This invitation is for %(email)s.", email=details.email))
    if not _answer(details.id, InvitationState.ACCEPTED, user.id, Invitation.expires_at > now()):
        raise Conflict(_("This invitation was used, revoked or has expired."))
    if people.is_disabled(details.tenant_id, user.id):
        raise Conflict(_("An administrator of %(tenant)s has disabled your membership.", tenant=details.tenant_name))
    if not people.is_in_tenant(details.tenant_id, user.id):
        memberships.add_to_tenant(details.tenant_id, user.id, TenantRole.MEMBER, user.id)
    role = people.workspace_role(details.workspace_id, user.id)
    if role is None:
        role = details.role
        memberships.set_workspace_role(details.tenant_id, details.workspace_id, user.id, role, user.id)
    audit.record(details.tenant_id, user.id, "invitation.accepted", details.id, workspace_id=details.workspace_id)
    events.record(
        EventType.MEMBER_JOINED,
        details.tenant_id,
        details.workspace_id,
        user_id=str(user.id),
        email=user.email,
        role=role.value,
    )


def _checked(wanted: NewInvitation) -> str | Problem:
    try:
        if not 1 <= wanted.days <= MOST_DAYS:
            raise Invalid(_("An invitation is valid for 1 to %(most)s days.", most=MOST_DAYS), field="expires_in_days")
        return identity.normal_email(wanted.email)
    except Invalid as problem:
        return problem


def _reasons_against(member: Member, addresses: Iterable[str]) -> dict[str, Problem]:
    """Who of these can't be invited: members of the workspace, and whom an administrator has disabled in the tenant."""
    found: dict[str, Problem] = {}
    for standing in people.find_by_emails(member.tenant_id, member.workspace, addresses):
        if standing.disabled:
            found[standing.email] = Conflict(_("An administrator has disabled this person in this tenant."))
        elif standing.in_workspace:
            found[standing.email] = Conflict(_("This person is a member of the workspace already."))
    return found


def _row(member: Member, address: str, wanted: NewInvitation) -> dict[str, Any]:
    present = now()
    return {
        "id": new_id(),
        "created_at": present,
        "tenant_id": member.tenant_id,
        "workspace_id": member.workspace,
        "email": address,
        "role": wanted.role,
        "state": InvitationState.PENDING,
        "invited_by": member.user_id,
        "expires_at": present + timedelta(days=wanted.days),
    }


def _insert(member: Member, rows: list[dict[str, Any]]) -> dict[str, Invitation | Problem]:
    """The new invitations by address; an address with a pending one is left out. Expired ones make room."""
    if not rows:
        return {}
    expired = (
        Invitation.workspace_id == member.workspace,
        Invitation.state == InvitationState.PENDING,
        Invitation.expires_at <= now(),
        Invitation.email == any_(bindparam("emails", [row["email"] for row in rows], ARRAY(String()))),
    )
    db.session.execute(update(Invitation).where(*expired).values(state=InvitationState.REVOKED))
    # Two owners who invite the same address at once: one row is written, the other request gets a conflict.
    statement = insert(Invitation).on_conflict_do_nothing().returning(Invitation)
    made = list(db.session.scalars(statement, rows))
    tasks.schedule_all(
        "send_invitation",
        [invitation.id for invitation in made],
        tenant_id=member.tenant_id,
        workspace_id=member.workspace,
    )
    if made:
        first = [invitation.email for invitation in made[:20]]
        audit.record(
            member.tenant_id,
            member.user_id,
            "invitation.created",
            made[0].id if len(made) == 1 else None,
            workspace_id=member.workspace,
            count=len(made),
            email=", ".join(first),
        )
    return {invitation.email: invitation for invitation in made}


def _find(workspace_id: UUID, invitation_id: UUID) -> Invitation:
    invitation = db.session.get(Invitation, invitation_id, with_for_update=True, populate_existing=True)
    if invitation is None or invitation.workspace_id != workspace_id:
        raise NotFound(_("There is no such invitation."))
    return invitation


def _answer(invitation_id: UUID, to: InvitationState, by: UUID, *conditions: ColumnElement[bool]) -> bool:
    here = [Invitation.id == invitation_id, *conditions]
    return compare_and_set(Invitation, here, to, answered_at=now(), answered_by=by)


def _enqueue_email(invitation: Invitation, plain: str) -> None:
    invited, inviter = identity.find_user(invitation.email), db.session.get(User, invitation.invited_by)
    reader = invited or inviter  # who has no account yet gets the language of whoever invited them
    mail.enqueue(
        "invitation",
        [Addressee(invited.name if invited else "", invitation.email, reader.language if reader else None)],
        invitation.tenant_id,
        person=_name_of(invitation.invited_by),
        place=db.session.get_one(Workspace, invitation.workspace_id).name,
        tenant_name=db.session.get_one(Tenant, invitation.tenant_id).name,
        role=WORKSPACE_ROLES[invitation.role],
        expires_at=invitation.expires_at,
        path=f"/invitations/{plain}",
    )


def _name_of(user_id: UUID) -> str:
    user = db.session.get(User, user_id)
    return (user.name or user.email) if user else _("A deleted person")
