"""The page of a tenant's scan rules: the fields of its form, and looser rules that wait for a second administrator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from flask_babel import gettext as _

from portal.inspection.scan_policy import ProposedRules, ScanRules


@dataclass(frozen=True)
class RuleField:
    """A rule of the tenant as the form shows it; ``value`` is ``hold`` or ``release``, or whether it is on."""

    name: str
    label: str
    hint: str
    value: str | bool


@dataclass(frozen=True)
class Proposal:
    """Rules that wait for a second admin. ``is_own``: whoever looks proposed them and can only withdraw them."""

    rules: ProposedRules
    is_own: bool
    changes: Sequence[tuple[str, str, str]]  # label, value now, value then


def rule_fields(rules: ScanRules, admins: int) -> list[RuleField]:
    """The tenant's rules in the order of the form; ``admins`` is how many administrators the tenant has."""
    two_persons = _("One administrator proposes, another confirms. The same applies to looser rules on this page.")
    if admins < 2:
        two_persons += " " + _("There is only one administrator: nobody else could confirm.")
    return [
        RuleField(
            "too_large",
            _("Too large to scan"),
            _("The file, or its content, exceeds the limits of the scanner."),
            rules.too_large,
        ),
        RuleField(
            "encrypted",
            _("Encrypted archives and documents"),
            _("Nobody can look inside without the password."),
            rules.encrypted,
        ),
        RuleField(
            "macros",
            _("Office files with macros"),
            _("They were scanned and nothing was found, but a macro is a program."),
            rules.macros,
        ),
        RuleField(
            "unscannable",
            _("Files that the scanner can’t read"),
            _("Damaged, or of an unknown format."),
            rules.unscannable,
        ),
        RuleField(
            "scanner_required",
            _("A virus scanner is required"),
            _("Without a scanner, files wait instead of becoming available unscanned."),
            rules.scanner_required,
        ),
        RuleField("two_persons", _("Releases need two people"), two_persons, rules.two_persons),
        RuleField(
            "release_infected",
            _("Infected files can be released"),
            _("For false alarms. Each release must be confirmed explicitly."),
            rules.release_infected,
        ),
    ]


def proposal(proposed: ProposedRules | None, fields: Sequence[RuleField], me: UUID) -> Proposal | None:
    """What somebody proposed, beside the rules that are in force."""
    if proposed is None:
        return None
    changes = [
        (field.label, _rule_value(field.value), _rule_value(proposed.changes[field.name]))
        for field in fields
        if field.name in proposed.changes
    ]
    return Proposal(proposed, proposed.by == me, changes)


def _rule_value(value: str | bool) -> str:
    if isinstance(value, bool):
        return _("on") if value else _("off")
    return _("quarantine") if value == "hold" else _("release")
