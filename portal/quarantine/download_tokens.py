"""Tickets: that one person, in one session, may fetch one quarantined file once, within ten minutes of
proving who they are.

A ticket is a random number. What it is good for is kept in Valkey under its hash, and is gone with the first try.
Valkey may lose it at any time: then somebody begins again with their password.
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
    """A ticket. Raises ``Unavailable`` while Valkey is away."""
    ticket = secrets.token_urlsafe(32)
    try:
        _valkey().set(_key(ticket), _bearer(member, session_id, asset_id), ex=SECONDS)
    except redis.RedisError:
        raise _away() from None
    return ticket


def use(ticket: str, member: Member, session_id: UUID | None, asset_id: UUID) -> None:
    """Take a ticket; whoever shows it, it is over then.

    Raises ``Conflict`` for one that is used, old or somebody else's, ``Unavailable`` while Valkey is away.
    """
    try:
        found = _valkey().getdel(_key(ticket))
    except redis.RedisError:
        raise _away() from None
    if found != _bearer(member, session_id, asset_id).encode():
        raise Conflict(
            _("This download link works once, for ten minutes and for one person. Enter your password again.")
        )


def _bearer(member: Member, session_id: UUID | None, asset_id: UUID) -> str:
    return f"{member.tenant_id} {member.user_id} {session_id} {asset_id}"


def _key(ticket: str) -> str:
    return f"stowage:ticket:{hashlib.sha256(ticket.encode(errors='replace')).hexdigest()}"


def _valkey() -> redis.Redis:
    found: redis.Redis = current_app.extensions["portal.redis"]
    return found


def _away() -> Unavailable:
    return Unavailable(_("Quarantined files can't be downloaded right now. Try again in a moment."), retry_after=10)
