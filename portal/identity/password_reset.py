"""A forgotten password: a link by e-mail, which sets another one.

The link is signed by Flask-Security's serializer and names the person by ``fs_uniquifier``, which every change of the
password replaces: of two links that were sent, the second one is worth nothing once the first was used (OWASP, Forgot
Password Cheat Sheet). Only the e-mail has the link.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from flask_babel import gettext as _
from flask_security.recoverable import generate_reset_password_token
from flask_security.utils import check_and_get_token_status, hash_password
from sqlalchemy import select

from portal import tasks
from portal.database import db, now, transaction
from portal.errors import Conflict, NotFound
from portal.identity import service, sessions
from portal.identity.models import User
from portal.mail import service as mail
from portal.mail.service import Addressee
from portal.tasks import NOWHERE

log = logging.getLogger(__name__)

WITHIN = timedelta(hours=1)


def request_reset(email: str) -> None:
    """Have the e-mail sent where there is such a person who may log in. Nobody learns whether there is."""
    user = service.find_user(email)
    if user is None or not user.active:
        return
    with transaction():
        tasks.schedule("send_password_reset", user.id)


def send(user_id: UUID) -> None:
    """Write the e-mail with the link; a job."""
    with tasks.acquire("send_password_reset", NOWHERE, NOWHERE, user_id) as lease:
        if lease is None:
            return
        with transaction() as session:
            user = session.get(User, user_id)
            if user is not None and user.active:
                token = generate_reset_password_token(user)  # type: ignore[no-untyped-call]  # the library has no types there
                to = [Addressee(user.name, user.email, user.language)]
                minutes = int(WITHIN.total_seconds() // 60)
                mail.enqueue("password_reset", to, None, minutes=minutes, path=f"/reset-password/{token}")
            tasks.complete(lease)


def find_by_token(token: str) -> User:
    """Whose password a link sets. Raises ``NotFound`` for one that is not valid or was used, ``Conflict`` when late."""
    expired, invalid, data = check_and_get_token_status(token, "reset", WITHIN)
    named = data[0] if not invalid and isinstance(data, list) and data else None
    user = db.session.scalar(select(User).where(User.fs_uniquifier == named, User.active)) if named else None
    if user is None:
        raise NotFound(_("This link is not valid, or was used already."))
    if expired:
        raise Conflict(_("This link has expired: it is valid for an hour."))
    return user


def reset(token: str, password: str) -> None:
    """Set another password; all sessions and API tokens end, because somebody else may have made them.

    Raises ``NotFound``, ``Conflict`` as ``find_by_token``, ``Invalid`` for a weak password.
    """
    user = find_by_token(token)
    hashed = hash_password(service.checked_password(password, user.email, user.name))
    used_for = user.fs_uniquifier
    with transaction():
        # Of two that use the same link at once one finds it used.
        if not service.set_password(user.id, hashed, User.fs_uniquifier == used_for, User.active.is_(True)):
            raise NotFound(_("This link is not valid, or was used already."))
        sessions.end_all(user.id)
        service.revoke_all_tokens(user.id)
        to = [Addressee(user.name, user.email, user.language)]
        mail.enqueue("password_changed", to, None, at=now(), path="/account")
    log.warning("%s has set another password by a link", user.id)
