"""Jobs of events: each is the verb it rings."""

from __future__ import annotations

from uuid import UUID

from portal.mail import service as mail


def send_letter(_tenant_id: str, _workspace_id: str, letter_id: str) -> None:
    """Hand one letter to the mail server."""
    mail.send(UUID(letter_id))
