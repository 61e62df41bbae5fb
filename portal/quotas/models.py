"""Tables of quotas: counters of workspaces and tenants, the ledger that explains them, what was measured, the desk."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Identified, choice
from portal.tenancy.models import in_workspace


class WorkspaceQuota(Base):
    """``limit_bytes`` null: no limit of its own inside the tenant's.

    ``warned_percent`` is the level of the last warning (0, 80, 90, 95), ``moved_at`` when counters last changed.
    """

    __tablename__ = "workspace_quotas"
    __table_args__ = (
        in_workspace(),
        CheckConstraint("used_bytes >= 0 AND reserved_bytes >= 0", name="counters"),
        CheckConstraint("limit_bytes >= 0", name="limit"),
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    limit_bytes: Mapped[int | None] = mapped_column(BigInteger)
    used_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    reserved_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    used_files: Mapped[int] = mapped_column(BigInteger, default=0)
    warned_percent: Mapped[int] = mapped_column(SmallInteger, default=0)
    moved_at: Mapped[datetime | None]
    limit_set_by: Mapped[UUID | None]
    limit_set_at: Mapped[datetime | None]


class TenantQuota(Base):
    """``limit_bytes`` is the plan's (null: unlimited); an override holds until its end."""

    __tablename__ = "tenant_quotas"
    __table_args__ = (CheckConstraint("used_bytes >= 0 AND reserved_bytes >= 0", name="counters"),)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    limit_bytes: Mapped[int | None] = mapped_column(BigInteger)
    override_bytes: Mapped[int | None] = mapped_column(BigInteger)
    override_until: Mapped[datetime | None]
    used_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    reserved_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    used_files: Mapped[int] = mapped_column(BigInteger, default=0)
    warned_percent: Mapped[int] = mapped_column(SmallInteger, default=0)


class Entry(StrEnum):
    """Why counters changed."""

    RESERVE = "reserve"
    SETTLE = "settle"
    RELEASE = "release"
    FREE = "free"


class LedgerEntry(Identified, Base):
    """One change of both counters. ``subject_id`` is the upload (reserve, settle, release) or the asset (free)."""

    __tablename__ = "quota_ledger"
    __table_args__ = (in_workspace(), Index("ix_quota_ledger_workspace_id_id", "workspace_id", "id"))

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    entry: Mapped[Entry] = mapped_column(choice(Entry, "entry"))
    subject_id: Mapped[UUID]
    used_delta: Mapped[int] = mapped_column(BigInteger)
    reserved_delta: Mapped[int] = mapped_column(BigInteger)


class LimitChange(Identified, Base):
    """What an admin changed at once, to be undone: ``lines`` of {workspace_id, before_bytes, after_bytes}."""

    __tablename__ = "quota_changes"
    __table_args__ = (Index("ix_quota_changes_tenant_id_id", "tenant_id", "id"),)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    actor_id: Mapped[UUID | None]
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    undone_at: Mapped[datetime | None]


class RequestState(StrEnum):
    """What became of a request."""

    OPEN = "open"
    GRANTED = "granted"
    DECLINED = "declined"


class SpaceRequest(Identified, Base):
    """A member asks for more space; a workspace has at most one open request."""

    __tablename__ = "quota_requests"
    TRANSITIONS: ClassVar[dict[RequestState, set[RequestState]]] = {
        RequestState.OPEN: {RequestState.GRANTED, RequestState.DECLINED},
        RequestState.GRANTED: set(),
        RequestState.DECLINED: set(),
    }
    __table_args__ = (
        in_workspace(),
        CheckConstraint("wanted_bytes > 0", name="wanted"),
        Index("uq_quota_requests_open", "workspace_id", unique=True, postgresql_where=text("state = 'open'")),
        Index("ix_quota_requests_tenant_id_id", "tenant_id", "id"),
    )

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    user_id: Mapped[UUID]
    wanted_bytes: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[RequestState] = mapped_column(choice(RequestState, "state"), default=RequestState.OPEN)
    answered_by: Mapped[UUID | None]
    answered_at: Mapped[datetime | None]
    granted_bytes: Mapped[int | None] = mapped_column(BigInteger)


class WorkspaceUsage(Base):
    """What was measured of a workspace ``as_of`` (null: not yet), which took ``took_ms``, and where it is going.

    ``folders``, ``largest`` and ``duplicates`` are the first few by size. ``growth_bytes`` is a day's, null while there
    are too few days; ``change_bytes`` since 30 days ago, or since the first snapshot.
    """

    __tablename__ = "workspace_usage"
    __table_args__ = (in_workspace(),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    as_of: Mapped[datetime | None]
    took_ms: Mapped[int] = mapped_column(default=0)
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
