"""The marker ``.stowage/owner.json`` under a profile's prefix: who keeps files there. Pure; the probe writes it.

With it two workspaces, tenants or installations never share one place, and a bucket that somebody else created again
under the same name is noticed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from uuid import UUID

KEY = ".stowage/owner.json"
MAX_SIZE = 4096  # bytes


class MarkedBy(StrEnum):
    """Whose marker was found, seen from one owner."""

    US = "us"
    WORKSPACE = "workspace"  # another workspace of the same tenant
    TENANT = "tenant"
    INSTALLATION = "installation"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Owner:
    """Who keeps files under a prefix."""

    installation: UUID
    tenant_id: UUID
    workspace_id: UUID
    profile_id: UUID

    def as_bytes(self) -> bytes:
        """The marker's content."""
        about = "Stowage keeps files under this prefix. While it does, nothing else may."
        ids = {name: str(value) for name, value in asdict(self).items()}
        return json.dumps({"about": about, "version": 1, **ids}, indent=1).encode()

    def compare(self, content: bytes) -> MarkedBy:
        """Whose marker this is. One of another profile of the same workspace is ours, too."""
        try:
            found = json.loads(content[:MAX_SIZE])
            ids = {name: UUID(found[name]) for name in ("installation", "tenant_id", "workspace_id")}
        except (ValueError, KeyError, TypeError, AttributeError):
            return MarkedBy.UNREADABLE
        if ids["installation"] != self.installation:
            return MarkedBy.INSTALLATION
        if ids["tenant_id"] != self.tenant_id:
            return MarkedBy.TENANT
        return MarkedBy.US if ids["workspace_id"] == self.workspace_id else MarkedBy.WORKSPACE
