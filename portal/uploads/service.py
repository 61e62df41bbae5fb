"""Commands of an upload session: begin, commit, cancel, expire, and the refusal that ends one for good."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal import audit, queue
from portal import db as database
from portal.assets import kinds, library
from portal.assets.models import Asset
from portal.db import after_commit, compare_and_set, db, transaction
from portal.errors import Conflict, Invalid, NotFound, Problem
from portal.quotas import service as quotas
from portal.storage import keys
from portal.storage import service as storage
from portal.storage.bucket import Bucket
from portal.storage.location import ObjectFacts
from portal.storage.signing import SignedRequest
from portal.tenancy.service import Member
from portal.uploads.models import Upload, UploadState

SHORTEST_LIFE = timedelta(hours=1)
LONGEST_LIFE = timedelta(days=1)
SLOWEST_BITS_PER_SECOND = 1_000_000  # product.md: one hour plus the size at 1 Mbit/s, at most a day
SINGLE_REQUEST_LIMIT = 5 * 1024**3  # bytes; S3: a single PUT or POST takes at most 5 GB
IDEMPOTENCY_LIFE = timedelta(hours=24)
OPEN = (UploadState.CREATED, UploadState.UPLOADING)


@dataclass(frozen=True)
class Spec:
    """What a client promises to send. ``sha256`` in lower-case hex."""

    file_name: str
    mime_type: str
    size_bytes: int
    sha256: str | None = None
    library_id: UUID | None = None
    folder_id: UUID | None = None


@dataclass(frozen=True)
class Begun:
    """A session and the request that the client now sends; ``signed`` is None once nothing may be written any more."""

    upload: Upload
    signed: SignedRequest | None


def begin(member: Member, spec: Spec, idempotency_key: str | None = None) -> Begun:
    """Check, reserve and sign, before a byte moves. No network.

    The same ``idempotency_key`` within 24 hours gives the same session freshly signed; with another body ``Conflict``.
    Raises ``Invalid`` (also ``unsupported_type``, ``file_too_large``, ``quota_exceeded``) and ``NotFound``.
    """
    kind = kinds.check_name(spec.file_name)
    kinds.check_size(kind, spec.size_bytes)
    if spec.size_bytes > SINGLE_REQUEST_LIMIT:
        raise Invalid(
            "A file of this size must be sent in parts, which this client did not offer.",
            code="file_too_large",
            limit_bytes=SINGLE_REQUEST_LIMIT,
        )
    if idempotency_key and (earlier := _begun_before(member, spec, idempotency_key)):
        return earlier
    try:
        return _open(member, spec, kind, idempotency_key)
    except IntegrityError:
        # Only the idempotency key can collide: the same request arrived twice at once, and the other one won.
        earlier = _begun_before(member, spec, idempotency_key or "")
        if earlier is None:
            raise
        return earlier


def _open(member: Member, spec: Spec, kind: kinds.Kind, idempotency_key: str | None) -> Begun:
    workspace_id = member.workspace
    with transaction(member.tenant_id):
        profile = storage.active_profile(workspace_id)
        library_id = _library_for(workspace_id, spec)
        expires_at = database.now() + life_of(spec.size_bytes)
        upload = Upload(
            id=database.new_id(),
            tenant_id=member.tenant_id,
            workspace_id=workspace_id,
            profile_id=profile.id,
            library_id=library_id,
            folder_id=spec.folder_id,
            user_id=member.user_id,
            file_name=spec.file_name,
            kind=kind.name,
            declared_type=spec.mime_type[:200],
            signed_type=kinds.content_type_for(spec.file_name) or "application/octet-stream",
            size_bytes=spec.size_bytes,
            sha256=spec.sha256,
            method=storage.upload_method(profile),
            reserved_bytes=spec.size_bytes,
            idempotency_key=idempotency_key,
            request_hash=_hash_of(spec) if idempotency_key else None,
            expires_at=expires_at,
            form_expires_at=expires_at,
        )
        db.session.add(upload)
        audit.record(
            member.tenant_id,
            member.user_id,
            "upload.begin",
            upload.id,
            workspace_id=workspace_id,
            file_name=spec.file_name,
            size_bytes=spec.size_bytes,
        )
        db.session.flush()
        quotas.reserve(member.tenant_id, workspace_id, upload.id, spec.size_bytes)
    return Begun(upload, sign(upload, storage.bucket_for(profile)))


def sign(upload: Upload, bucket: Bucket) -> SignedRequest | None:
    """The one request that may write this upload's staging key; None when the session is over."""
    left = int((upload.form_expires_at - database.now()).total_seconds())
    if upload.state not in OPEN or left <= 0:
        return None
    presign = bucket.presign_post if upload.method == "POST" else bucket.presign_put
    return presign(
        staging_key(upload),
        content_type=upload.signed_type,
        size=upload.size_bytes,
        sha256=upload.sha256,
        expires_in=left,
    )


