"""Jobs of the quarantine desk: each is the verb it rings."""

from __future__ import annotations

from uuid import UUID

from portal.quarantine import worker


def rescan_held(tenant_id: str, workspace_id: str, asset_id: str) -> None:
    """Scan a held file again, as an admin has ordered."""
    worker.rescan(UUID(tenant_id), UUID(workspace_id), UUID(asset_id))


def release_held(tenant_id: str, workspace_id: str, asset_id: str) -> None:
    """Let a held file go, as an admin has ordered."""
    worker.release(UUID(tenant_id), UUID(workspace_id), UUID(asset_id))
