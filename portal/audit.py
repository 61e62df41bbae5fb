"""The audit log: one append-only table, written in the transaction of the change."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, insert
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Identified, db


class AuditEvent(Identified, Base):
    """One act. ``actor_id`` is null for what Stowage did by itself. The application may not change or delete rows."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_tenant_id_id", "tenant_id", "id"),
        Index("ix_audit_events_actor", "tenant_id", "actor_id", "id"),
        Index("ix_audit_events_action", "tenant_id", "action", "id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    workspace_id: Mapped[UUID | None]
    actor_id: Mapped[UUID | None]
    action: Mapped[str] = mapped_column(String(60))
    target_id: Mapped[UUID | None]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)


class OperatorAct(Identified, Base):
    """What an operator did to the installation, or to a tenant from above. Of no tenant; nothing changes or ends it."""

    __tablename__ = "operator_acts"

    actor_id: Mapped[UUID | None]
    action: Mapped[str] = mapped_column(String(60))
    target_id: Mapped[UUID | None]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)


# Core instead of the ORM: the object is never read, and the unit of work costs three times as much.
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
    """Write one event with the open transaction.

    ``action`` is ``noun.verb``; ``actor_id`` None: Stowage itself. ``facts`` are JSON, never secrets.
    """
    event = {
        "tenant_id": tenant_id,
        "workspace_id": workspace_id,
        "actor_id": actor_id,
        "action": action,
        "target_id": target_id,
        "facts": facts,
    }
    db.session.connection().execute(_INSERT, event)


def record_act(actor_id: UUID | None, action: str, target_id: UUID | None, **facts: Any) -> None:
    """Write what an operator did with the open transaction; ``facts`` are JSON, never secrets."""
    db.session.add(OperatorAct(actor_id=actor_id, action=action, target_id=target_id, facts=facts))