def find(member: Member, upload_id: UUID) -> Upload:
    """One of this person's own sessions in this workspace. Raises ``NotFound``."""
    statement = select(Upload).where(
        Upload.workspace_id == member.workspace, Upload.id == upload_id, Upload.user_id == member.user_id
    )
    upload: Upload | None = db.session.scalar(statement.execution_options(populate_existing=True))
    if upload is None:
        raise NotFound("There is no such upload.")
    return upload


def commit(member: Member, upload_id: UUID, sha256: str | None = None, etag: str | None = None) -> Asset:
    """The client says that the bytes are there: look at the object, then make the asset. Safe to repeat and to race.

    Raises ``Conflict`` (``upload_missing``: the session stays open; ``upload_expired``; ``conflict`` when it was
    cancelled) and ``Invalid`` (``size_mismatch``, ``checksum_mismatch``: the session has failed).
    """
    upload = find(member, upload_id)
    if upload.state not in OPEN:
        return _committed_before(upload)
    if upload.expires_at < database.now():
        expire(upload.tenant_id, upload.workspace_id, upload.id)
        return _committed_before(find(member, upload_id))  # expired now, unless another commit came before
    profile = storage.find_profile(upload.workspace_id, upload.profile_id)
    facts = storage.bucket_for(profile).head(staging_key(upload))
    if facts is None:
        raise Conflict(
            "The file has not arrived in storage yet. Send it, then commit again.",
            code="upload_missing",
            expires_at=upload.expires_at.isoformat(),
        )
    if refusal := _contradiction(upload, facts, sha256, etag):
        if refuse(upload, refusal.code, refusal.detail, member.user_id):
            raise refusal
        return _committed_before(find(member, upload_id))
    return _make_asset(upload, facts, sha256, profile.id)


def cancel(member: Member, upload_id: UUID) -> None:
    """Abort a session that is still open; repeating it, or aborting what is over, changes nothing.

    Raises ``Conflict`` once it was committed: then it is an asset, which can be deleted.
    """
    upload = find(member, upload_id)
    if upload.state in (UploadState.VERIFYING, UploadState.COMMITTED):
        raise Conflict("This upload was committed already. Delete the file instead.")
    if _end(upload, UploadState.ABORTED, "aborted", "The upload was cancelled.", member.user_id):
        return
    if find(member, upload_id).state in (UploadState.VERIFYING, UploadState.COMMITTED):
        raise Conflict("This upload was committed already. Delete the file instead.")


