"""Tables of quotas: a counter row a workspace and a tenant, and the ledger that explains them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Identified, choice
from portal.tenancy.models import in_workspace


class WorkspaceQuota(Base):
    """``limit_bytes`` null: no limit of its own inside the tenant's."""

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
