"""The table of the quarantine: who decided what about a quarantined file, and the results."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Identified, choice
from portal.tenancy.models import in_workspace


class DecisionKind(StrEnum):
    """``propose`` waits for a second person; ``outcome`` is the result that a worker recorded."""

    RESCAN = "rescan"
    DELETE = "delete"
    PROPOSE = "propose"
    RELEASE = "release"
    BLOCK = "block"
    UNBLOCK = "unblock"
    DOWNLOAD = "download"
    OUTCOME = "outcome"


class Decision(Identified, Base):
    """One decision, kept when the file is gone; rows are never changed. ``person_id`` is who uploaded the file."""

    __tablename__ = "quarantine_decisions"
    __table_args__ = (in_workspace(), Index("ix_quarantine_decisions_asset_id_id", "asset_id", "id"))

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    asset_id: Mapped[UUID]
    person_id: Mapped[UUID]
    actor_id: Mapped[UUID | None]
    kind: Mapped[DecisionKind] = mapped_column(choice(DecisionKind, "kind"))
    reason: Mapped[str] = mapped_column(Text)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
