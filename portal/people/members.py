"""What owners do with the members of a workspace, and administrators with the people of a tenant.

Each takes effect with the person's next request, API tokens included: every request reads the memberships. Uploads that
are under way in what a person loses are cancelled, and the space that they reserved is free at once. Files stay.
"""

from __future__ import annotations

from uuid import UUID

from flask_babel import gettext as _

from portal.database import db, transaction
from portal.errors import Invalid, NotFound
from portal.events import service as events
from portal.events.models import EventType
from portal.tenancy import memberships
from portal.tenancy.models import TenantRole, Workspace, WorkspaceRole
from portal.tenancy.service import Member
from portal.uploads import cancel


def set_role(member: Member, user_id: UUID, role: WorkspaceRole) -> None:
    """Give a member of the workspace another role.

    Raises ``NotFound`` for who is no member, ``Conflict`` for the role that they have and for the only owner.
    """
    with transaction(member.tenant_id):
        if memberships.workspace_role(member.workspace, user_id) is None:
            raise NotFound(_("There is no such person in this workspace."))
        memberships.set_workspace_role(_workspace(member), user_id, role, member.user_id)
    if role is WorkspaceRole.VIEWER:
        cancel.end_all_of(member.tenant_id, user_id, member.user_id, workspace_id=member.workspace)


def remove(member: Member, user_id: UUID) -> None:
    """End a membership of the workspace; also one's own. Raises ``NotFound``, and ``Conflict`` for the only owner."""
    with transaction(member.tenant_id):
        memberships.remove_from_workspace(_workspace(member), user_id, member.user_id)
        events.record(EventType.MEMBER_REMOVED, member.tenant_id, member.workspace, user_id=str(user_id))
    cancel.end_all_of(member.tenant_id, user_id, member.user_id, workspace_id=member.workspace)


def change_person(
    member: Member, user_id: UUID, *, role: TenantRole | None = None, disabled: bool | None = None
) -> None:
    """Change what somebody is in the tenant; None leaves it as it is.

    Raises ``NotFound``, ``Conflict`` for the last administrator, for oneself and where nothing would change,
    ``Invalid`` where nothing is to be changed.
    """
    if role is None and disabled is None:
        raise Invalid(_("Say what is to be changed: role, disabled or both."), field="body")
    with transaction(member.tenant_id):
        if role is not None:
            memberships.set_tenant_role(member.tenant_id, user_id, role, member.user_id)
        if disabled is not None:
            memberships.set_disabled(member.tenant_id, user_id, disabled, member.user_id)
    if disabled:
        cancel.end_all_of(member.tenant_id, user_id, member.user_id)


def remove_person(member: Member, user_id: UUID) -> None:
    """End every membership of a person in the tenant. Their account, and what they uploaded, stay.

    Raises ``NotFound``, and ``Conflict`` for the last administrator and for the only owner of a workspace.
    """
    with transaction(member.tenant_id):
        for workspace_id in memberships.remove_from_tenant(member.tenant_id, user_id, member.user_id):
            events.record(EventType.MEMBER_REMOVED, member.tenant_id, workspace_id, user_id=str(user_id))
    cancel.end_all_of(member.tenant_id, user_id, member.user_id)


def _workspace(member: Member) -> Workspace:
    return db.session.get_one(Workspace, member.workspace)
