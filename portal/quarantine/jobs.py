"""Jobs of the quarantine."""

from __future__ import annotations

from uuid import UUID

from portal.quarantine import worker


def rescan(tenant_id: str, workspace_id: str, asset_id: str) -> None:
    """Scan a quarantined file again, as an admin ordered."""
    worker.rescan(UUID(tenant_id), UUID(workspace_id), UUID(asset_id))


def release(tenant_id: str, workspace_id: str, asset_id: str) -> None:
    """Release a quarantined file, as an admin ordered."""
    worker.release(UUID(tenant_id), UUID(workspace_id), UUID(asset_id))
