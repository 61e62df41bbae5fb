"""Who belongs to a tenant, and to which of its workspaces: for its admins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import Select, func, select, tuple_
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
    workspaces: list[Role] = field(default_factory=list)


_SHOWN_NAME = func.lower(func.coalesce(func.nullif(User.name, ""), User.email))


def list_people(tenant_id: UUID, paging: Paging) -> tuple[Sequence[PersonHere], str | None]:
    """One page of the people in the entered tenant, by name, and the cursor of the next; two statements."""
    membership = TenantMembership
    statement = (
        select(User.id, User.name, User.email, membership.role, User.active, _SHOWN_NAME.label("place"))
        .join(User, User.id == membership.user_id)
        .where(membership.tenant_id == tenant_id)
        .order_by(_SHOWN_NAME, User.id)
        .limit(paging.limit + 1)
    )
    if (after := paging.after_name()) is not None:
        statement = statement.where(tuple_(_SHOWN_NAME, User.id) > after)
    rows, cursor = cut(db.session.execute(statement).all(), paging, key=lambda row: (row.place, row.id))
    people = {row.id: PersonHere(*row[:-1]) for row in rows}
    roles = (
        select(WorkspaceMembership.user_id, Workspace.id, Workspace.name, WorkspaceMembership.role)
        .join(Workspace, Workspace.id == WorkspaceMembership.workspace_id)
        .where(WorkspaceMembership.tenant_id == tenant_id, WorkspaceMembership.user_id.in_(people))
        .order_by(func.lower(Workspace.name), Workspace.id)
    )
    for user_id, workspace_id, name, role in db.session.execute(roles):
        people[user_id].workspaces.append(Role(workspace_id, name, role))
    return list(people.values()), cursor


def require_member(tenant_id: UUID, user_id: UUID) -> None:
    """Raises ``NotFound`` for somebody who does not belong to the entered tenant."""
    here = TenantMembership.tenant_id == tenant_id, TenantMembership.user_id == user_id
    if db.session.scalar(select(TenantMembership.id).where(*here)) is None:
        raise NotFound(_("There is no such person in this tenant."))


def count_people(tenant_id: UUID) -> int:
    """How many people the tenant has."""
    mine = select(func.count()).select_from(TenantMembership).where(TenantMembership.tenant_id == tenant_id)
    return db.session.scalar(mine) or 0


def owner_names(tenant_id: UUID, workspaces: Iterable[UUID]) -> dict[UUID, str]:
    """The names of the owners of these workspaces of the entered tenant."""
    name, membership = func.coalesce(func.nullif(User.name, ""), User.email), WorkspaceMembership
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
        .where(membership.workspace_id == workspace_id, membership.role == WorkspaceRole.OWNER)
    )


def admins_of(tenant_id: UUID) -> list[Addressee]:
    """Whom mail about the entered tenant goes to: its admins who can sign in."""
    membership = TenantMembership
    return _addressees(
        select(User.name, User.email, User.language)
        .join(membership, membership.user_id == User.id)
        .where(membership.tenant_id == tenant_id, membership.role == TenantRole.ADMIN)
    )


def _addressees(people: Select[str, str, str | None]) -> list[Addressee]:
    return [Addressee(*row) for row in db.session.execute(people.where(User.active).order_by(User.email))]
