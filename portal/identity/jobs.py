"""Jobs of identity."""

from __future__ import annotations

from uuid import UUID

from portal.identity import password_reset


def send_password_reset(_tenant_id: str, _workspace_id: str, user_id: str) -> None:
    """Send the link for a forgotten password."""
    password_reset.send(UUID(user_id))
