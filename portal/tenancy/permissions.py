"""What a person may do: one enum, one map."""

from __future__ import annotations

from enum import StrEnum

from flask_babel import lazy_gettext as _l

from portal.errors import Forbidden
from portal.identity.scopes import Scope, allows, scope_for
from portal.tenancy.models import TenantRole, WorkspaceRole


class Permission(StrEnum):
    """One thing that a view asks for."""

    VIEW = "view"  # see, search and download files
    UPLOAD = "upload"
    EDIT = "edit"  # name, move, put into the trash, restore
    PURGE = "purge"  # delete for good, empty the trash
    SEE_QUOTA = "see_quota"
    MANAGE_WORKSPACE = "manage_workspace"  # what concerns all files of the workspace
    CONFIGURE_WORKSPACE = "configure_workspace"  # its name and settings
    MANAGE_MEMBERS = "manage_members"  # who belongs to the workspace, and as what
    MANAGE_STORAGE = "manage_storage"  # where its files lie, and the keys to that

    TENANT_OVERVIEW = "tenant_overview"
    SET_QUOTA = "set_quota"
    REVIEW_QUARANTINE = "review_quarantine"
    SET_SCAN_POLICY = "set_scan_policy"
    READ_AUDIT = "read_audit"
    CREATE_WORKSPACE = "create_workspace"
    MANAGE_PEOPLE = "manage_people"  # who belongs to the tenant, and as what
    MANAGE_WEBHOOKS = "manage_webhooks"  # which URLs outside get events


_VIEWER = frozenset({Permission.VIEW, Permission.SEE_QUOTA})
_EDITOR = _VIEWER | {Permission.UPLOAD, Permission.EDIT, Permission.PURGE}
_OWNER = _EDITOR | {
    Permission.MANAGE_WORKSPACE,
    Permission.CONFIGURE_WORKSPACE,
    Permission.MANAGE_MEMBERS,
    Permission.MANAGE_STORAGE,
}

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
            Permission.CREATE_WORKSPACE,
            Permission.CONFIGURE_WORKSPACE,
            Permission.MANAGE_PEOPLE,
            Permission.MANAGE_MEMBERS,
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


def scopes_for(permission: Permission, method: str) -> tuple[Scope, ...]:
    """The scopes of which an API token needs one, for a request with this HTTP method that asks for this permission.

    Looking at uploads is a part of uploading, and reading, too.
    """
    usual = scope_for(method)
    if permission is not Permission.UPLOAD:
        return (usual,)
    return (Scope.UPLOAD, Scope.READ) if usual is Scope.READ else (Scope.UPLOAD,)


def within_scopes(
    permissions: frozenset[Permission], scopes: frozenset[Scope] | None, method: str
) -> frozenset[Permission]:
    """What is left of a person's permissions for a token with these scopes in a request with this method."""
    return frozenset(each for each in permissions if allows(scopes, *scopes_for(each, method)))


_NOT_ALLOWED = _l("You are a member here, but your role does not allow this. Ask an owner or an administrator.")
_REASONS = {
    Permission.UPLOAD: _l("Viewers can view and download files, but not upload. Ask an owner to make you an editor."),
    Permission.EDIT: _l(
        "Viewers can view and download files, but not change them. Ask an owner to make you an editor."
    ),
    Permission.PURGE: _l("Viewers can't delete files. Ask an owner to make you an editor."),
    Permission.MANAGE_STORAGE: _l("Only an owner of the workspace can see and change where its files are stored."),
    Permission.CREATE_WORKSPACE: _l("Only an administrator of the tenant can create workspaces."),
    Permission.CONFIGURE_WORKSPACE: _l("Only an owner of the workspace or an administrator can change its settings."),
    Permission.MANAGE_MEMBERS: _l("Only an owner of the workspace or an administrator can see and change its members."),
    Permission.MANAGE_PEOPLE: _l("Only an administrator of the tenant can see and change its people."),
    Permission.SET_QUOTA: _l("Only an administrator of the tenant can set limits."),
    Permission.REVIEW_QUARANTINE: _l("Only an administrator of the tenant can see the quarantine."),
    Permission.SET_SCAN_POLICY: _l("Only an administrator of the tenant can change its rules."),
    Permission.MANAGE_WEBHOOKS: _l("Only an administrator of the tenant can see and change its webhooks."),
    Permission.TENANT_OVERVIEW: _l("Only an administrator of the tenant can see this."),
}


def forbidden(permission: Permission) -> Forbidden:
    """The refusal for a member without this permission."""
    return Forbidden(str(_REASONS.get(permission, _NOT_ALLOWED)))