def expire(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> None:
    """End a session whose time is over, whether or not bytes arrived."""
    database.enter(tenant_id)
    upload = db.session.scalar(select(Upload).where(Upload.workspace_id == workspace_id, Upload.id == upload_id))
    if upload is not None and upload.expires_at < database.now():
        _end(upload, UploadState.EXPIRED, "upload_expired", "The upload was not finished in time.", None)


def refuse(upload: Upload, code: str, detail: str, actor_id: UUID | None) -> bool:
    """End a session for good: its bytes are removed, its reservation is released, the reason stays.

    False when it was over, or committed, before.
    """
    return _end(upload, UploadState.FAILED, code, detail, actor_id)


def staging_key(upload: Upload) -> str:
    """The only key that is signed for writing."""
    return keys.staging(upload.workspace_id, upload.id, upload.file_name)


def life_of(size_bytes: int) -> timedelta:
    """How long a single-request session lives."""
    return min(SHORTEST_LIFE + timedelta(seconds=size_bytes * 8 / SLOWEST_BITS_PER_SECOND), LONGEST_LIFE)


def _end(upload: Upload, to: UploadState, code: str, detail: str, actor_id: UUID | None) -> bool:
    """Close an open session and give its reservation back, once; did this call do it?"""
    with transaction(upload.tenant_id):
        closed = compare_and_set(
            Upload,
            [Upload.id == upload.id, Upload.state.in_(OPEN)],
            to,
            reason_code=code,
            reason_detail=detail,
            reserved_bytes=0,
        )
        if not closed:
            return False
        audit.record(
            upload.tenant_id, actor_id, f"upload.{to.value}", upload.id, workspace_id=upload.workspace_id, reason=code
        )
        quotas.release(upload.tenant_id, upload.workspace_id, upload.id, upload.size_bytes)
        after_commit(lambda: _ring("clear_staging", upload, upload.id))
    return True


def _library_for(workspace_id: UUID, spec: Spec) -> UUID:
    """The library that the spec names, or the folder's, or the workspace's first. Raises ``NotFound``, ``Invalid``."""
    if spec.folder_id is not None:
        home = library.find_folder(workspace_id, spec.folder_id).library_id
        if spec.library_id not in (None, home):
            raise Invalid("The folder belongs to another library.", field="folder_id")
        return home
    if spec.library_id is not None:
        return library.find_library(workspace_id, spec.library_id).id
    return library.default_library(workspace_id).id


def _make_asset(upload: Upload, facts: ObjectFacts, sha256: str | None, profile_id: UUID) -> Asset:
    asset = Asset(
        id=database.new_id(),
        tenant_id=upload.tenant_id,
        workspace_id=upload.workspace_id,
        library_id=upload.library_id,
        folder_id=upload.folder_id,
        profile_id=profile_id,
        upload_id=upload.id,
        created_by=upload.user_id,
        file_name=upload.file_name,
        kind=upload.kind,
        mime_type=upload.signed_type,
        size_bytes=upload.size_bytes,
        staged_etag=facts.etag,
        due_at=database.now() + timedelta(seconds=30),
    )
    with transaction(upload.tenant_id):
        known = {"sha256": sha256} if sha256 and not upload.sha256 else {}
        won = compare_and_set(Upload, [Upload.id == upload.id], UploadState.VERIFYING, asset_id=asset.id, **known)
        if won:
            db.session.add(asset)
            audit.record(upload.tenant_id, upload.user_id, "upload.commit", upload.id, workspace_id=upload.workspace_id)
            after_commit(lambda: _ring("take_in", upload, asset.id))
    if won:
        return asset
    db.session.refresh(upload)
    return _committed_before(upload)


def _committed_before(upload: Upload) -> Asset:
    if upload.asset_id is not None:
        asset: Asset | None = db.session.scalar(
            select(Asset).where(Asset.workspace_id == upload.workspace_id, Asset.id == upload.asset_id)
        )
        if asset is None:
            raise NotFound("The file of this upload was deleted for good.")
        return asset
    if upload.state is UploadState.EXPIRED:
        raise _expired()
    if upload.state is UploadState.FAILED:
        raise Invalid(upload.reason_detail or "The upload failed.", code=upload.reason_code)
    raise Conflict("This upload was cancelled. Begin a new one.")


def _contradiction(upload: Upload, facts: ObjectFacts, sha256: str | None, etag: str | None) -> Problem | None:
    """What the store or the client says against the promise, as far as it can be told without reading the bytes."""
    if facts.size != upload.size_bytes:
        return Invalid(
            f"The file in storage has {facts.size} bytes, {upload.size_bytes} were announced. Upload it again.",
            code="size_mismatch",
            expected_bytes=upload.size_bytes,
            found_bytes=facts.size,
        )
    digests = {digest.lower() for digest in (upload.sha256, sha256, facts.sha256) if digest}
    if len(digests) > 1 or (etag and etag.strip('"').lower() != facts.etag.lower()):
        return Invalid(
            "The file in storage is not the one that was announced: its checksum differs. Upload it again.",
            code="checksum_mismatch",
        )
    return None


def _expired() -> Conflict:
    return Conflict("This upload was not finished in time. Begin a new one.", code="upload_expired")


def _begun_before(member: Member, spec: Spec, idempotency_key: str) -> Begun | None:
    database.enter(member.tenant_id)
    statement = select(Upload).where(
        Upload.workspace_id == member.workspace,
        Upload.user_id == member.user_id,
        Upload.idempotency_key == idempotency_key,
    )
    upload = db.session.scalar(statement)
    if upload is None:
        return None
    if upload.created_at < database.now() - IDEMPOTENCY_LIFE:
        _forget_key(upload)
        return None
    if upload.request_hash != _hash_of(spec):
        raise Conflict("This Idempotency-Key was used for another file. Use a new key for a new upload.")
    return begun(upload)


def begun(upload: Upload) -> Begun:
    """A session with a fresh signature for what is left of its life."""
    profile = storage.find_profile(upload.workspace_id, upload.profile_id)
    return Begun(upload, sign(upload, storage.bucket_for(profile)))


def _forget_key(upload: Upload) -> None:
    with transaction(upload.tenant_id):
        db.session.execute(update(Upload).where(Upload.id == upload.id).values(idempotency_key=None))


def _hash_of(spec: Spec) -> str:
    facts: dict[str, Any] = asdict(spec)
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _ring(job: str, upload: Upload, target_id: UUID) -> None:
    queue.ring(job, upload.tenant_id, upload.workspace_id, target_id)
