"""Jobs of uploads."""

from __future__ import annotations

from uuid import UUID

from portal.uploads import staging, verify


def take_in(tenant_id: str, workspace_id: str, asset_id: str) -> None:
    """Verify a committed upload's bytes."""
    verify.take_in(UUID(tenant_id), UUID(workspace_id), UUID(asset_id))


def clear_staging(tenant_id: str, workspace_id: str, upload_id: str) -> None:
    """Remove what an ended upload left in the bucket."""
    staging.clear(UUID(tenant_id), UUID(workspace_id), UUID(upload_id))
