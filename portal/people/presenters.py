"""Members, people and invitations as the pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.database import now
from portal.errors import Problem
from portal.people.models import Invitation
from portal.tenancy.labels import WORKSPACE_ROLES
from portal.tenancy.models import TenantRole, WorkspaceRole
from portal.tenancy.people import MemberOfWorkspace, PersonHere


@dataclass(frozen=True)
class PersonLabel:
    """How somebody is named in a list: ``title`` in bold, ``subtitle`` below it or none, ``initial`` in the avatar."""

    title: str
    subtitle: str | None
    initial: str


@dataclass(frozen=True)
class MemberRow:
    """A member of a workspace. ``note``: why they can't work at present, or none."""

    user_id: UUID
    who: PersonLabel
    role: WorkspaceRole
    note: str | None
    joined_at: datetime
    is_reader: bool


@dataclass(frozen=True)
class WorkspaceRoleLabel:
    """A workspace of a person, and their role there in words."""

    name: str
    role: str


@dataclass(frozen=True)
class PersonRow:
    """Somebody in a tenant. ``used_bytes``: what their uploads hold; ``open_uploads``: how many are unfinished."""

    user_id: UUID
    who: PersonLabel
    role: TenantRole
    note: str | None
    is_disabled: bool
    is_reader: bool
    last_seen_at: datetime | None
    used_bytes: int
    open_uploads: int
    workspaces: Sequence[WorkspaceRoleLabel]


@dataclass(frozen=True)
class InvitationRow:
    """A pending invitation. ``is_sent``: its e-mail was written."""

    id: UUID
    email: str
    role: str
    expires_at: datetime
    is_expired: bool
    is_sent: bool


@dataclass(frozen=True)
class Refusal:
    """An address that was not invited, and why."""

    address: str
    reason: str


@dataclass(frozen=True)
class InviteResult:
    """What became of a list of addresses."""

    summary: str
    refusals: Sequence[Refusal]


def person_label(name: str, email: str) -> PersonLabel:
    """Who has no name is shown by their address alone."""
    return PersonLabel(name or email, email if name else None, (name or email)[0].upper())


def member_row(member: MemberOfWorkspace, reader: UUID) -> MemberRow:
    """A row of the members page."""
    return MemberRow(
        user_id=member.user_id,
        who=person_label(member.name, member.email),
        role=member.role,
        note=_note(member.active, member.disabled),
        joined_at=member.joined_at,
        is_reader=member.user_id == reader,
    )


def person_row(
    person: PersonHere,
    reader: UUID,
    *,
    last_seen: Mapping[UUID, datetime],
    used: Mapping[UUID, int],
    open_uploads: Mapping[UUID, int],
) -> PersonRow:
    """A row of the people page."""
    return PersonRow(
        user_id=person.id,
        who=person_label(person.name, person.email),
        role=person.role,
        note=_note(person.active, person.disabled_at is not None),
        is_disabled=person.disabled_at is not None,
        is_reader=person.id == reader,
        last_seen_at=last_seen.get(person.id),
        used_bytes=used.get(person.id, 0),
        open_uploads=open_uploads.get(person.id, 0),
        workspaces=[WorkspaceRoleLabel(each.name, str(WORKSPACE_ROLES[each.role])) for each in person.workspaces],
    )


def invitation_row(invitation: Invitation) -> InvitationRow:
    """A row of the pending invitations."""
    return InvitationRow(
        id=invitation.id,
        email=invitation.email,
        role=str(WORKSPACE_ROLES[invitation.role]),
        expires_at=invitation.expires_at,
        is_expired=invitation.expires_at <= now(),
        is_sent=invitation.sent_at is not None,
    )


def invite_result(addresses: Sequence[str], outcomes: Sequence[Invitation | Problem]) -> InviteResult:
    """How many were invited, and which were not."""
    pairs = zip(addresses, outcomes, strict=True)
    refusals = [Refusal(address, each.detail) for address, each in pairs if isinstance(each, Problem)]
    invited = len(outcomes) - len(refusals)
    summary = ngettext("One person was invited.", "%(num)s people were invited.", invited)
    return InviteResult(summary if invited else _("Nobody was invited."), refusals)


def _note(active: bool, disabled: bool) -> str | None:
    if not active:
        return _("blocked by an operator")
    return _("disabled") if disabled else None
