"""Who belongs to a tenant, and to which of its workspaces: for its admins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import ARRAY, Select, String, and_, any_, bindparam, exists, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by

from portal.database import db
from portal.errors import NotFound
from portal.identity.models import User
from portal.mail.service import Addressee
from portal.tenancy.models import TenantMembership, TenantRole, Workspace, WorkspaceMembership, WorkspaceRole
from portal.web.paging import Paging, cut


@dataclass(frozen=True)
class Role:
    """What somebody is in one workspace."""

    workspace_id: UUID
    name: str
    role: WorkspaceRole


@dataclass(frozen=True)
class PersonHere:
    """Somebody in a tenant, with their workspaces there by name."""

    id: UUID
    name: str
    email: str
    role: TenantRole
    active: bool
    disabled_at: datetime | None
    joined_at: datetime
    workspaces: list[Role] = field(default_factory=list)


@dataclass(frozen=True)
class MemberOfWorkspace:
    """Somebody in a workspace. ``disabled``: an administrator of the tenant lets them do nothing there."""

    user_id: UUID
    name: str
    email: str
    role: WorkspaceRole
    active: bool
    disabled: bool
    joined_at: datetime


@dataclass(frozen=True)
class Standing:
    """What somebody with a known address is in a tenant and in one of its workspaces."""

    email: str
    disabled: bool
    in_workspace: bool


_SHOWN_NAME = func.lower(User.shown_name)


def list_people(tenant_id: UUID, paging: Paging, words: str = "") -> tuple[Sequence[PersonHere], str | None]:
    """One page of the people in the entered tenant, by name, and the cursor of the next; two statements.

    ``words``: only those whose name or address contains this, in whatever case.
    """
    membership = TenantMembership
    statement = (
        select(
            User.id,
            User.name,
            User.email,
            User.active,
            membership.role,
            membership.disabled_at,
            membership.created_at,
            _SHOWN_NAME.label("place"),
        )
        .join(User, User.id == membership.user_id)
        .where(membership.tenant_id == tenant_id)
        .order_by(_SHOWN_NAME, User.id)
        .limit(paging.limit + 1)
    )
    if words:
        statement = statement.where(
            or_(User.name.icontains(words, autoescape=True), User.email.icontains(words, autoescape=True))
        )
    if (after := paging.after_name()) is not None:
        statement = statement.where(tuple_(_SHOWN_NAME, User.id) > after)
    rows, cursor = cut(db.session.execute(statement).all(), paging, key=lambda row: (row.place, row.id))
    people = {
        row.id: PersonHere(
            id=row.id,
            name=row.name,
            email=row.email,
            role=row.role,
            active=row.active,
            disabled_at=row.disabled_at,
            joined_at=row.created_at,
        )
        for row in rows
    }
    roles = (
        select(WorkspaceMembership.user_id, Workspace.id, Workspace.name, WorkspaceMembership.role)
        .join(Workspace, Workspace.id == WorkspaceMembership.workspace_id)
        .where(WorkspaceMembership.tenant_id == tenant_id, WorkspaceMembership.user_id.in_(people))
        .order_by(func.lower(Workspace.name), Workspace.id)
    )
    for user_id, workspace_id, name, role in db.session.execute(roles):
        people[user_id].workspaces.append(Role(workspace_id, name, role))
    return list(people.values()), cursor


def list_members(workspace_id: UUID, paging: Paging) -> tuple[Sequence[MemberOfWorkspace], str | None]:
    """One page of the members of a workspace of the entered tenant, by name, and the cursor of the next."""
    membership = WorkspaceMembership
    statement = (
        select(
            User.id,
            User.name,
            User.email,
            User.active,
            membership.role,
            membership.created_at,
            TenantMembership.disabled_at,
            _SHOWN_NAME.label("place"),
        )
        .join(membership, membership.user_id == User.id)
        .join(
            TenantMembership,
            and_(TenantMembership.tenant_id == membership.tenant_id, TenantMembership.user_id == User.id),
        )
        .where(membership.workspace_id == workspace_id)
        .order_by(_SHOWN_NAME, User.id)
        .limit(paging.limit + 1)
    )
    if (after := paging.after_name()) is not None:
        statement = statement.where(tuple_(_SHOWN_NAME, User.id) > after)
    rows, cursor = cut(db.session.execute(statement).all(), paging, key=lambda row: (row.place, row.id))
    members = [
        MemberOfWorkspace(
            user_id=row.id,
            name=row.name,
            email=row.email,
            role=row.role,
            active=row.active,
            disabled=row.disabled_at is not None,
            joined_at=row.created_at,
        )
        for row in rows
    ]
    return members, cursor


def find_by_emails(tenant_id: UUID, workspace_id: UUID, emails: Iterable[str]) -> list[Standing]:
    """What those people with these addresses are, who are members of the entered tenant; one statement.

    ``emails`` as they are stored (``identity.service.normal_email``).
    """
    in_workspace = exists().where(
        WorkspaceMembership.workspace_id == workspace_id, WorkspaceMembership.user_id == User.id
    )
    # One array, because a list of ten thousand parameters is more than a statement may have.
    wanted = bindparam("emails", list(emails), ARRAY(String()))
    statement = (
        select(User.email, TenantMembership.disabled_at, in_workspace.label("in_workspace"))
        .join(TenantMembership, TenantMembership.user_id == User.id)
        .where(TenantMembership.tenant_id == tenant_id, func.lower(User.email) == any_(wanted))
    )
    return [
        Standing(email=row.email.lower(), disabled=row.disabled_at is not None, in_workspace=row.in_workspace)
        for row in db.session.execute(statement)
    ]


def is_disabled(tenant_id: UUID, user_id: UUID) -> bool:
    """Whether an administrator of the entered tenant has disabled this person's membership."""
    here = TenantMembership.tenant_id == tenant_id, TenantMembership.user_id == user_id
    return bool(db.session.scalar(select(exists().where(*here, TenantMembership.disabled_at.is_not(None)))))


