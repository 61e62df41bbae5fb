"""Tables of events and letters."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, Text, UniqueConstraint, text, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Identified, choice, new_id, now


class EventType(StrEnum):
    """What can be told. The values are a contract with whoever listens."""

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


class Event(Base):
    """Something that happened in a tenant. The application may add, never change; a chore forgets old ones.

    ``told``: no webhook has to hear of it any more; written by a function of the database.
    """

    __tablename__ = "events"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "workspace_id"], ["workspaces.tenant_id", "workspaces.id"]),
        Index("ix_events_tenant_id_id", "tenant_id", "id"),
        Index("ix_events_time", "time"),
        Index("ix_events_untold", "id", postgresql_where=text("NOT told")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    time: Mapped[datetime] = mapped_column(default=now)
    type: Mapped[str] = mapped_column(String(60))
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    workspace_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    told: Mapped[bool] = mapped_column(server_default=true())


class LetterState(StrEnum):
    """``kept``: there is no mail server, an operator reads it on a page. ``given_up``: ``error`` says why."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    GIVEN_UP = "given_up"
    KEPT = "kept"


class Letter(Identified, Base):
    """One mail to one person. Global, as people are; no page but an operator's reads it.

    ``handed_over_at`` is set before the last byte goes to the mail server: from there on it may have been taken.
    What was sent is forgotten (``text`` and ``html`` are empty then); address, subject and time stay for a while.
    """

    __tablename__ = "letters"
    __table_args__ = (
        UniqueConstraint("recipient", "once"),
        Index("ix_letters_due", "due_at", postgresql_where=text("state IN ('waiting', 'sending')")),
        Index("ix_letters_state", "state", "id"),
    )
    TRANSITIONS: ClassVar[dict[LetterState, frozenset[LetterState]]] = {
        LetterState.WAITING: frozenset({LetterState.SENDING, LetterState.GIVEN_UP}),
        LetterState.SENDING: frozenset(
            {LetterState.SENDING, LetterState.SENT, LetterState.WAITING, LetterState.GIVEN_UP}
        ),
        LetterState.GIVEN_UP: frozenset({LetterState.WAITING}),
        LetterState.SENT: frozenset(),
        LetterState.KEPT: frozenset(),
    }

    template: Mapped[str] = mapped_column(String(40))
    recipient: Mapped[str] = mapped_column(String(254))
    recipient_name: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(String(300))
    text: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text)
    once: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[LetterState] = mapped_column(choice(LetterState, "state"))
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    rung_at: Mapped[datetime]
    give_up_at: Mapped[datetime]
    claim_token: Mapped[str | None] = mapped_column(String(16))
    claim_until: Mapped[datetime | None]
    handed_over_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
