"""Tables of quotas: counters of workspaces and tenants, the ledger that explains them, what was measured, requests."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, Text, case, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Identified, choice
from portal.tenancy.models import in_workspace


class WorkspaceQuota(Base):
    """``limit_bytes`` null: no limit of its own inside the tenant's.

    ``warned_percent`` is the level of the last warning (0, 80, 90, 95), ``changed_at`` when counters last changed.
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
    changed_at: Mapped[datetime | None]
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


# The limit that holds for a tenant now; null: unlimited.
TENANT_LIMIT = case(
    (TenantQuota.override_until > func.now(), TenantQuota.override_bytes), else_=TenantQuota.limit_bytes
)


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
    """What an admin changed at once, to be undone: ``changes`` of {workspace_id, before_bytes, after_bytes}."""

    __tablename__ = "quota_changes"
    __table_args__ = (Index("ix_quota_changes_tenant_id_id", "tenant_id", "id"),)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    actor_id: Mapped[UUID | None]
    changes: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
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
        CheckConstraint("requested_bytes > 0", name="requested"),
        Index("uq_quota_requests_open", "workspace_id", unique=True, postgresql_where=text("state = 'open'")),
        Index("ix_quota_requests_tenant_id_id", "tenant_id", "id"),
    )

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    user_id: Mapped[UUID]
    requested_bytes: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[RequestState] = mapped_column(choice(RequestState, "state"), default=RequestState.OPEN)
    answered_by: Mapped[UUID | None]
    answered_at: Mapped[datetime | None]
    granted_bytes: Mapped[int | None] = mapped_column(BigInteger)
