"""Who belongs to a tenant, and to which of its workspaces: for its admins."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Select, func, select

from portal.db import db
from portal.events.mail import Addressee
from portal.identity.models import User
from portal.tenancy.models import TenantMembership, TenantRole, Workspace, WorkspaceMembership, WorkspaceRole


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
    workspaces: list[Role] = field(default_factory=list)


def list_people(tenant_id: UUID) -> list[PersonHere]:
    """Everybody in the entered tenant, by name; two statements whatever their number."""
    membership = TenantMembership
    statement = (
        select(User.id, User.name, User.email, membership.role, User.active)
        .join(User, User.id == membership.user_id)
        .where(membership.tenant_id == tenant_id)
        .order_by(func.lower(func.coalesce(func.nullif(User.name, ""), User.email)), User.id)
    )
    people = {row.id: PersonHere(*row) for row in db.session.execute(statement)}
    roles = (
        select(WorkspaceMembership.user_id, Workspace.id, Workspace.name, WorkspaceMembership.role)
        .join(Workspace, Workspace.id == WorkspaceMembership.workspace_id)
        .where(WorkspaceMembership.tenant_id == tenant_id)
        .order_by(func.lower(Workspace.name), Workspace.id)
    )
    for user_id, workspace_id, name, role in db.session.execute(roles):
        people[user_id].workspaces.append(Role(workspace_id, name, role))
    return list(people.values())


def owners_of(workspace_id: UUID) -> list[Addressee]:
    """Whom mail about a workspace of the entered tenant goes to: its owners who can sign in."""
    membership = WorkspaceMembership
    return _addressees(
        select(User.name, User.email)
        .join(membership, membership.user_id == User.id)
        .where(membership.workspace_id == workspace_id, membership.role == WorkspaceRole.OWNER)
    )


def admins_of(tenant_id: UUID) -> list[Addressee]:
    """Whom mail about the entered tenant goes to: its admins who can sign in."""
    membership = TenantMembership
    return _addressees(
        select(User.name, User.email)
        .join(membership, membership.user_id == User.id)
        .where(membership.tenant_id == tenant_id, membership.role == TenantRole.ADMIN)
    )


def _addressees(people: Select[str, str]) -> list[Addressee]:
    return [Addressee(*row) for row in db.session.execute(people.where(User.active).order_by(User.email))]
