"""Letters: written with the change that they tell of, sent after its commit, retried, never sent twice.

    mail.write("quota_warning", people.owners_of(workspace_id), tenant_id, once=f"quota:{crossing_id}", …)

A letter is handed to the mail server by whoever holds its claim. Before the last byte goes out the holder writes that
down (``handed_over_at``): a letter whose holder died before that is sent again; one whose holder died, or lost the
server, between that and the server's answer may have been taken, and is given up visibly as "perhaps sent". So nobody
gets a letter twice, and a letter that may be lost is never lost silently. All attempts carry the same Message-ID.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import CursorResult, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import defer

from portal import queue
from portal.database import after_commit, compare_and_set, db, new_id, now, transaction
from portal.errors import Conflict, NotFound
from portal.mail import smtp
from portal.mail.models import Letter, LetterState
from portal.mail.rendering import one_line, render
from portal.settings import MailServer, Settings
from portal.web.paging import Paging, cut

log = logging.getLogger(__name__)

NOWHERE = UUID(int=0)  # a letter has no place: it may be about several tenants, or none
LEASE = timedelta(minutes=10)  # longer than the longest dialogue: ``portal.mail.smtp`` says how long each step takes
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=6)
GIVE_UP_AFTER = timedelta(hours=24)
KEEP_LETTERS = timedelta(days=90)
RUNG_AT_ONCE = 20  # letters of one command that are rung for directly; the sweep rings for the rest
PERHAPS_SENT = "Perhaps sent: the mail server had the letter, and its answer never came. It is not sent again."
TOO_LATE = "Not sent within 24 hours."


@dataclass(frozen=True)
class Addressee:
    """Whom a letter is for."""

    name: str
    email: str
    language: str | None = None  # the tag of the language that they chose; None: English


def write(
    template: str, to: Iterable[Addressee], tenant_id: UUID | None, *, once: str | None = None, **context: Any
) -> int:
    """Write a letter to each of them, with the open transaction; how many were written.

    ``template`` is a name in ``templates/mail``, whose first lines say what ``context`` it wants; the language is
    the recipient's. ``tenant_id`` is whom it concerns (None: the installation). ``once``, of at most 150 characters: at
    most one letter a recipient with this key in this tenant, however often it is written.
    """
    people = {addressee.email.lower(): addressee for addressee in to}
    key = f"{tenant_id or ''}:{once}" if once is not None else None
    rows = [row for addressee in people.values() if (row := _row(template, addressee, key, context))]
    if not rows:
        return 0
    new = insert(Letter).values(rows).on_conflict_do_nothing(index_elements=[Letter.recipient, Letter.once])
    written = list(db.session.scalars(new.returning(Letter.id)))
    if server() is not None:
        for letter_id in written[:RUNG_AT_ONCE]:
            _ring_later(letter_id)
    return len(written)


def send(letter_id: UUID) -> None:
    """Send one letter that is due. Safe to run twice, at once, and after a crash at any point."""
    mail_server = server()
    letter = _claim(letter_id) if mail_server is not None else None
    if letter is None or mail_server is None:
        _close_abandoned(letter_id)
        return
    try:
        settings: Settings = current_app.extensions["portal.settings"]
        smtp.deliver(mail_server, smtp.Post.of(letter, settings), lambda: _note_handing_over(letter))
    except smtp.PerhapsSent:
        _finish(letter, LetterState.GIVEN_UP, error=PERHAPS_SENT)
    except smtp.Refused as refusal:
        _finish(letter, LetterState.GIVEN_UP, error=str(refusal))
    except smtp.NotSent as reason:
        _put_back(letter, str(reason))
    else:
        _finish(letter, LetterState.SENT, sent_at=now(), error=None, text="", html="")


def send_again(letter_id: UUID) -> None:
    """Try a letter that was given up for another 24 hours, because an operator says so. Raises ``Conflict``."""
    fresh = {"due_at": now(), "rung_at": now(), "give_up_at": now() + GIVE_UP_AFTER, "attempts": 0}
    with transaction():
        if not compare_and_set(Letter, [Letter.id == letter_id], LetterState.WAITING, handed_over_at=None, **fresh):
            raise Conflict(_("Only an e-mail that was given up can be sent again."))
        _ring_later(letter_id)


def postpone(letter_id: UUID) -> None:
    """The sweep rings now: it does not ring for this letter again within half a minute."""
    with transaction():
        db.session.execute(update(Letter).where(Letter.id == letter_id).values(rung_at=now()))


def server() -> MailServer | None:
    """Where mail is handed in, or None: then letters are kept for an operator to read."""
    settings: Settings = current_app.extensions["portal.settings"]
    return settings.mail


def find(letter_id: UUID) -> Letter:
    """One letter. Raises ``NotFound``."""
    letter = db.session.get(Letter, letter_id)
    if letter is None:
        raise NotFound(_("There is no such e-mail."))
    return letter


def list_letters(state: LetterState | None, paging: Paging) -> tuple[Sequence[Letter], str | None]:
    """One page of letters without their content, the newest first, and the cursor of the next."""
    page = select(Letter).options(defer(Letter.text), defer(Letter.html)).order_by(Letter.id.desc())
    if state is not None:
        page = page.where(Letter.state == state)
    if (after := paging.after_id()) is not None:
        page = page.where(Letter.id < after)
    return cut(db.session.scalars(page.limit(paging.limit + 1)).all(), paging, key=lambda letter: letter.id)


def counts() -> dict[LetterState, int]:
    """How many letters are in each state, of the last 90 days."""
    rows = db.session.execute(select(Letter.state, func.count()).group_by(Letter.state))
    return dict.fromkeys(LetterState, 0) | {LetterState(state): number for state, number in rows}


def forget() -> int:
    """Remove letters that are older than ``KEEP_LETTERS`` and in a final state; how many."""
    with transaction():
        over = Letter.state.in_((LetterState.SENT, LetterState.GIVEN_UP, LetterState.KEPT))
        old = delete(Letter).where(over, Letter.created_at < now() - KEEP_LETTERS)
        return cast(CursorResult[Any], db.session.execute(old)).rowcount


def _row(template: str, addressee: Addressee, key: str | None, context: dict[str, Any]) -> dict[str, Any] | None:
    """A letter that can't be drawn is logged and left out: it must not undo what it would have told of."""
    try:
        words, at = render(template, addressee.language, addressee=addressee, **context), now()
    except Exception:
        log.exception("the letter %s could not be written", template)
        return None
    return {
        "id": new_id(),
        "created_at": at,
        "template": template,
        "recipient": addressee.email,
        "recipient_name": one_line(addressee.name),
        "subject": words.subject,
        "text": words.text,
        "html": words.html,
        "once": key,
        "state": LetterState.KEPT if server() is None else LetterState.WAITING,
        "attempts": 0,
        "due_at": at,
        "rung_at": at,
        "give_up_at": at + GIVE_UP_AFTER,
    }


