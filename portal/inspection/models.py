"""Tables of inspection: the tenant's scan policy and what the scanner last reported."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, choice
from portal.texts import Text, TextColumn


class ScannerStatus(Base):
    """What the last check of the scanner showed: one row of the installation.

    ``rescanned_version``: the database with which everything was scanned last, or the first one that was seen.
    """

    __tablename__ = "scanner_status"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    state: Mapped[str] = mapped_column(String(20))
    detail: Mapped[Text] = mapped_column(TextColumn)
    engine: Mapped[str | None] = mapped_column(String(100))
    database: Mapped[str | None] = mapped_column(String(100))
    version: Mapped[int | None]
    rescanned_version: Mapped[int | None]
    signatures_at: Mapped[datetime | None]
    proved_at: Mapped[datetime]


class UnscannedAction(StrEnum):
    """What a tenant wants done with a file that was not, or could not be, scanned."""

    HOLD = "hold"
    RELEASE = "release"


class ScanPolicy(Base):
    """A tenant's rules; without a row the defaults hold. ``proposed`` are changes that wait for a second admin."""

    __tablename__ = "scan_policies"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    too_large: Mapped[UnscannedAction] = mapped_column(choice(UnscannedAction, "too_large"))
    encrypted: Mapped[UnscannedAction] = mapped_column(choice(UnscannedAction, "encrypted"))
    macros: Mapped[UnscannedAction] = mapped_column(choice(UnscannedAction, "macros"))
    unscannable: Mapped[UnscannedAction] = mapped_column(choice(UnscannedAction, "unscannable"))
    scanner_required: Mapped[bool]
    two_persons: Mapped[bool]
    release_infected: Mapped[bool]
    changed_at: Mapped[datetime]
    changed_by: Mapped[UUID | None]
    proposed: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    proposed_at: Mapped[datetime | None]
    proposed_by: Mapped[UUID | None]
