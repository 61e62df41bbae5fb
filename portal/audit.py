"""Who did what: one append-only table, written inside the transaction of the change it tells of."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import ForeignKey, Index, String, insert
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Identified, new_id, now
from portal.statements import directly


class AuditEvent(Identified, Base):
    """One act. ``actor_id`` is null for what Stowage did by itself. The application may not change or delete rows."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_tenant_id_id", "tenant_id", "id"),)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    workspace_id: Mapped[UUID | None]
    actor_id: Mapped[UUID | None]
    action: Mapped[str] = mapped_column(String(60))
    target_id: Mapped[UUID | None]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)


_INSERT = insert(AuditEvent)


def record(
    tenant_id: UUID,
    actor_id: UUID | None,
    action: str,
    target_id: UUID | None,
    *,
    workspace_id: UUID | None = None,
    **facts: Any,
) -> None:
    """Write one event with the open transaction. ``action`` is ``noun.verb``; facts are JSON, never secrets."""
    place = {"id": new_id(), "created_at": now(), "tenant_id": tenant_id, "workspace_id": workspace_id}
    act = {"actor_id": actor_id, "action": action, "target_id": target_id, "facts": Jsonb(facts)}
    directly(_INSERT, **place, **act)
