"""The random secrets of one embedded stack: created once, kept in a file that only its owner can read."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from portal.embedded.faults import StackError
from portal.embedded.folder import write_private


@dataclass(frozen=True, repr=False)
class Secrets:
    """Passwords of the engines and keys of the portal."""

    database_superuser: str
    database_owner: str
    database_app: str
    valkey: str
    s3_access_key_id: str
    s3_secret_access_key: str
    session_key: str
    vault_key: str


def load_or_create(file: Path) -> Secrets:
    """The secrets in this file; new ones when it does not exist. Raises ``StackError`` when it is damaged."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return Secrets(**{part.name: str(stored[part.name]) for part in fields(Secrets)})
    except FileNotFoundError:
        made = _create()
        write_private(file, asdict(made))
        return made
    except (ValueError, KeyError, TypeError, OSError):
        raise StackError(
            f"The secrets in {file} can't be read. Put the file back from a backup: without it the data in "
            f"{file.parent} can't be opened. To start empty instead, choose another folder: PORTAL_DATA_DIR=…"
        ) from None


def _create() -> Secrets:
    return Secrets(
        database_superuser=secrets.token_urlsafe(24),
        database_owner=secrets.token_urlsafe(24),
        database_app=secrets.token_urlsafe(24),
        valkey=secrets.token_urlsafe(24),
        # As long as AWS's own, 20 and 40 characters.
        s3_access_key_id=secrets.token_hex(10).upper(),
        s3_secret_access_key=secrets.token_urlsafe(30),
        session_key=secrets.token_urlsafe(48),
        vault_key=base64.urlsafe_b64encode(os.urandom(32)).decode(),
    )
