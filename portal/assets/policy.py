"""A tenant's rules for what the scanner did not, or could not, look through; and for what is let out of quarantine.

Defaults, from product.md's "hold in quarantine, or release with a mark": what nobody could look into is held. Macros
are released with a mark: the file was scanned, nothing was found in it, and old spreadsheets are full of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from sqlalchemy import ForeignKey, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from portal import audit
from portal.db import Base, choice, db, now, transaction
from portal.tenancy.service import Member

Choice = Literal["hold", "release"]


class WhenHeld(StrEnum):
    """What a tenant wants done with a file that was not, or could not be, looked through."""

    HOLD = "hold"
    RELEASE = "release"


class ScanPolicy(Base):
    """A tenant's rules; without a row the defaults hold."""

    __tablename__ = "scan_policies"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    too_large: Mapped[WhenHeld] = mapped_column(choice(WhenHeld, "too_large"))
    encrypted: Mapped[WhenHeld] = mapped_column(choice(WhenHeld, "encrypted"))
    macros: Mapped[WhenHeld] = mapped_column(choice(WhenHeld, "macros"))
    unscannable: Mapped[WhenHeld] = mapped_column(choice(WhenHeld, "unscannable"))
    scanner_required: Mapped[bool]
    two_persons: Mapped[bool]
    release_infected: Mapped[bool]
    changed_at: Mapped[datetime]
    changed_by: Mapped[UUID | None]


@dataclass(frozen=True)
class Rules:
    """``scanner_required``: without a scanner files wait. ``two_persons``: a release is proposed by one admin and
    confirmed by another. ``release_infected``: even what the scanner calls infected may be released, when that is
    confirmed expressly; otherwise it is refused.
    """

    too_large: Choice = "hold"
    encrypted: Choice = "hold"
    macros: Choice = "release"
    unscannable: Choice = "hold"
    scanner_required: bool = False
    two_persons: bool = False
    release_infected: bool = False

    def holds(self, reason: str | None) -> bool:
        """Whether a file with this reason of a verdict stays in quarantine."""
        choices = {
            "too_large": self.too_large,
            "encrypted": self.encrypted,
            "macros": self.macros,
            "unscannable": self.unscannable,
        }
        return choices.get(reason or "") == "hold"

    def waits(self, reason: str | None) -> bool:
        """Whether a file that nobody has scanned for this reason waits for a scanner."""
        return self.scanner_required and reason in ("off", "no_signatures")


DEFAULT = Rules()


def rules_of(tenant_id: UUID) -> Rules:
    """The rules of the entered tenant."""
    row = db.session.scalar(
        select(ScanPolicy).where(ScanPolicy.tenant_id == tenant_id).execution_options(populate_existing=True)
    )
    if row is None:
        return DEFAULT
    return Rules(**{name: getattr(row, name) for name in asdict(DEFAULT)})


def set_rules(member: Member, rules: Rules) -> None:
    """Make these the tenant's rules, for files that are checked from now on."""
    with transaction(member.tenant_id):
        before = asdict(rules_of(member.tenant_id))
        values = {**asdict(rules), "changed_at": now(), "changed_by": member.user_id}
        statement = insert(ScanPolicy).values(tenant_id=member.tenant_id, **values)
        db.session.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=values))
        changes = {name: [before[name], value] for name, value in asdict(rules).items() if before[name] != value}
        audit.record(member.tenant_id, member.user_id, "scan_policy.changed", member.tenant_id, changes=changes)
