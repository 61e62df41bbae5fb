"""The secrets of endpoints: issued, sealed, opened for signing, and replaced."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import CursorResult, delete, func, or_, select, update

from portal import database
from portal.database import db
from portal.errors import Conflict
from portal.settings import Settings
from portal.vault import Owner, SealedSecrets, Vault, vault_of
from portal.webhooks.message import new_secret
from portal.webhooks.models import Secret

OVERLAP = timedelta(hours=24)  # how long the secret before goes on signing beside the new one
MAX_VALID = 5
SECRETS = SealedSecrets(Secret, lambda secret: Owner(secret.tenant_id, secret.endpoint_id, secret.id))


def issue(tenant_id: UUID, endpoint_id: UUID, *, keep_old: bool) -> str:
    """Issue a new secret and return it, which is never possible again; inside the caller's transaction.

    The transaction has locked the endpoint's row. The secret before goes on signing for ``OVERLAP``, however many are
    issued meanwhile (``keep_old``), or ends now. Raises ``Conflict`` for more than ``MAX_VALID``.
    """
    at = database.now()
    if len(_valid(endpoint_id, at)) >= MAX_VALID and keep_old:
        raise Conflict(
            _(
                "%(count)s secrets are valid already. Wait until the oldest ends, or end all of them with the new one.",
                count=MAX_VALID,
            )
        )
    older = update(Secret).where(Secret.endpoint_id == endpoint_id)
    if keep_old:
        db.session.execute(older.where(Secret.ends_at.is_(None)).values(ends_at=at + OVERLAP))
    else:
        db.session.execute(older.where(or_(Secret.ends_at.is_(None), Secret.ends_at > at)).values(ends_at=at))
    plain, row = new_secret(), Secret(id=database.new_id(), tenant_id=tenant_id, endpoint_id=endpoint_id)
    SECRETS.seal(row, plain, _vault())
    db.session.add(row)
    db.session.flush()
    return plain


def open_all(endpoint_id: UUID) -> tuple[str, ...]:
    """Every secret that is valid now, the newest first. Raises ``Unavailable`` when no vault key opens one."""
    vault = _vault()
    return tuple(SECRETS.open(each, vault) for each in _valid(endpoint_id, database.now()))


def old_until(tenant_id: UUID) -> dict[UUID, datetime]:
    """By endpoint: until when an older secret of it signs, too."""
    old = select(Secret.endpoint_id, func.max(Secret.ends_at)).where(Secret.tenant_id == tenant_id)
    rows = db.session.execute(old.where(Secret.ends_at > database.now()).group_by(Secret.endpoint_id))
    return {endpoint_id: ends for endpoint_id, ends in rows if ends is not None}


def delete_ended(tenant_id: UUID) -> int:
    """Delete a tenant's secrets that have ended, inside the caller's transaction; returns how many."""
    over = delete(Secret).where(Secret.tenant_id == tenant_id, Secret.ends_at < database.now())
    return cast(CursorResult[Any], db.session.execute(over)).rowcount


def _valid(endpoint_id: UUID, at: datetime) -> list[Secret]:
    lives = or_(Secret.ends_at.is_(None), Secret.ends_at > at)
    query = select(Secret).where(Secret.endpoint_id == endpoint_id, lives).order_by(Secret.id.desc())
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def _vault() -> Vault:
    settings: Settings = current_app.extensions["portal.settings"]
    return vault_of(settings.vault_keys)
