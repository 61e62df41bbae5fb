"""A quarantined file on its way to an analyst: an encrypted zip (AES-256), made while it is read, a chunk at a time.

First somebody proves again who they are, and is shown the zip's password, this once; what they get besides is a ticket
for that file (``tickets``). The password is made from the ticket's random number and the deployment's secret key, so
that it is kept nowhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import current_app
from stream_zip import ZIP_AUTO, stream_zip

from portal import audit
from portal.assets.models import Asset
from portal.database import end_read, now, transaction
from portal.objectstore import keys
from portal.objectstore.bucket import ObjectStream
from portal.quarantine import audit as records
from portal.quarantine import decisions, download_tokens, service
from portal.quarantine.models import Verb
from portal.settings import Settings
from portal.storage import service as storage
from portal.tenancy.service import Member

CHUNK = 256 * 1024
PASSWORD_LETTERS = 24  # of 32 each: 120 bits
_MODE = 0o100600  # a plain file that its owner alone may read


@dataclass(frozen=True)
class Ticket:
    """What fetches one file once it is shown: ``token`` goes with the request, ``password`` opens the zip."""

    token: str
    password: str


@dataclass(frozen=True)
class Packed:
    """The zip as it goes out; ``close`` ends the reading, however far it came."""

    name: str
    chunks: Iterator[bytes]
    close: Callable[[], None]


def issue(member: Member, session_id: UUID | None, asset_id: UUID, reason: str) -> Ticket:
    """A ticket for one quarantined file, written down as a decision. Raises as ``decisions.decide`` does."""
    reason = decisions.checked_reason(reason)
    with transaction(member.tenant_id):
        records.note(service.find_held(member.tenant_id, asset_id), Verb.DOWNLOAD, member.user_id, reason)
    token = download_tokens.issue(member, session_id, asset_id)
    return Ticket(token, _password(token))


def pack(member: Member, session_id: UUID | None, asset_id: UUID, token: str) -> Packed:
    """The zip of the file that the ticket names, this once. Raises as ``tickets.use`` does, and ``NotFound``."""
    download_tokens.use(token, member, session_id, asset_id)
    with transaction(member.tenant_id):
        asset = service.find_held(member.tenant_id, asset_id)
        told: dict[str, Any] = {"file_name": asset.file_name, "sha256": asset.sha256, "size_bytes": asset.size_bytes}
        place = member.tenant_id, member.user_id
        audit.record(*place, "quarantine.downloaded", asset_id, workspace_id=asset.workspace_id, **told)
    bucket = storage.bucket_for(storage.find_profile(asset.workspace_id, asset.profile_id))
    end_read()
    held = ExitStack()
    stream = held.enter_context(bucket.get(asset.object_key or ""))
    return Packed(f"{keys.safe_name(asset.file_name)}.zip", _zipped(asset, stream, _password(token)), held.close)


def _zipped(asset: Asset, stream: ObjectStream, password: str) -> Iterator[bytes]:
    chunks = iter(lambda: stream.read(CHUNK), b"")
    member = (keys.safe_name(asset.file_name), now(), _MODE, ZIP_AUTO(asset.size_bytes), chunks)
    return iter(stream_zip([member], password=password, chunk_size=CHUNK))


def _secret() -> str:
    settings: Settings = current_app.extensions["portal.settings"]
    return settings.secret_keys[0]


def _password(token: str) -> str:
    digest = hmac.digest(_secret().encode(), f"quarantine-zip:{token}".encode(), hashlib.sha256)
    return base64.b32encode(digest).decode()[:PASSWORD_LETTERS].lower()
