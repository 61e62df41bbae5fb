"""Tables of usage: measurements and daily snapshots."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, choice
from portal.tenancy.models import in_workspace


class WorkspaceUsage(Base):
    """What was measured of a workspace ``as_of`` (null: not yet), which took ``duration_ms``, and where it is going.

    ``folders``, ``largest`` and ``duplicates`` are the first few by size. ``growth_bytes`` is a day's, null while there
    are too few days; ``change_bytes`` since 30 days ago, or since the first snapshot.
    """

    __tablename__ = "workspace_usage"
    __table_args__ = (in_workspace(),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    as_of: Mapped[datetime | None]
    duration_ms: Mapped[int] = mapped_column(default=0)
    folders: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list)
    largest: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list)
    duplicates: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list)
    duplicate_files: Mapped[int] = mapped_column(BigInteger, default=0)
    duplicate_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    downloads: Mapped[int] = mapped_column(BigInteger, default=0)
    download_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    change_bytes: Mapped[int | None] = mapped_column(BigInteger)
    growth_bytes: Mapped[int | None] = mapped_column(BigInteger)
    full_on: Mapped[date | None]


class Part(StrEnum):
    """What an object is for."""

    ORIGINAL = "original"
    TRASH = "trash"
    QUARANTINE = "quarantine"
    DERIVED = "derived"
    STAGING = "staging"
    TMP = "tmp"


class UsagePart(Base):
    """Bytes and objects of one part, kind, profile and storage class, as of ``WorkspaceUsage.as_of``."""

    __tablename__ = "usage_parts"
    __table_args__ = (in_workspace(), Index("ix_usage_parts_tenant_id", "tenant_id"))

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    part: Mapped[Part] = mapped_column(choice(Part, "part"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    profile_id: Mapped[UUID] = mapped_column(primary_key=True)
    storage_class: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[UUID]
    bytes: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[int] = mapped_column(BigInteger)


class UsagePerson(Base):
    """What somebody's uploads hold in a workspace, as of ``WorkspaceUsage.as_of``: what the quota counts."""

    __tablename__ = "usage_people"
    __table_args__ = (in_workspace(), Index("ix_usage_people_tenant_id_user_id", "tenant_id", "user_id"))

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    bytes: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[int] = mapped_column(BigInteger)


class UsageSnapshot(Base):
    """A workspace at the end of a UTC day (today's row: at the last look)."""

    __tablename__ = "usage_snapshots"
    __table_args__ = (in_workspace(), Index("ix_usage_snapshots_tenant_id_day", "tenant_id", "day"))

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    used_bytes: Mapped[int] = mapped_column(BigInteger)
    used_files: Mapped[int] = mapped_column(BigInteger)


class TenantSnapshot(Base):
    """A tenant at the end of a UTC day, with the limit that held then, and where it was going."""

    __tablename__ = "tenant_snapshots"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    used_bytes: Mapped[int] = mapped_column(BigInteger)
    used_files: Mapped[int] = mapped_column(BigInteger)
    limit_bytes: Mapped[int | None] = mapped_column(BigInteger)
    growth_bytes: Mapped[int | None] = mapped_column(BigInteger)
    full_on: Mapped[date | None]
