"""Jobs of webhooks."""

from __future__ import annotations

from uuid import UUID

from portal.webhooks import delivery


def deliver(tenant_id: str, _workspace_id: str, endpoint_id: str) -> None:
    """Take what is due to one endpoint."""
    delivery.run(UUID(tenant_id), UUID(endpoint_id))
