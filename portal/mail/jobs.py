"""Jobs of e-mail."""

from __future__ import annotations

from uuid import UUID

from portal.mail import service as mail


def send_email(_tenant_id: str, _workspace_id: str, email_id: str) -> None:
    """Hand one e-mail to the mail server."""
    mail.send(UUID(email_id))
