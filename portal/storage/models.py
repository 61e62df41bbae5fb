"""Tables of storage: where a workspace's bytes go, and what the deployment's own store was found to do."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Identified, choice
from portal.tenancy.models import in_workspace


class ProfileMode(StrEnum):
    """``managed_r2`` is the deployment's own store, whichever that is."""

    MANAGED = "managed_r2"
    BYOS = "byos_s3"


class StorageProfile(Identified, Base):
    """One place for bytes; exactly one of a workspace's profiles is active, every object remembers its own.

    A managed profile takes bucket and credentials from the deployment's settings.
    """

    __tablename__ = "storage_profiles"
    __table_args__ = (
        in_workspace(),
        UniqueConstraint("workspace_id", "id"),
        Index("uq_storage_profiles_active", "workspace_id", unique=True, postgresql_where=text("active")),
    )

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    mode: Mapped[ProfileMode] = mapped_column(choice(ProfileMode, "mode"))
    active: Mapped[bool]


class ManagedStore(Base):
    """What was seen of the deployment's own store: global, one row a (endpoint, bucket)."""

    __tablename__ = "managed_stores"

    endpoint: Mapped[str] = mapped_column(String(500), primary_key=True)
    bucket: Mapped[str] = mapped_column(String(63), primary_key=True)
    capabilities: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    probed_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
