"""A tenant's rules for what the scanner did not, or could not, look through; and for what is let out of quarantine.

Defaults: a file that can't be scanned is quarantined. Macros are released with a mark: the file was scanned, nothing
was found in it, and old spreadsheets are full of them.

Where a release needs two persons, one alone may make the rules stricter, not looser: else they could switch that off.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from portal import audit
from portal.database import db, now, transaction
from portal.errors import Conflict, Forbidden
from portal.identity.models import User
from portal.inspection.models import ScanPolicy
from portal.mail import service as mail
from portal.tenancy import people
from portal.tenancy.service import Member

Choice = Literal["hold", "release"]


@dataclass(frozen=True)
class ScanRules:
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

    def quarantines(self, reason: str | None) -> bool:
        """Whether a file with this reason of a verdict stays in quarantine."""
        choices = {
            "too_large": self.too_large,
            "encrypted": self.encrypted,
            "macros": self.macros,
            "unscannable": self.unscannable,
        }
        return choices.get(reason or "") == "hold"

    def waits(self, reason: str | None) -> bool:
        """Whether a file that was not scanned for this reason waits for a scanner."""
        return self.scanner_required and reason in ("off", "no_signatures")


DEFAULT_RULES = ScanRules()


LOOSER_VALUES: dict[str, str | bool] = {
    **dict.fromkeys(("too_large", "encrypted", "macros", "unscannable"), "release"),
    "scanner_required": False,
    "two_persons": False,
    "release_infected": True,
}


@dataclass(frozen=True)
class ProposedRules:
    """Looser rules that wait for a second admin: ``changes`` by name, when and by whom they were proposed."""

    changes: dict[str, Any]
    at: datetime
    by: UUID
    by_name: str


def rules_of(tenant_id: UUID) -> ScanRules:
    """The rules of the entered tenant."""
    return _rules(_row(tenant_id))


def proposal_of(tenant_id: UUID) -> ProposedRules | None:
    """The rules that were proposed for the entered tenant and are not confirmed yet."""
    row = _row(tenant_id)
    if row is None or row.proposed is None or row.proposed_at is None or row.proposed_by is None:
        return None
    who = db.session.get(User, row.proposed_by)
    return ProposedRules(row.proposed, row.proposed_at, row.proposed_by, (who.name or who.email) if who else "")


def set_rules(member: Member, rules: ScanRules) -> bool:
    """Make these the tenant's rules, for files that are checked from now on; True when they are.

    Where a release needs two persons, so does loosening any rule: that waits for another admin (``confirm``), who gets
    an e-mail. Raises ``Conflict`` where there is no other.
    """
    with transaction(member.tenant_id):
        row = _row(member.tenant_id, lock=True)
        present = _rules(row)
        changes = {name: value for name, value in asdict(rules).items() if getattr(present, name) != value}
        if (
            row is None
            or not present.two_persons
            or not any(LOOSER_VALUES[name] == value for name, value in changes.items())
        ):
            _write(member, present, rules)
            return True
        _propose(member, row, changes)
        return False


def confirm(member: Member, at: datetime) -> None:
    """Put what another admin proposed at this moment in force.

    Raises ``Conflict`` when that is not what waits any more, ``Forbidden`` for who proposed it.
    """
    with transaction(member.tenant_id):
        row = _proposal(member, at)
        if row.proposed_by == member.user_id:
            raise Forbidden(_("You have proposed this yourself. Another administrator has to confirm it."))
        present = _rules(row)
        _write(member, present, replace(present, **(row.proposed or {})), proposed_by=str(row.proposed_by))


def withdraw(member: Member, at: datetime) -> None:
    """Drop what was proposed at this moment; every admin may. Raises ``Conflict`` when that does not wait any more."""
    with transaction(member.tenant_id):
        row = _proposal(member, at)
        facts: dict[str, Any] = {"changes": row.proposed, "proposed_by": str(row.proposed_by)}
        row.proposed = row.proposed_at = row.proposed_by = None
        audit.record(member.tenant_id, member.user_id, "scan_policy.withdrawn", member.tenant_id, **facts)


def _propose(member: Member, row: ScanPolicy, changes: dict[str, Any]) -> None:
    others = [each for each in people.admins_of(member.tenant_id) if each.email != _email(member.user_id)]
    if not others:
        raise Conflict(
            _(
                "A release needs two persons here, and so does a looser rule. You are the only administrator, so "
                "nothing was changed. Have a second administrator added, who can then confirm it."
            )
        )
    row.proposed, row.proposed_at, row.proposed_by = changes, now(), member.user_id
    audit.record(member.tenant_id, member.user_id, "scan_policy.proposed", member.tenant_id, changes=changes)
    mail.enqueue(
        "rules_proposed",
        others,
        member.tenant_id,
        person=member.user_name,
        tenant_name=member.tenant_name,
        path=f"/t/{member.tenant_slug}/scan-policy",
    )


def _write(member: Member, present: ScanRules, rules: ScanRules, **facts: Any) -> None:
    """Put rules in force. Whatever was proposed is answered by any change."""
    before, after = asdict(present), asdict(rules)
    first = insert(ScanPolicy).values(tenant_id=member.tenant_id, **after, changed_at=now(), changed_by=member.user_id)
    # Two admins may save the first rules of a tenant at once: the later one finds a row to lock, not a conflict.
    db.session.execute(first.on_conflict_do_nothing())
    row = _row(member.tenant_id, lock=True)
    assert row is not None
    for name, value in after.items():
        setattr(row, name, value)
    row.changed_at, row.changed_by = now(), member.user_id
    row.proposed = row.proposed_at = row.proposed_by = None
    changes = {name: [before[name], value] for name, value in after.items() if before[name] != value}
    audit.record(member.tenant_id, member.user_id, "scan_policy.changed", member.tenant_id, changes=changes, **facts)


def _proposal(member: Member, at: datetime) -> ScanPolicy:
    row = _row(member.tenant_id, lock=True)
    if row is None or row.proposed is None or row.proposed_at != at:
        raise Conflict(_("This change is not waiting any more, or has changed in the meantime. Nothing was changed."))
    return row


def _row(tenant_id: UUID, *, lock: bool = False) -> ScanPolicy | None:
    query = select(ScanPolicy).where(ScanPolicy.tenant_id == tenant_id).execution_options(populate_existing=True)
    return db.session.scalar(query.with_for_update() if lock else query)


def _rules(row: ScanPolicy | None) -> ScanRules:
    return ScanRules(**{name: getattr(row, name) for name in asdict(DEFAULT_RULES)}) if row else DEFAULT_RULES


def _email(user_id: UUID) -> str:
    user = db.session.get(User, user_id)
    return user.email if user else ""
