"""What people read for plans and roles, in their language."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from portal.tenancy.models import TenantRole, WorkspaceRole

WORKSPACE_ROLES = {
    WorkspaceRole.VIEWER: _l("Viewer"),
    WorkspaceRole.EDITOR: _l("Editor"),
    WorkspaceRole.OWNER: _l("Owner"),
}
TENANT_ROLES = {TenantRole.MEMBER: _l("Member"), TenantRole.ADMIN: _l("Administrator")}
_PLANS = {"free": _l("Free"), "basic": _l("Basic"), "pro": _l("Pro"), "enterprise": _l("Enterprise")}


def plan_name(code: str) -> str:
    """The name of a plan; the code itself for one that a later version has added."""
    return str(_PLANS.get(code, code))
