"""The table of e-mail."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Identified, choice


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
