"""Sessions: that somebody is logged in with one browser. A row, so that it can be ended from anywhere.

The cookie carries a secret, the row its SHA-256. A session ends by logging out, by its person from another device, when
the password changes, when its person is blocked, after ``IDLE`` without a request, and ``LONGEST`` after the login
however it is used (what OWASP's ASVS allows before somebody has to prove again who they are).
Commands run inside the caller's transaction where it is written so.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import CursorResult, delete, exists, func, or_, select, update

from portal.database import db, now, transaction
from portal.errors import NotFound
from portal.identity.models import Session
from portal.texts import Text

log = logging.getLogger(__name__)

IDLE, LONGEST = timedelta(days=7), timedelta(days=30)
PROOF_LASTS = timedelta(minutes=15)
KEPT = timedelta(days=30)  # after its end
TOUCH_AFTER = timedelta(minutes=5)  # how exact ``last_seen_at`` is: a write a request would be too much
# By the database's time, because it has written the columns, and so that the statements can be made once.
LIVE = (
    Session.ended_at.is_(None),
    Session.last_seen_at > func.now() - IDLE,
    Session.created_at > func.now() - LONGEST,
)

# The first that an agent names is what it is: most name others, too.
_BROWSERS = (
    *(("Edg", "Edge"), ("OPR/", "Opera"), ("Vivaldi", "Vivaldi"), ("SamsungBrowser", "Samsung Internet")),
    *(("Firefox/", "Firefox"), ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari")),
)
_SYSTEMS = (
    *(("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS")),
    *(("Windows", "Windows"), ("Mac OS X", "macOS"), ("Linux", "Linux")),
)


@dataclass(frozen=True)
class Device:
    """A live session as its person sees it. ``device`` is empty for what nobody knows."""

    id: UUID
    device: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    here: bool


def begin(user_id: UUID, address: str, agent: str) -> str:
    """Begin a session for somebody who has proved who they are; the secret for the cookie, which is nowhere else.

    Inside the caller's transaction. ``agent`` is what the browser says of itself, of which a few words are kept.
    """
    secret = secrets.token_urlsafe(32)
    row = Session(user_id=user_id, secret_hash=hash_secret(secret), address=address[:45], device=device_of(agent))
    db.session.add(row)
    db.session.flush()
    log.info("session %s of %s began", row.id, user_id)
    return secret


def hash_secret(secret: str) -> str:
    """What is kept of a secret: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def touch(session_id: UUID, last_seen_at: datetime, address: str) -> None:
    """Note that a session is used, and from where; at most once in ``TOUCH_AFTER``."""
    if now() - last_seen_at > TOUCH_AFTER:
        with transaction():
            used = update(Session).where(Session.id == session_id, Session.ended_at.is_(None))
            used = used.values(last_seen_at=func.now(), address=address[:45])
            db.session.execute(used.execution_options(synchronize_session=False))


def is_proved(session_id: UUID) -> bool:
    """Whether the password was entered in this session within ``PROOF_LASTS``."""
    recent = Session.id == session_id, Session.proved_at > now() - PROOF_LASTS
    return db.session.scalar(select(Session.id).where(*recent)) is not None


def prove(session_id: UUID) -> None:
    """Note that the password was entered just now, inside the caller's transaction."""
    db.session.execute(update(Session).where(Session.id == session_id).values(proved_at=now()))


def end(user_id: UUID, session_id: UUID) -> None:
    """End one of a person's sessions, inside the caller's transaction. Raises ``NotFound``."""
    if not _end(Session.user_id == user_id, Session.id == session_id):
        raise NotFound(_("There is no such session."))
    log.info("session %s of %s was ended", session_id, user_id)


def end_all(user_id: UUID, *, but: UUID | None = None) -> int:
    """End a person's sessions, all or all but one, inside the caller's transaction; how many."""
    count = _end(Session.user_id == user_id, *([Session.id != but] if but else []))
    log.info("%s sessions of %s were ended", count, user_id)
    return count


def devices(user_id: UUID, here: UUID | None) -> list[Device]:
    """A person's live sessions, the one that asks (``here``) first, then by when they were last used."""
    rows = db.session.scalars(select(Session).where(Session.user_id == user_id, *LIVE).limit(200))
    found = [Device(s.id, _shown(s.device), s.address, s.created_at, s.last_seen_at, s.id == here) for s in rows]
    return sorted(found, key=lambda each: (each.here, each.last_seen_at), reverse=True)


def has_any(user_id: UUID) -> bool:
    """Whether this person has logged in during the last weeks."""
    return bool(db.session.scalar(select(exists().where(Session.user_id == user_id))))


def last_seen(user_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """When each of these people last used a session of the last weeks; who did not is left out."""
    latest = select(Session.user_id, func.max(Session.last_seen_at)).where(Session.user_id.in_(user_ids))
    return {row[0]: row[1] for row in db.session.execute(latest.group_by(Session.user_id))}


def forget() -> Text:
    """Delete sessions that ended more than 30 days ago; a periodic task."""
    before = now() - KEPT
    over = Session.ended_at < before, Session.last_seen_at < before - IDLE, Session.created_at < before - LONGEST
    with transaction():
        result = cast(CursorResult[Any], db.session.execute(delete(Session).where(or_(*over))))
    return Text(
        "Sessions that ended more than %(days)s days ago were deleted: %(count)s.",
        days=KEPT.days,
        count=result.rowcount,
    )


def device_of(agent: str) -> str:
    """Browser and system in words, such as “Firefox on Windows”; empty for what nobody knows."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if browser and system else browser or system


def _shown(device: str) -> str:
    """The words of ``device_of`` in the reader's language."""
    browser, _on, system = device.partition(" on ")
    return _("%(browser)s on %(system)s", browser=browser, system=system) if system else device


def _end(*which: Any) -> int:
    statement = update(Session).where(*which, Session.ended_at.is_(None)).values(ended_at=now())
    result = db.session.execute(statement.execution_options(synchronize_session=False))
    return cast(CursorResult[Any], result).rowcount
