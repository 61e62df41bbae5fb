"""Jobs of people."""

from __future__ import annotations

from uuid import UUID

from portal.people import invitations


def send_invitation(tenant_id: str, workspace_id: str, invitation_id: str) -> None:
    """Send the e-mail of one invitation."""
    invitations.send(UUID(tenant_id), UUID(workspace_id), UUID(invitation_id))
