"""The secrets of endpoints: made, sealed, opened for signing, replaced, and wrapped anew with another vault key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from flask import current_app
from sqlalchemy import CursorResult, delete, func, or_, select, update

from portal import database
from portal.database import db
from portal.errors import Conflict, Unavailable
from portal.settings import Settings
from portal.storage.vault_rotation import Rotation
from portal.vault import Owner, Sealed, Vault, vault_of
from portal.webhooks.message import new_secret
from portal.webhooks.models import Secret

OVERLAP = timedelta(hours=24)  # how long the secret before signs, too
MOST = 5  # that sign at once


def issue(tenant_id: UUID, endpoint_id: UUID, *, keep_old: bool) -> str:
    """A new secret, which this once is told; inside the caller's transaction, which holds the endpoint's row.

    The one before goes on signing for ``OVERLAP``, however many are issued meanwhile, or ends now. Raises ``Conflict``.
    """
    at = database.now()
    if len(_valid(endpoint_id, at)) >= MOST and keep_old:
        raise Conflict(
            f"{MOST} secrets are valid already. Wait until the oldest ends, or end all of them with the new one."
        )
    older = update(Secret).where(Secret.endpoint_id == endpoint_id)
    if keep_old:
        db.session.execute(older.where(Secret.ends_at.is_(None)).values(ends_at=at + OVERLAP))
    else:
        db.session.execute(older.where(or_(Secret.ends_at.is_(None), Secret.ends_at > at)).values(ends_at=at))
    plain, row = new_secret(), Secret(id=database.new_id(), tenant_id=tenant_id, endpoint_id=endpoint_id)
    sealed = _vault().seal(plain, _owner(row))
    row.sealed_secret, row.wrapped_key, row.vault_key_id = sealed.secret, sealed.wrapped_key, sealed.key_id
    db.session.add(row)
    db.session.flush()
    return plain


def open_all(endpoint_id: UUID) -> tuple[str, ...]:
    """Every secret that signs at this moment, the newest first. Raises ``Unavailable`` when no vault key opens one."""
    vault = _vault()
    return tuple(vault.open(_sealed(each), _owner(each)) for each in _valid(endpoint_id, database.now()))


def old_until(tenant_id: UUID) -> dict[UUID, datetime]:
    """By endpoint of the entered tenant: until when an older secret signs, too."""
    old = select(Secret.endpoint_id, func.max(Secret.ends_at)).where(Secret.tenant_id == tenant_id)
    rows = db.session.execute(old.where(Secret.ends_at > database.now()).group_by(Secret.endpoint_id))
    return {endpoint_id: ends for endpoint_id, ends in rows if ends is not None}


def forget(tenant_id: UUID) -> int:
    """Remove those of a tenant that have ended, inside the caller's transaction; how many."""
    over = delete(Secret).where(Secret.tenant_id == tenant_id, Secret.ends_at < database.now())
    return cast(CursorResult[Any], db.session.execute(over)).rowcount


def rewrap(vault: Vault) -> Rotation:
    """Wrap the data keys of the entered tenant's secrets with the newest vault key, inside the caller's transaction."""
    done = Rotation()
    for row in db.session.scalars(select(Secret).with_for_update()):
        done += _rewrap(row, vault)
    return done


def _rewrap(row: Secret, vault: Vault) -> Rotation:
    if row.vault_key_id == vault.newest:
        return Rotation(current=1)
    try:
        anew = vault.rewrap(_sealed(row), _owner(row))
    except Unavailable:
        return Rotation(closed=1)
    row.wrapped_key, row.vault_key_id = anew.wrapped_key, anew.key_id
    return Rotation(rewrapped=1)


def _valid(endpoint_id: UUID, at: datetime) -> list[Secret]:
    lives = or_(Secret.ends_at.is_(None), Secret.ends_at > at)
    query = select(Secret).where(Secret.endpoint_id == endpoint_id, lives).order_by(Secret.id.desc())
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def _vault() -> Vault:
    settings: Settings = current_app.extensions["portal.settings"]
    return vault_of(settings.vault_keys)


def _owner(row: Secret) -> Owner:
    """To what it is bound: three ids, as a profile's; the middle one is the endpoint's."""
    return Owner(row.tenant_id, row.endpoint_id, row.id)


def _sealed(row: Secret) -> Sealed:
    return Sealed(row.sealed_secret, row.wrapped_key, row.vault_key_id)
