"""Sealing of credentials that customers hand us. Knows no table, uses no network.

Each secret is encrypted with AES-256-GCM (NIST SP 800-38D) under a data key of its own, and the data key, the same way,
under a vault key. Vault keys come from PORTAL_VAULT_KEYS: 32 bytes each, derived by HKDF-SHA256 (RFC 5869) from the
configured text, which has to be random already, because HKDF does not make a guessable text any better. Both layers are
bound to the row that keeps them as additional data: what was copied into another row does not open there.

The newest vault key (the first) seals; all of them open. To replace one, only data keys are wrapped anew (``rewrap``):
``lifecycle.vault_rotation`` does it for every ``SealedSecrets`` that a package has registered in ``app.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Flask

from portal.errors import Unavailable
from portal.texts import Text

KEY_BYTES = 32
NONCE_BYTES = 12  # random: each key encrypts few messages, far from the 2^32 that SP 800-38D allows
ID_BYTES = 8

_WRAPPING, _NAMING = b"stowage vault key", b"stowage vault key id"
_SECRET, _DATA_KEY = b"secret", b"data key"


@dataclass(frozen=True)
class Owner:
    """The row that keeps a secret: its tenant, what it belongs to there (a workspace, an endpoint), and its own id."""

    tenant_id: UUID
    parent_id: UUID
    row_id: UUID

    def bound(self, what: bytes) -> bytes:
        """The additional data that ties a ciphertext to its row, and to its use there."""
        return b"stowage/1/%b/%b%b%b" % (what, self.tenant_id.bytes, self.parent_id.bytes, self.row_id.bytes)


@dataclass(frozen=True)
class Sealed:
    """What a row keeps. ``key_id`` identifies the vault key and reveals nothing of it."""

    secret: bytes = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    key_id: str


@dataclass(frozen=True)
class SealedSecrets:
    """The secrets of one table. ``model`` has the columns ``sealed_secret``, ``wrapped_key`` and ``vault_key_id``."""

    model: type[Any]
    owner_of: Callable[[Any], Owner]

    def sealed(self, row: Any) -> Sealed:
        """As the row keeps it; of a secret that was forgotten nothing is left, and no key opens that."""
        return Sealed(row.sealed_secret or b"", row.wrapped_key or b"", row.vault_key_id or "")

    def seal(self, row: Any, secret: str, vault: Vault) -> None:
        """Put a secret into the row, which has its ids already."""
        sealed = vault.seal(secret, self.owner_of(row))
        row.sealed_secret, row.wrapped_key, row.vault_key_id = sealed.secret, sealed.wrapped_key, sealed.key_id

    def open(self, row: Any, vault: Vault) -> str:
        """The secret of the row. Raises ``Unavailable`` when no key of the deployment opens it."""
        return vault.open(self.sealed(row), self.owner_of(row))


def register(app: Flask, *secrets: SealedSecrets) -> None:
    """Name the tables whose secrets the rotation of vault keys has to wrap anew."""
    app.extensions["portal.sealed_secrets"] = secrets


class Vault:
    """Seals and opens with the keys of a deployment, newest first."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = {_derive(key, _NAMING, ID_BYTES).hex(): _derive(key, _WRAPPING, KEY_BYTES) for key in keys}
        self.newest = next(iter(self._keys))

    def seal(self, secret: str, owner: Owner) -> Sealed:
        """Encrypt a secret under a new data key."""
        data_key = AESGCM.generate_key(KEY_BYTES * 8)
        sealed = _encrypt(data_key, secret.encode(), owner.bound(_SECRET))
        return Sealed(sealed, self._wrap(data_key, owner), self.newest)

    def open(self, sealed: Sealed, owner: Owner) -> str:
        """The secret. Raises ``Unavailable`` when no key here opens it, or it was sealed for another row."""
        try:
            return _decrypt(self._unwrap(sealed, owner), sealed.secret, owner.bound(_SECRET)).decode()
        except InvalidTag:
            raise _cannot_open() from None

    def rewrap(self, sealed: Sealed, owner: Owner) -> Sealed:
        """The same secret under the newest vault key. Raises ``Unavailable`` as ``open`` does."""
        data_key = self._unwrap(sealed, owner)
        return Sealed(sealed.secret, self._wrap(data_key, owner), self.newest)

    def _wrap(self, data_key: bytes, owner: Owner) -> bytes:
        return _encrypt(self._keys[self.newest], data_key, owner.bound(_DATA_KEY))

    def _unwrap(self, sealed: Sealed, owner: Owner) -> bytes:
        if sealed.key_id not in self._keys:
            raise _cannot_open()
        try:
            return _decrypt(self._keys[sealed.key_id], sealed.wrapped_key, owner.bound(_DATA_KEY))
        except InvalidTag:
            raise _cannot_open() from None


@lru_cache(maxsize=4)
def vault_of(keys: tuple[str, ...]) -> Vault:
    """The vault of these configured keys; deriving them takes longer than using them."""
    return Vault(keys)


def _derive(configured: str, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(configured.encode())


def _encrypt(key: bytes, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def _decrypt(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)


def _cannot_open() -> Unavailable:
    return Unavailable(
        Text("The stored secret can't be decrypted. Enter it again, or ask an operator to check the vault keys."),
        code="storage_unavailable",
    )
