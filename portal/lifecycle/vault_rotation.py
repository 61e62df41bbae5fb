"""Replacing a vault key while everything runs: data keys are wrapped anew, what they seal stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from flask import current_app
from sqlalchemy import select

from portal.database import db, transaction
from portal.errors import Unavailable
from portal.storage.models import StorageProfile
from portal.storage.service import owner_of, sealed_of
from portal.tenancy.models import Tenant
from portal.vault import Vault, vault_of


@dataclass(frozen=True)
class Rotation:
    """How many secrets were wrapped anew, were so before, and open with none of the keys that are configured."""

    rewrapped: int = 0
    current: int = 0
    closed: int = 0

    def __add__(self, other: Rotation) -> Rotation:
        """Both together."""
        return Rotation(self.rewrapped + other.rewrapped, self.current + other.current, self.closed + other.closed)


def rotate(*others: Callable[[Vault], Rotation]) -> Rotation:
    """Wrap every data key with the newest vault key. Safe to repeat, and to break off: each tenant is one transaction.

    ``others`` do the same for what else is sealed for the entered tenant. Processes that run meanwhile open both, as
    long as they know both keys.
    """
    vault = vault_of(current_app.extensions["portal.settings"].vault_keys)
    with transaction():
        tenants = list(db.session.scalars(select(Tenant.id).order_by(Tenant.id)))
    return sum((_rotate_tenant(tenant_id, vault, others) for tenant_id in tenants), Rotation())


def _rotate_tenant(tenant_id: UUID, vault: Vault, others: Sequence[Callable[[Vault], Rotation]]) -> Rotation:
    with transaction(tenant_id) as session:
        sealed = select(StorageProfile).where(StorageProfile.sealed_secret.is_not(None)).with_for_update()
        done = [_rotate_profile(profile, vault) for profile in session.scalars(sealed)]
        done += [rewrap(vault) for rewrap in others]
        session.flush()
        session.expunge_all()  # a deployment has many
    return sum(done, Rotation())


def _rotate_profile(profile: StorageProfile, vault: Vault) -> Rotation:
    if profile.vault_key_id == vault.newest:
        return Rotation(current=1)
    try:
        anew = vault.rewrap(sealed_of(profile), owner_of(profile))
    except Unavailable:
        return Rotation(closed=1)
    profile.wrapped_key, profile.vault_key_id = anew.wrapped_key, anew.key_id
    return Rotation(rewrapped=1)
