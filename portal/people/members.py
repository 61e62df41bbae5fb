"""What owners do with the members of a workspace, and administrators with the people of a tenant.

Each takes effect with the person's next request, API tokens included: every request reads the memberships. Uploads that
are under way in what a person loses are cancelled, and the space that they reserved is free at once. Files stay.
"""

from __future__ import annotations

from uuid import UUID

from flask_babel import gettext as _

from portal.database import transaction
from portal.errors import Invalid, NotFound
from portal.events import service as events
from portal.events.models import EventType
from portal.tenancy import memberships, people
from portal.tenancy.models import TenantRole, WorkspaceRole
from portal.uploads import cancel


def set_role(tenant_id: UUID, workspace_id: UUID, user_id: UUID, role: WorkspaceRole, actor_id: UUID | None) -> None:
    """Give a member of a workspace another role.

    Raises ``NotFound`` for who is no member, ``Conflict`` for the role that they have and for the only owner.
    """
    with transaction(tenant_id):
        if people.workspace_role(workspace_id, user_id) is None:
            raise NotFound(_("There is no such person in this workspace."))
        memberships.set_workspace_role(tenant_id, workspace_id, user_id, role, actor_id)
    if role is WorkspaceRole.VIEWER:
        cancel.end_all_of(tenant_id, user_id, actor_id, workspace_id=workspace_id)


def remove(tenant_id: UUID, workspace_id: UUID, user_id: UUID, actor_id: UUID | None) -> None:
    """End a membership of a workspace; also one's own.

    Raises ``NotFound``, and ``Conflict`` for the only owner.
    """
    with transaction(tenant_id):
        memberships.remove_from_workspace(tenant_id, workspace_id, user_id, actor_id)
        events.record(EventType.MEMBER_REMOVED, tenant_id, workspace_id, user_id=str(user_id))
    cancel.end_all_of(tenant_id, user_id, actor_id, workspace_id=workspace_id)


def change_person(
    tenant_id: UUID,
    user_id: UUID,
    actor_id: UUID | None,
    *,
    role: TenantRole | None = None,
    disabled: bool | None = None,
) -> None:
    """Change what somebody is in the tenant; None leaves it as it is.

    Raises ``NotFound``, ``Conflict`` for the last administrator, for oneself and where nothing would change,
    ``Invalid`` where nothing is to be changed.
    """
    if role is None and disabled is None:
        raise Invalid(_("Say what is to be changed: role, disabled or both."), field="body")
    with transaction(tenant_id):
        if role is not None:
            memberships.set_tenant_role(tenant_id, user_id, role, actor_id)
        if disabled is not None:
            memberships.set_disabled(tenant_id, user_id, disabled, actor_id)
    if disabled:
        cancel.end_all_of(tenant_id, user_id, actor_id)


def remove_person(tenant_id: UUID, user_id: UUID, actor_id: UUID | None) -> None:
    """End every membership of a person in the tenant. Their account, and what they uploaded, stay.

    Raises ``NotFound``, and ``Conflict`` for the last administrator and for the only owner of a workspace.
    """
    with transaction(tenant_id):
        for workspace_id in memberships.remove_from_tenant(tenant_id, user_id, actor_id):
            events.record(EventType.MEMBER_REMOVED, tenant_id, workspace_id, user_id=str(user_id))
    cancel.end_all_of(tenant_id, user_id, actor_id)
