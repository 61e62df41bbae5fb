"""The table of e-mail."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal import texts
from portal.database import Base, Identified, choice
from portal.texts import TextColumn


class EmailState(StrEnum):
    """``kept``: there is no mail server, an operator reads it on a page. ``given_up``: ``error`` says why."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    GIVEN_UP = "given_up"
    KEPT = "kept"


class Email(Identified, Base):
    """One mail to one person. Global, as people are; no page but an operator's reads it.

    ``handed_over_at`` is set before the last byte goes to the mail server: from there on it may have been taken.
    What was sent has no content any more (``text`` and ``html`` are empty); address, subject and time stay for a while.
    """

    __tablename__ = "emails"
    __table_args__ = (
        UniqueConstraint("recipient", "deduplication_key"),
        Index("ix_emails_state", "state", "id"),
    )
    TRANSITIONS: ClassVar[dict[EmailState, frozenset[EmailState]]] = {
        EmailState.WAITING: frozenset({EmailState.SENDING, EmailState.GIVEN_UP}),
        EmailState.SENDING: frozenset({EmailState.SENDING, EmailState.SENT, EmailState.WAITING, EmailState.GIVEN_UP}),
        EmailState.GIVEN_UP: frozenset({EmailState.WAITING}),
        EmailState.SENT: frozenset(),
        EmailState.KEPT: frozenset(),
    }

    template: Mapped[str] = mapped_column(String(40))
    recipient: Mapped[str] = mapped_column(String(254))
    recipient_name: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(String(300))
    text: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text)
    deduplication_key: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[EmailState] = mapped_column(choice(EmailState, "state"))
    attempts: Mapped[int] = mapped_column(default=0)
    give_up_at: Mapped[datetime]
    handed_over_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    error: Mapped[texts.Text | None] = mapped_column(TextColumn)
