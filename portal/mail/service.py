"""The e-mail outbox: rows are added in the transaction of their cause, sent after its commit, never sent twice.

    mail.enqueue("quota_warning", people.owners_of(workspace_id), tenant_id, deduplication_key=f"quota:{event_id}", …)

An e-mail is handed to the mail server by whoever has its lease. Before the last byte goes out the holder writes that
down (``handed_over_at``): an e-mail whose holder died before that is sent again; one whose holder died, or lost the
server, between that and the server's answer may have been taken, and is given up visibly as "perhaps sent". So nobody
gets an e-mail twice, and an e-mail that may be lost is never lost silently. All attempts carry the same Message-ID.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, CursorResult, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import defer

from portal import tasks
from portal.database import compare_and_set, db, new_id, now, transaction
from portal.errors import Conflict, NotFound
from portal.mail import smtp
from portal.mail.models import Email, EmailState
from portal.mail.rendering import one_line, render
from portal.settings import MailServer, Settings
from portal.tasks import NOWHERE, Lease, LeaseLost, Task
from portal.texts import Text
from portal.web.paging import Paging, cut

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=6)
GIVE_UP_AFTER = timedelta(hours=24)
KEEP_EMAILS = timedelta(days=90)
PERHAPS_SENT = Text(
    "Perhaps sent: the mail server received the whole e-mail but did not answer. It is not sent again automatically."
)
TOO_LATE = Text("It was not sent within 24 hours.")


@dataclass(frozen=True)
class Addressee:
    """Whom an e-mail is for."""

    name: str
    email: str
    language: str | None = None  # the tag of the language that they chose; None: English

    @property
    def shown_name(self) -> str:
        """The name, or the e-mail address of somebody who gave none."""
        return self.name or self.email


def enqueue(
    template: str,
    to: Iterable[Addressee],
    tenant_id: UUID | None,
    *,
    deduplication_key: str | None = None,
    **context: Any,
) -> int:
    """Add an e-mail to each of them to the outbox, with the open transaction; returns how many were added.

    ``template`` is a name in ``templates/mail``, whose first lines say what ``context`` it wants; the language is
    the recipient's. ``tenant_id`` is whom it concerns (None: the installation). ``deduplication_key``, of at most 150
    characters: a recipient gets at most one e-mail with this key in this tenant.
    """
    people = {addressee.email.lower(): addressee for addressee in to}
    key = f"{tenant_id or ''}:{deduplication_key}" if deduplication_key is not None else None
    rows = [row for addressee in people.values() if (row := _row(template, addressee, key, context))]
    if not rows:
        return 0
    new = insert(Email).values(rows).on_conflict_do_nothing(index_elements=[Email.recipient, Email.deduplication_key])
    added = list(db.session.scalars(new.returning(Email.id)))
    if server() is not None:
        tasks.schedule_all("send_email", added)
    return len(added)


def send(email_id: UUID) -> None:
    """Send one e-mail that is due. Safe to run twice, at once, and after a crash at any point."""
    with tasks.acquire("send_email", NOWHERE, NOWHERE, email_id) as lease:
        email = _begin(lease) if lease is not None else None
        mail_server = server()
        if lease is None or email is None or mail_server is None:
            return
        try:
            settings: Settings = current_app.extensions["portal.settings"]
            smtp.deliver(mail_server, smtp.Post.of(email, settings), lambda: _note_handing_over(lease, email))
        except smtp.DeliveryUnknown:
            _finish(lease, email, EmailState.GIVEN_UP, error=PERHAPS_SENT)
        except smtp.Refused as refusal:
            _finish(lease, email, EmailState.GIVEN_UP, error=refusal.reason)
        except smtp.NotSent as problem:
            _put_back(lease, email, problem.reason)
        else:
            _finish(lease, email, EmailState.SENT, sent_at=now(), error=None, text="", html="")


def send_again(email_id: UUID) -> None:
    """Try an e-mail that was given up for another 24 hours, on an operator's request. Raises ``Conflict``."""
    with transaction():
        here = [Email.id == email_id]
        give_up_at = now() + GIVE_UP_AFTER
        if not compare_and_set(Email, here, EmailState.WAITING, handed_over_at=None, give_up_at=give_up_at, attempts=0):
            raise Conflict(_("Only an e-mail that was given up can be sent again."))
        tasks.schedule("send_email", email_id)


def next_attempt(email_id: UUID) -> datetime | None:
    """When it is tried again; None when it is not."""
    task = select(Task.due_at).where(Task.kind == "send_email", Task.target_id == email_id)
    return db.session.scalar(task)


def server() -> MailServer | None:
    """The mail server, or None: then e-mails stay in the outbox, and operators read them there."""
    settings: Settings = current_app.extensions["portal.settings"]
    return settings.mail


def find(email_id: UUID) -> Email:
    """One e-mail. Raises ``NotFound``."""
    email = db.session.get(Email, email_id)
    if email is None:
        raise NotFound(_("There is no such e-mail."))
    return email