def _claim(letter_id: UUID) -> Letter | None:
    """The letter, when it is this caller's to send now."""
    token = secrets.token_hex(8)
    waits = and_(Letter.state == LetterState.WAITING, Letter.due_at <= func.now())
    dropped = and_(
        Letter.state == LetterState.SENDING, Letter.claim_until < func.now(), Letter.handed_over_at.is_(None)
    )
    claim = {"claim_token": token, "claim_until": func.now() + LEASE, "attempts": Letter.attempts + 1}
    with transaction() as session:
        due = [Letter.id == letter_id, Letter.give_up_at > func.now(), or_(waits, dropped)]
        if not compare_and_set(Letter, due, LetterState.SENDING, **claim):
            return None
        letter = session.get_one(Letter, letter_id, populate_existing=True)
        session.expunge(letter)  # it stays as it was claimed: a rollback would read the token of who has it by then
        return letter


def _close_abandoned(letter_id: UUID) -> None:
    """What nobody may send any more: its time is over, or its holder died when the server may have had it."""
    free = [Letter.id == letter_id, or_(Letter.claim_until.is_(None), Letter.claim_until < func.now())]
    with transaction():
        over = {"claim_token": None, "claim_until": None}
        handed = [*free, Letter.state == LetterState.SENDING, Letter.handed_over_at.is_not(None)]
        late = [*free, Letter.handed_over_at.is_(None), Letter.give_up_at <= func.now()]
        if compare_and_set(Letter, handed, LetterState.GIVEN_UP, error=PERHAPS_SENT, **over):
            log.warning("letter %s is given up: %s", letter_id, PERHAPS_SENT)
        elif compare_and_set(Letter, late, LetterState.GIVEN_UP, error=func.coalesce(Letter.error, TOO_LATE), **over):
            log.warning("letter %s is given up: %s", letter_id, TOO_LATE)


def _note_handing_over(letter: Letter) -> None:
    """From here on the server may have it. Raises ``NotSent`` when somebody else holds the claim by now."""
    mine = [Letter.id == letter.id, Letter.claim_token == letter.claim_token]
    with transaction():
        values = {"handed_over_at": now(), "claim_until": func.now() + LEASE}
        if not compare_and_set(Letter, mine, LetterState.SENDING, **values):
            raise smtp.NotSent("Somebody else sends this letter.")


def _finish(letter: Letter, to: LetterState, **values: Any) -> bool:
    """Write the outcome, when the claim is still ours."""
    if to is LetterState.GIVEN_UP:
        log.warning("letter %s is given up: %s", letter.id, values["error"])
    mine = [Letter.id == letter.id, Letter.state == LetterState.SENDING, Letter.claim_token == letter.claim_token]
    with transaction():
        return compare_and_set(Letter, mine, to, claim_token=None, claim_until=None, **values)


def _put_back(letter: Letter, reason: str) -> None:
    """Try again after 1, 2, 4 … minutes, at most 6 hours; give up when that would be too late."""
    due_at = now() + min(FIRST_WAIT * 2 ** min(letter.attempts - 1, 20), LONGEST_WAIT)
    if due_at >= letter.give_up_at:
        _finish(letter, LetterState.GIVEN_UP, error=f"{reason} {TOO_LATE}", handed_over_at=None)
        return
    log.info("letter %s waits: %s", letter.id, reason)
    _finish(letter, LetterState.WAITING, error=reason, due_at=due_at, handed_over_at=None)


def _ring_later(letter_id: UUID) -> None:
    def rings() -> None:
        queue.ring("send_letter", NOWHERE, NOWHERE, letter_id)

    after_commit(rings)
