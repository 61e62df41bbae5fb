"""Rotation of the vault key while everything runs: data keys are wrapped again, the secrets stay sealed as they are."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.database import db, transaction
from portal.errors import Unavailable
from portal.tenancy.models import Tenant
from portal.vault import SealedSecrets, Vault, vault_of


@dataclass(frozen=True)
class Rotation:
    """How many secrets were rewrapped, had the newest key already, and can be opened with no configured key."""

    rewrapped: int = 0
    current: int = 0
    closed: int = 0

    def __add__(self, other: Rotation) -> Rotation:
        """Both together."""
        return Rotation(self.rewrapped + other.rewrapped, self.current + other.current, self.closed + other.closed)


def rotate() -> Rotation:
    """Wrap every data key that packages have registered with the newest vault key.

    Safe to repeat and to interrupt: each tenant is one transaction. Other processes can open both, as long as they are
    configured with both keys.
    """
    vault = vault_of(current_app.extensions["portal.settings"].vault_keys)
    with transaction():
        tenants = list(db.session.scalars(select(Tenant.id).order_by(Tenant.id)))
    return sum((_rotate_tenant(tenant_id, vault) for tenant_id in tenants), Rotation())


def _rotate_tenant(tenant_id: UUID, vault: Vault) -> Rotation:
    done = Rotation()
    with transaction(tenant_id) as session:
        for secrets in current_app.extensions["portal.sealed_secrets"]:
            done += _rotate_table(session, secrets, vault)
        session.flush()
        session.expunge_all()  # a deployment has many tenants, and this session sees them all
    return done


def _rotate_table(session: Session, secrets: SealedSecrets, vault: Vault) -> Rotation:
    done = Rotation()
    # Locked: a secret that is replaced at the same time must not be overwritten with the rewrapped old one.
    rows = select(secrets.model).where(secrets.model.sealed_secret.is_not(None)).with_for_update()
    for row in session.scalars(rows):
        if row.vault_key_id == vault.newest:
            done += Rotation(current=1)
            continue
        try:
            rewrapped = vault.rewrap(secrets.sealed(row), secrets.owner_of(row))
        except Unavailable:
            done += Rotation(closed=1)
            continue
        row.wrapped_key, row.vault_key_id = rewrapped.wrapped_key, rewrapped.key_id
        done += Rotation(rewrapped=1)
    return done