def list_emails(state: EmailState | None, paging: Paging) -> tuple[Sequence[Email], str | None]:
    """One page of e-mails without their content, the newest first, and the cursor of the next."""
    page = select(Email).options(defer(Email.text), defer(Email.html)).order_by(Email.id.desc())
    if state is not None:
        page = page.where(Email.state == state)
    if (after := paging.after_id()) is not None:
        page = page.where(Email.id < after)
    return cut(db.session.scalars(page.limit(paging.limit + 1)).all(), paging, key=lambda email: email.id)


def counts() -> dict[EmailState, int]:
    """How many e-mails are in each state, of the last 90 days."""
    rows = db.session.execute(select(Email.state, func.count()).group_by(Email.state))
    return dict.fromkeys(EmailState, 0) | {EmailState(state): number for state, number in rows}


def forget() -> int:
    """Remove e-mails that are older than ``KEEP_EMAILS`` and in a final state; how many."""
    with transaction():
        over = Email.state.in_((EmailState.SENT, EmailState.GIVEN_UP, EmailState.KEPT))
        old = delete(Email).where(over, Email.created_at < now() - KEEP_EMAILS)
        return cast(CursorResult[Any], db.session.execute(old)).rowcount


def _row(template: str, addressee: Addressee, key: str | None, context: dict[str, Any]) -> dict[str, Any] | None:
    # An e-mail that can't be rendered is logged and left out: its cause must not be rolled back for it.
    try:
        content, at = render(template, addressee.language, addressee=addressee, **context), now()
    except Exception:
        log.exception("the e-mail %s could not be rendered", template)
        return None
    return {
        "id": new_id(),
        "created_at": at,
        "template": template,
        "recipient": addressee.email,
        "recipient_name": one_line(addressee.name),
        "subject": content.subject,
        "text": content.text,
        "html": content.html,
        "deduplication_key": key,
        "state": EmailState.KEPT if server() is None else EmailState.WAITING,
        "attempts": 0,
        "give_up_at": at + GIVE_UP_AFTER,
    }


def _begin(lease: Lease) -> Email | None:
    """The e-mail, when it is to be sent now; what nobody may send any more is given up."""
    with transaction() as session:
        email = session.get(Email, lease.target_id, with_for_update=True, populate_existing=True)
        if email is None or email.state not in (EmailState.WAITING, EmailState.SENDING):
            return None
        here = [Email.id == email.id]
        if email.handed_over_at is not None:  # its worker died when the server may have had it
            _give_up(lease, here, PERHAPS_SENT)
            return None
        if email.give_up_at <= now():
            _give_up(lease, here, email.error or TOO_LATE)
            return None
        if server() is None:
            tasks.hand_back(lease, min(now() + LONGEST_WAIT, email.give_up_at))
            return None
        if not tasks.still_mine(lease):
            raise LeaseLost
        compare_and_set(Email, here, EmailState.SENDING, attempts=Email.attempts + 1)
        session.refresh(email)
        session.expunge(email)  # it stays as it is now, whatever a rollback would read
        return email


def _give_up(lease: Lease, here: list[ColumnElement[bool]], reason: Text) -> None:
    log.warning("e-mail %s is given up: %s", lease.target_id, reason.english)
    compare_and_set(Email, here, EmailState.GIVEN_UP, error=reason)
    tasks.complete(lease)


def _note_handing_over(lease: Lease, email: Email) -> None:
    """From here on the server may have it. Raises ``NotSent`` when somebody else has the lease by now."""
    with transaction():
        sending = compare_and_set(Email, [Email.id == email.id], EmailState.SENDING, handed_over_at=now())
        if not sending or not tasks.still_mine(lease):
            raise LeaseLost


def _finish(lease: Lease, email: Email, to: EmailState, **values: Any) -> None:
    """Write the outcome, when the lease is still ours."""
    if to is EmailState.GIVEN_UP:
        log.warning("e-mail %s is given up: %s", email.id, values["error"].english)
    with transaction():
        compare_and_set(Email, [Email.id == email.id, Email.state == EmailState.SENDING], to, **values)
        tasks.complete(lease)


def _put_back(lease: Lease, email: Email, reason: Text) -> None:
    """Try again after 1, 2, 4 … minutes, at most 6 hours; give up when that would be too late."""
    due_at = now() + min(FIRST_WAIT * 2 ** min(email.attempts - 1, 20), LONGEST_WAIT)
    if due_at >= email.give_up_at:
        _finish(lease, email, EmailState.GIVEN_UP, error=Text.join(reason, TOO_LATE), handed_over_at=None)
        return
    log.info("e-mail %s waits: %s", email.id, reason.english)
    with transaction():
        sending = [Email.id == email.id, Email.state == EmailState.SENDING]
        compare_and_set(Email, sending, EmailState.WAITING, error=reason, handed_over_at=None)
        tasks.hand_back(lease, due_at)