def workspace_role(workspace_id: UUID, user_id: UUID) -> WorkspaceRole | None:
    """What this person is in a workspace of the entered tenant; None: no member."""
    here = WorkspaceMembership.workspace_id == workspace_id, WorkspaceMembership.user_id == user_id
    return db.session.scalar(select(WorkspaceMembership.role).where(*here))


def is_in_tenant(tenant_id: UUID, user_id: UUID) -> bool:
    """Whether this person is a member of the entered tenant, disabled or not."""
    here = TenantMembership.tenant_id == tenant_id, TenantMembership.user_id == user_id
    return bool(db.session.scalar(select(exists().where(*here))))


def is_admin(tenant_id: UUID, user_id: UUID) -> bool:
    """Whether this person is an administrator of the entered tenant who is not disabled."""
    here = TenantMembership.tenant_id == tenant_id, TenantMembership.user_id == user_id
    able = TenantMembership.role == TenantRole.ADMIN, TenantMembership.disabled_at.is_(None)
    return bool(db.session.scalar(select(exists().where(*here, *able))))


def require_member(tenant_id: UUID, user_id: UUID) -> None:
    """Raises ``NotFound`` for somebody who does not belong to the entered tenant."""
    if not is_in_tenant(tenant_id, user_id):
        raise NotFound(_("There is no such person in this tenant."))


def count_people(tenant_id: UUID) -> int:
    """How many people the tenant has."""
    mine = select(func.count()).select_from(TenantMembership).where(TenantMembership.tenant_id == tenant_id)
    return db.session.scalar(mine) or 0


def owner_names(tenant_id: UUID, workspaces: Iterable[UUID]) -> dict[UUID, str]:
    """The names of the owners of these workspaces of the entered tenant."""
    name, membership = User.shown_name, WorkspaceMembership
    owners = (
        select(membership.workspace_id, func.array_agg(aggregate_order_by(name, name)))
        .join(User, User.id == membership.user_id)
        .where(membership.tenant_id == tenant_id, membership.workspace_id.in_(workspaces))
        .where(membership.role == WorkspaceRole.OWNER)
        .group_by(membership.workspace_id)
    )
    return {row[0]: ", ".join(row[1]) for row in db.session.execute(owners)}


def owners_of(workspace_id: UUID) -> list[Addressee]:
    """Whom mail about a workspace of the entered tenant goes to: its owners who can sign in."""
    membership = WorkspaceMembership
    return _addressees(
        select(User.name, User.email, User.language)
        .join(membership, membership.user_id == User.id)
        .join(
            TenantMembership,
            and_(TenantMembership.tenant_id == membership.tenant_id, TenantMembership.user_id == User.id),
        )
        .where(
            membership.workspace_id == workspace_id,
            membership.role == WorkspaceRole.OWNER,
            TenantMembership.disabled_at.is_(None),
        )
    )


def admins_of(tenant_id: UUID) -> list[Addressee]:
    """Whom mail about the entered tenant goes to: its admins who can sign in."""
    membership = TenantMembership
    return _addressees(
        select(User.name, User.email, User.language)
        .join(membership, membership.user_id == User.id)
        .where(
            membership.tenant_id == tenant_id,
            membership.role == TenantRole.ADMIN,
            membership.disabled_at.is_(None),
        )
    )


def _addressees(people: Select[str, str, str | None]) -> list[Addressee]:
    return [Addressee(*row) for row in db.session.execute(people.where(User.active).order_by(User.email))]
