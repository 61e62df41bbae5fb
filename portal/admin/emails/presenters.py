"""E-mails as the operator's pages show them."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import gettext as _

from portal.mail.models import Email, EmailState
from portal.web.state_mark import StateMark


@dataclass(frozen=True)
class Row:
    """An e-mail and its state in words."""

    email: Email
    mark: StateMark


@dataclass(frozen=True)
class Filter:
    """A state that the list can be filtered by, with how many e-mails have it; ``state`` None: all."""

    state: EmailState | None
    text: str
    is_chosen: bool


def row(email: Email) -> Row:
    """An e-mail of the list."""
    return Row(email, state_mark(email.state))


def state_mark(state: EmailState) -> StateMark:
    """What has become of an e-mail."""
    match state:
        case EmailState.WAITING:
            return StateMark("busy", "clock", _("Waiting"))
        case EmailState.SENDING:
            return StateMark("busy", "clock", _("Being sent"))
        case EmailState.SENT:
            return StateMark("good", "circle-check", _("Sent"))
        case EmailState.GIVEN_UP:
            return StateMark("bad", "circle-x", _("Not sent: given up"))
        case EmailState.KEPT:
            return StateMark("calm", "file-text", _("Stored, not sent"))


def filters(counts: dict[EmailState, int], chosen: EmailState | None) -> list[Filter]:
    """The states that occur, and the chosen one; empty where there are no e-mails."""
    if not sum(counts.values()):
        return []
    states = [state for state in EmailState if counts.get(state) or state == chosen]
    found = [Filter(state, f"{state_mark(state).words} {counts.get(state, 0)}", state == chosen) for state in states]
    return [Filter(None, _("All"), chosen is None), *found]
