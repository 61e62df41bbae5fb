"""Who belongs to a tenant and to its workspaces, and as what. Commands run inside the caller's transaction.

Every change of a membership locks its tenant first (``_lock``): two administrators who remove each other, or two owners
who leave, do so one after the other, and the second one is refused. Three rules hold at any time: a tenant has an
administrator who is not disabled, a workspace has an owner, and a member of a workspace is a member of its tenant.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import exists, func, select
from sqlalchemy.orm import aliased

from portal import audit
from portal.database import db, new_id, now
from portal.errors import Conflict, NotFound
from portal.tenancy import people
from portal.tenancy.models import Tenant, TenantMembership, TenantRole, Workspace, WorkspaceMembership, WorkspaceRole
from portal.tenancy.service import insert_once


def add_to_tenant(tenant_id: UUID, user_id: UUID, role: TenantRole, actor_id: UUID | None) -> None:
    """Make a person a member of the tenant. Raises ``Conflict`` when they are one."""
    values = {"id": new_id(), "tenant_id": tenant_id, "user_id": user_id, "role": role}
    insert_once(TenantMembership, values, _("This person is already a member of the tenant."))
    audit.record(tenant_id, actor_id, "tenant.member_added", user_id, role=role)


def set_tenant_role(tenant_id: UUID, user_id: UUID, role: TenantRole, actor_id: UUID | None) -> None:
    """Raises ``NotFound`` for who is no member, ``Conflict`` for the role that they have and for the last admin."""
    _lock(tenant_id)
    membership = _in_tenant(tenant_id, user_id)
    if membership.role == role:
        raise Conflict(_("This person has this role already."))
    _keep_an_admin(tenant_id, membership)
    before, membership.role = membership.role, role
    audit.record(tenant_id, actor_id, "tenant.member_set", user_id, role=role, before=before)


def set_disabled(tenant_id: UUID, user_id: UUID, disabled: bool, actor_id: UUID | None) -> None:
    """Let a person do nothing in this tenant from their next request on, or let them again.

    Their account, their roles and other tenants stay as they are. Raises ``NotFound``, and ``Conflict`` for oneself,
    for the last admin and where nothing would change.
    """
    _lock(tenant_id)
    membership = _in_tenant(tenant_id, user_id)
    if user_id == actor_id:
        raise Conflict(_("You can't disable yourself: another administrator can."))
    if disabled == (membership.disabled_at is not None):
        raise Conflict(_("This person is disabled already.") if disabled else _("This person is not disabled."))
    if disabled:
        _keep_an_admin(tenant_id, membership)
    membership.disabled_at, membership.disabled_by = (now(), actor_id) if disabled else (None, None)
    audit.record(tenant_id, actor_id, "tenant.member_disabled" if disabled else "tenant.member_enabled", user_id)


def remove_from_tenant(tenant_id: UUID, user_id: UUID, actor_id: UUID | None) -> list[UUID]:
    """End every membership of a person in the tenant; gives the workspaces that they were in. Their files stay.

    Raises ``NotFound``, and ``Conflict`` for the last admin and for the only owner of a workspace, which it names.
    """
    _lock(tenant_id)
    membership = _in_tenant(tenant_id, user_id)
    _keep_an_admin(tenant_id, membership)
    if names := _owned_alone(tenant_id, user_id):
        raise Conflict(
            _(
                "This person is the only owner of %(workspaces)s. Make somebody else an owner there first.",
                workspaces=", ".join(names),
            )
        )
    mine = WorkspaceMembership.tenant_id == tenant_id, WorkspaceMembership.user_id == user_id
    workspaces = list(db.session.scalars(select(WorkspaceMembership.workspace_id).where(*mine)))
    db.session.delete(membership)  # those in the workspaces go with it (ON DELETE CASCADE)
    audit.record(tenant_id, actor_id, "tenant.member_removed", user_id, workspaces=len(workspaces))
    return workspaces


def set_workspace_role(
    tenant_id: UUID, workspace_id: UUID, user_id: UUID, role: WorkspaceRole, actor_id: UUID | None
) -> WorkspaceRole | None:
    """Make a person a member of the workspace, or change their role; gives the role before.

    Raises ``Conflict`` for somebody outside the tenant, for the role they have, and for the last owner.
    """
    _lock(tenant_id)
    if not people.is_in_tenant(tenant_id, user_id):
        raise Conflict(_("This person is not a member of the tenant. Invite them, or let an administrator add them."))
    membership = db.session.scalar(_membership(workspace_id, user_id))
    before = membership.role if membership else None
    if before == role:
        raise Conflict(_("This person has this role already."))
    if membership is None:
        db.session.add(WorkspaceMembership(tenant_id=tenant_id, workspace_id=workspace_id, user_id=user_id, role=role))
    else:
        _keep_an_owner(workspace_id, membership)
        membership.role = role
    facts = {"role": role, "before": before}
    audit.record(tenant_id, actor_id, "workspace.member_set", user_id, workspace_id=workspace_id, **facts)
    return before


def remove_from_workspace(tenant_id: UUID, workspace_id: UUID, user_id: UUID, actor_id: UUID | None) -> None:
    """End a membership; what the person uploaded stays. Raises ``NotFound``, and ``Conflict`` for the last owner."""
    _lock(tenant_id)
    membership = db.session.scalar(_membership(workspace_id, user_id))
    if membership is None:
        raise NotFound(_("There is no such person in this workspace."))
    _keep_an_owner(workspace_id, membership)
    facts = {"role": membership.role}
    db.session.delete(membership)
    audit.record(tenant_id, actor_id, "workspace.member_removed", user_id, workspace_id=workspace_id, **facts)


def _lock(tenant_id: UUID) -> None:
    """Have changes of this tenant's memberships wait for this transaction. Inserts that name the tenant do not wait."""
    db.session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(key_share=True))


