"""The table of events."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, new_id, now


class EventType(StrEnum):
    """Types of events. The values are a contract with receivers of webhooks."""

    UPLOAD_COMMITTED = "upload.committed"
    ASSET_AVAILABLE = "asset.available"
    ASSET_QUARANTINED = "asset.quarantined"
    ASSET_FAILED = "asset.failed"
    ASSET_DELETED = "asset.deleted"
    ASSET_RESTORED = "asset.restored"
    ASSET_PURGED = "asset.purged"
    QUARANTINE_DECIDED = "quarantine.decided"
    QUOTA_WARNING = "quota.warning"
    QUOTA_MISCOUNTED = "quota.miscounted"
    STORAGE_UNHEALTHY = "storage.unhealthy"
    STORAGE_RECOVERED = "storage.recovered"
    MEMBER_INVITED = "member.invited"
    MEMBER_JOINED = "member.joined"
    MEMBER_REMOVED = "member.removed"


class Event(Base):
    """Something that happened in a tenant. The application may add, never change; a periodic task removes old ones."""

    __tablename__ = "events"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "workspace_id"], ["workspaces.tenant_id", "workspaces.id"]),
        Index("ix_events_tenant_id_id", "tenant_id", "id"),
        Index("ix_events_time", "time"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    time: Mapped[datetime] = mapped_column(default=now)
    type: Mapped[str] = mapped_column(String(60))
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    workspace_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
