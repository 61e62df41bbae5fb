"""The table of invitations."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Identified, choice
from portal.tenancy.models import WorkspaceRole, in_workspace


class InvitationState(StrEnum):
    """The state of an invitation. One that is pending and past ``expires_at`` is shown as expired."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REVOKED = "revoked"


class Invitation(Identified, Base):
    """An e-mail address that may join a workspace. ``token_hash`` is null until the first e-mail is written."""

    __tablename__ = "invitations"
    __table_args__ = (
        in_workspace(),
        Index(
            "uq_invitations_pending",
            "workspace_id",
            "email",
            unique=True,
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_invitations_workspace_id", "workspace_id", "id"),
    )
    TRANSITIONS: ClassVar[dict[InvitationState, set[InvitationState]]] = {
        InvitationState.PENDING: {InvitationState.ACCEPTED, InvitationState.REVOKED},
        InvitationState.ACCEPTED: set(),
        InvitationState.REVOKED: set(),
    }

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[WorkspaceRole] = mapped_column(choice(WorkspaceRole, "role"))
    state: Mapped[InvitationState] = mapped_column(choice(InvitationState, "state"), default=InvitationState.PENDING)
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    invited_by: Mapped[UUID]
    expires_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    answered_by: Mapped[UUID | None]