def _in_tenant(tenant_id: UUID, user_id: UUID) -> TenantMembership:
    here = TenantMembership.tenant_id == tenant_id, TenantMembership.user_id == user_id
    membership = db.session.scalar(select(TenantMembership).where(*here).execution_options(populate_existing=True))
    if membership is None:
        raise NotFound(_("There is no such person in this tenant."))
    return membership


def _membership(workspace_id: UUID, user_id: UUID) -> Any:
    here = WorkspaceMembership.workspace_id == workspace_id, WorkspaceMembership.user_id == user_id
    return select(WorkspaceMembership).where(*here).execution_options(populate_existing=True)


def _keep_an_admin(tenant_id: UUID, leaving: TenantMembership) -> None:
    if leaving.role != TenantRole.ADMIN or leaving.disabled_at is not None:
        return
    others = (
        TenantMembership.tenant_id == tenant_id,
        TenantMembership.role == TenantRole.ADMIN,
        TenantMembership.disabled_at.is_(None),
        TenantMembership.id != leaving.id,
    )
    if not db.session.scalar(select(exists().where(*others))):
        raise Conflict(_("This person is the only administrator. Make somebody else an administrator first."))


def _keep_an_owner(workspace_id: UUID, leaving: WorkspaceMembership) -> None:
    others = (
        WorkspaceMembership.workspace_id == workspace_id,
        WorkspaceMembership.role == WorkspaceRole.OWNER,
        WorkspaceMembership.id != leaving.id,
    )
    if leaving.role == WorkspaceRole.OWNER and not db.session.scalar(select(exists().where(*others))):
        raise Conflict(_("This person is the only owner. Make somebody else an owner first."))


def _owned_alone(tenant_id: UUID, user_id: UUID) -> list[str]:
    """The names of the workspaces that have no other owner."""
    mine, other = WorkspaceMembership, aliased(WorkspaceMembership)
    shared = exists().where(
        other.workspace_id == mine.workspace_id, other.role == WorkspaceRole.OWNER, other.user_id != user_id
    )
    alone = (
        select(Workspace.name)
        .join(mine, mine.workspace_id == Workspace.id)
        .where(mine.tenant_id == tenant_id, mine.user_id == user_id, mine.role == WorkspaceRole.OWNER, ~shared)
        .order_by(func.lower(Workspace.name))
    )
    return list(db.session.scalars(alone))
