"""Download tokens: one person, in one session, may download one quarantined file once, within ten minutes of giving
their password.

A token is a random number. What it allows is stored in Valkey under its hash and is deleted by the first attempt.
Valkey may lose it at any time: then the person gives the password again.
"""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID

import redis
from flask import current_app
from flask_babel import gettext as _

from portal.errors import Conflict, Unavailable
from portal.tenancy.service import Member

SECONDS = 600


def issue(member: Member, session_id: UUID | None, asset_id: UUID) -> str:
    """A new token. Raises ``Unavailable`` while Valkey does not answer."""
    token = secrets.token_urlsafe(32)
    try:
        _valkey().set(_key(token), _bearer(member, session_id, asset_id), ex=SECONDS)
    except redis.RedisError:
        raise _unavailable() from None
    return token


def use(token: str, member: Member, session_id: UUID | None, asset_id: UUID) -> None:
    """Use up a token, whoever sends it.

    Raises ``Conflict`` for one that is used, expired or somebody else's, ``Unavailable`` while Valkey does not answer.
    """
    try:
        # GETDEL is atomic: of two requests with one token only one finds it.
        found = _valkey().getdel(_key(token))
    except redis.RedisError:
        raise _unavailable() from None
    if found != _bearer(member, session_id, asset_id).encode():
        raise Conflict(
            _("This download link works once, for ten minutes and for one person. Enter your password again.")
        )


def _bearer(member: Member, session_id: UUID | None, asset_id: UUID) -> str:
    return f"{member.tenant_id} {member.user_id} {session_id} {asset_id}"


def _key(token: str) -> str:
    return f"stowage:download-token:{hashlib.sha256(token.encode(errors='replace')).hexdigest()}"


def _valkey() -> redis.Redis:
    found: redis.Redis = current_app.extensions["portal.redis"]
    return found


def _unavailable() -> Unavailable:
    return Unavailable(_("Quarantined files can't be downloaded right now. Try again in a moment."), retry_after=10)
