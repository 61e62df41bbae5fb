"""What a person may do: one enum, one map."""

from __future__ import annotations

from enum import StrEnum

from portal.errors import Forbidden
from portal.tenancy.models import TenantRole, WorkspaceRole


class Permission(StrEnum):
    """One thing that a view asks for."""

    VIEW = "view"  # see, search and download files
    UPLOAD = "upload"
    EDIT = "edit"  # name, move, put into the trash, restore
    PURGE = "purge"  # delete for good, empty the trash
    SEE_QUOTA = "see_quota"
    MANAGE_WORKSPACE = "manage_workspace"  # members and settings of the workspace
    MANAGE_STORAGE = "manage_storage"  # where its files lie, and the keys to that

    TENANT_OVERVIEW = "tenant_overview"
    SET_QUOTA = "set_quota"
    REVIEW_QUARANTINE = "review_quarantine"
    SET_SCAN_POLICY = "set_scan_policy"
    READ_AUDIT = "read_audit"
    MANAGE_WEBHOOKS = "manage_webhooks"  # who outside is told what happens


_VIEWER = frozenset({Permission.VIEW, Permission.SEE_QUOTA})
_EDITOR = _VIEWER | {Permission.UPLOAD, Permission.EDIT, Permission.PURGE}
_OWNER = _EDITOR | {Permission.MANAGE_WORKSPACE, Permission.MANAGE_STORAGE}

OF_WORKSPACE_ROLE: dict[WorkspaceRole, frozenset[Permission]] = {
    WorkspaceRole.VIEWER: _VIEWER,
    WorkspaceRole.EDITOR: _EDITOR,
    WorkspaceRole.OWNER: _OWNER,
}
OF_TENANT_ROLE: dict[TenantRole, frozenset[Permission]] = {
    TenantRole.MEMBER: frozenset(),
    TenantRole.ADMIN: frozenset(
        {
            Permission.SEE_QUOTA,
            Permission.SET_QUOTA,
            Permission.TENANT_OVERVIEW,
            Permission.REVIEW_QUARANTINE,
            Permission.SET_SCAN_POLICY,
            Permission.READ_AUDIT,
            Permission.MANAGE_WEBHOOKS,
        }
    ),
}

# What is left of them in a tenant that may only be read.
READING = frozenset(
    {
        Permission.VIEW,
        Permission.SEE_QUOTA,
        Permission.TENANT_OVERVIEW,
        Permission.REVIEW_QUARANTINE,
        Permission.READ_AUDIT,
    }
)


def permissions_of(tenant_role: TenantRole | None, workspace_role: WorkspaceRole | None) -> frozenset[Permission]:
    """What both roles allow together."""
    in_tenant = OF_TENANT_ROLE[tenant_role] if tenant_role else frozenset()
    return in_tenant | OF_WORKSPACE_ROLE[workspace_role] if workspace_role else in_tenant


_NOT_ALLOWED = "You are a member here, but your role does not allow this. Ask an owner or an administrator."
_WORDS = {
    Permission.UPLOAD: "Viewers may look and download, not upload. Ask an owner to make you an editor.",
    Permission.EDIT: "Viewers may look and download, not change. Ask an owner to make you an editor.",
    Permission.PURGE: "Viewers may not delete. Ask an owner to make you an editor.",
    Permission.MANAGE_STORAGE: "Only an owner of the workspace may see and change where its files lie.",
    Permission.SET_QUOTA: "Only an administrator of the tenant may set limits.",
    Permission.REVIEW_QUARANTINE: "Only an administrator of the tenant may see what is held.",
    Permission.SET_SCAN_POLICY: "Only an administrator of the tenant may change its rules.",
    Permission.MANAGE_WEBHOOKS: "Only an administrator of the tenant may see and change its webhooks.",
    Permission.TENANT_OVERVIEW: "Only an administrator of the tenant may see this.",
}


def forbidden(permission: Permission) -> Forbidden:
    """The refusal for a member without this permission."""
    return Forbidden(_WORDS.get(permission, _NOT_ALLOWED))
