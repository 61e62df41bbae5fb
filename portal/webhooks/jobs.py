"""Jobs of webhooks: each is the verb it rings."""

from __future__ import annotations

from uuid import UUID

from portal.webhooks import delivery, dispatch


def deliver(tenant_id: str, _workspace_id: str, endpoint_id: str) -> None:
    """Take what is due to one endpoint."""
    delivery.run(UUID(tenant_id), UUID(endpoint_id))


def tell(*_nobody: str) -> None:
    """Make deliveries of what has just happened."""
    dispatch.tell()
