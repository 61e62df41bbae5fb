"""Download of a quarantined file for analysis: an encrypted zip (AES-256), made chunk by chunk while it is sent.

An admin gives their password again, sees the zip's password once, and gets a token for that file
(``download_tokens``). The zip's password is derived from the token and the deployment's secret key, so that it is
stored nowhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID

from flask import current_app
from stream_zip import ZIP_AUTO, stream_zip

from portal import audit
from portal.assets.models import Asset
from portal.database import end_read, now, transaction
from portal.objectstore import keys
from portal.objectstore.bucket import ObjectStream
from portal.quarantine import decision_log, decisions, download_tokens, service
from portal.quarantine.models import DecisionKind
from portal.settings import Settings
from portal.storage import service as storage
from portal.tenancy.service import Member

CHUNK = 256 * 1024
PASSWORD_LENGTH = 24  # base32 characters: 120 bits
_MODE = 0o100600  # a regular file that only its owner can read, and nobody can execute


@dataclass(frozen=True)
class DownloadGrant:
    """``token`` is sent with the download, ``password`` opens the zip."""

    token: str
    password: str


@dataclass(frozen=True)
class EncryptedZip:
    """The zip as it is sent; ``close`` closes the object's stream, also when the client went away in the middle."""

    name: str
    chunks: Iterator[bytes]
    close: Callable[[], None]


def issue(member: Member, session_id: UUID | None, asset_id: UUID, reason: str) -> DownloadGrant:
    """Permission to download one quarantined file, recorded as a decision.

    Raises ``Invalid`` for the reason and ``NotFound``.
    """
    reason = decisions.checked_reason(reason)
    with transaction(member.tenant_id):
        asset = service.find_asset(member.tenant_id, asset_id)
        decision_log.record(asset, DecisionKind.DOWNLOAD, member.user_id, reason)
    token = download_tokens.issue(member, session_id, asset_id)
    return DownloadGrant(token, _password(token))


def open_zip(member: Member, session_id: UUID | None, asset_id: UUID, token: str) -> EncryptedZip:
    """The zip of the file that the token allows. Raises as ``download_tokens.use`` does, and ``NotFound``."""
    download_tokens.use(token, member, session_id, asset_id)
    with transaction(member.tenant_id):
        asset = service.find_asset(member.tenant_id, asset_id)
        audit.record(
            member.tenant_id,
            member.user_id,
            "quarantine.downloaded",
            asset_id,
            workspace_id=asset.workspace_id,
            file_name=asset.file_name,
            sha256=asset.sha256,
            size_bytes=asset.size_bytes,
        )
    bucket = storage.bucket_for(storage.find_profile(asset.workspace_id, asset.profile_id))
    end_read()  # no connection of the pool is kept while a large file is sent to a slow client
    resources = ExitStack()
    stream = resources.enter_context(bucket.get(asset.object_key or ""))
    name = keys.safe_name(asset.file_name)
    return EncryptedZip(f"{name}.zip", _zip_chunks(asset, stream, _password(token)), resources.close)


def _zip_chunks(asset: Asset, stream: ObjectStream, password: str) -> Iterator[bytes]:
    chunks = iter(lambda: stream.read(CHUNK), b"")
    member = (keys.safe_name(asset.file_name), now(), _MODE, ZIP_AUTO(asset.size_bytes), chunks)
    return iter(stream_zip([member], password=password, chunk_size=CHUNK))


def _password(token: str) -> str:
    settings: Settings = current_app.extensions["portal.settings"]
    digest = hmac.digest(settings.secret_keys[0].encode(), f"quarantine-zip:{token}".encode(), hashlib.sha256)
    return base64.b32encode(digest).decode()[:PASSWORD_LENGTH].lower()
