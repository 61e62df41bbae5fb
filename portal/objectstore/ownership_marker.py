"""The marker ``.stowage/owner.json`` under a profile's prefix: who keeps files here. Pure; the probe reads and writes.

It says whose place this is, so that two workspaces, tenants or installations never share one, and so that a bucket
that somebody else made again under the same name is noticed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from uuid import UUID

KEY = ".stowage/owner.json"
LARGEST = 4096  # bytes


class Claim(StrEnum):
    """What a marker means to one owner."""

    OURS = "ours"
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

    def claim(self, content: bytes) -> Claim:
        """What a marker that was found says to this owner. Another profile of the same workspace is no stranger."""
        try:
            found = json.loads(content[:LARGEST])
            theirs = {name: UUID(found[name]) for name in ("installation", "tenant_id", "workspace_id")}
        except (ValueError, KeyError, TypeError, AttributeError):
            return Claim.UNREADABLE
        if theirs["installation"] != self.installation:
            return Claim.INSTALLATION
        if theirs["tenant_id"] != self.tenant_id:
            return Claim.TENANT
        return Claim.OURS if theirs["workspace_id"] == self.workspace_id else Claim.WORKSPACE
