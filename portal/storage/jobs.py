"""Jobs of storage."""

from __future__ import annotations

from uuid import UUID

from portal.storage import probe_runs


def probe(tenant_id: str, workspace_id: str, profile_id: str) -> None:
    """Test a profile's store."""
    probe_runs.run(UUID(tenant_id), UUID(workspace_id), UUID(profile_id))
