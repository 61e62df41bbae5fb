"""Jobs of assets."""

from __future__ import annotations

from uuid import UUID

from portal.assets import preview_jobs, rescans
from portal.assets.purge import purge as purge_asset


def render_previews(tenant_id: str, workspace_id: str, asset_id: str) -> None:
    """Make the derived files of an available asset."""
    preview_jobs.render_previews(UUID(tenant_id), UUID(workspace_id), UUID(asset_id))


def rescan(tenant_id: str, workspace_id: str, asset_id: str) -> None:
    """Scan an asset that was taken in unscanned."""
    rescans.rescan(UUID(tenant_id), UUID(workspace_id), UUID(asset_id))


def scan_again(tenant_id: str, workspace_id: str, asset_id: str) -> None:
    """Scan a clean asset with newer signatures, while everything is scanned again."""
    rescans.scan_again(UUID(tenant_id), UUID(workspace_id), UUID(asset_id))


def purge(tenant_id: str, workspace_id: str, asset_id: str) -> None:
    """Remove a deleted or quarantined asset for good."""
    purge_asset(UUID(tenant_id), UUID(workspace_id), UUID(asset_id))
