"""Jobs of moves."""

from __future__ import annotations

from uuid import UUID

from portal.migration import worker


def move(tenant_id: str, workspace_id: str, move_id: str) -> None:
    """Work on a move for a minute."""
    worker.run(UUID(tenant_id), UUID(workspace_id), UUID(move_id))
