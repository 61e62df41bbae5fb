"""Begin an upload session: check, reserve and sign, before a byte moves; once for one Idempotency-Key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import Uuid, bindparam, func, select, update
from sqlalchemy.exc import IntegrityError

from portal import audit, database, tasks
from portal.database import db, transaction
from portal.errors import Conflict, Invalid, Unavailable
from portal.folders import libraries, paths
from portal.inspection import file_kinds
from portal.objectstore.multipart import Part
from portal.objectstore.presign import SignedRequest
from portal.quotas import service as quotas
from portal.settings import Settings
from portal.sizes import format_size
from portal.storage import disk, health
from portal.storage import service as storage
from portal.storage.models import ProfileMode, StorageProfile
from portal.tenancy import blocks, switches
from portal.tenancy.service import Member
from portal.uploads import part_plan
from portal.uploads.models import MULTIPART, OPEN, Upload, UploadState
from portal.uploads.staging import staging_key

SHORTEST_LIFE = timedelta(hours=1)
LONGEST_LIFE = timedelta(days=1)
SLOWEST_BITS_PER_SECOND = 1_000_000  # a session lives one hour plus the time of its size at 1 Mbit/s, at most a day
IDEMPOTENCY_LIFE = timedelta(hours=24)

_OPEN_OF_PERSON = (
    Upload.tenant_id == StorageProfile.tenant_id,
    Upload.user_id == bindparam("user", type_=Uuid()),
    Upload.state.in_(OPEN),
)
_DESTINATION = select(
    StorageProfile,
    select(func.count()).where(*_OPEN_OF_PERSON).correlate(StorageProfile).scalar_subquery().label("open_uploads"),
    select(func.coalesce(func.sum(Upload.size_bytes), 0))
    .where(*_OPEN_OF_PERSON)
    .correlate(StorageProfile)
    .scalar_subquery()
    .label("open_bytes"),
    libraries.first_of(StorageProfile.workspace_id).label("first_library"),
    libraries.home_of(StorageProfile.workspace_id, bindparam("folder", type_=Uuid())).label("folder_library"),
    blocks.reason_for(StorageProfile.tenant_id, bindparam("user", type_=Uuid())).label("blocked"),
).where(StorageProfile.workspace_id == bindparam("workspace"), StorageProfile.active)


@dataclass(frozen=True)
class Spec:
    """The announced file.

    ``sha256`` in lower-case hex; ``folder_path``: names of folders with slashes between them, below ``folder_id`` or
    the top of the library; ``in_parts``: the client supports S3 multipart.
    """

    file_name: str
    mime_type: str
    size_bytes: int
    sha256: str | None = None
    library_id: UUID | None = None
    folder_id: UUID | None = None
    folder_path: str | None = None
    in_parts: bool = False


@dataclass(frozen=True)
class Begun:
    """A session and the request that sends its bytes. ``signed`` is None once nothing may be written any more, and for
    uploads in parts, which are signed one by one. ``there``: the parts that have arrived.
    """

    upload: Upload
    signed: SignedRequest | None
    mode: ProfileMode
    there: Mapping[int, Part] = field(default_factory=dict)


def begin(member: Member, spec: Spec, idempotency_key: str | None = None) -> Begun:
    """Check, reserve and sign, before a byte moves. No network. Missing folders of ``folder_path`` are created.

    The same ``idempotency_key`` within 24 hours gives the same session freshly signed; with another body ``Conflict``.
    A session that was aborted, has expired or failed is replaced by a new one.
    Raises ``Invalid`` (also ``unsupported_type``, ``file_too_large``, ``quota_exceeded``), ``NotFound``, ``Forbidden``;
    ``Unavailable`` while uploads are paused, or the embedded store's disk is nearly full.
    """
    switches.require_uploads()
    disk.require_room()
    kind = file_kinds.check_name(spec.file_name)
    file_kinds.check_size(kind, spec.size_bytes)
    part_plan.check_size(spec.size_bytes, offered=spec.in_parts)
    if idempotency_key and (earlier := _begun_before(member, spec, idempotency_key)):
        return earlier
    try:
        return _open(member, spec, kind, idempotency_key)
    except IntegrityError:
        # Only the idempotency key can collide: the same request arrived twice at once, and the other one was first.
        earlier = _begun_before(member, spec, idempotency_key or "")
        if earlier is None:
            raise
        return earlier


def _open(member: Member, spec: Spec, kind: file_kinds.Kind, idempotency_key: str | None) -> Begun:
    begun_at = database.now()
    with transaction(member.tenant_id):
        profile, library_id = _destination(member, spec)
        health.require_working(profile)
        method = part_plan.method_for(spec.size_bytes, storage.upload_methods_of(profile), offered=spec.in_parts)
        folder_id = spec.folder_id
        if spec.folder_path is not None:
            folder_id = paths.folder_at(member, library_id, folder_id, spec.folder_path)
        # In parts: seven days, but only once a part has arrived (see multipart).
        expires_at = begun_at + (SHORTEST_LIFE if method == MULTIPART else life_of(spec.size_bytes))
        upload = Upload(
            id=database.new_id(),
            created_at=begun_at,
            tenant_id=member.tenant_id,
            workspace_id=member.workspace,
            profile_id=profile.id,
            library_id=library_id,
            folder_id=folder_id,
            user_id=member.user_id,
            file_name=spec.file_name,
            kind=kind.name,
            declared_type=spec.mime_type[:200],
            signed_type=file_kinds.content_type_for(spec.file_name) or "application/octet-stream",
            size_bytes=spec.size_bytes,
            sha256=spec.sha256,
            method=method,
            reserved_bytes=storage.counted(profile, spec.size_bytes),
            state=UploadState.CREATED,
            idempotency_key=idempotency_key,
            request_hash=_hash_of(spec) if idempotency_key else None,
            expires_at=expires_at,
            form_expires_at=begun_at if method == MULTIPART else expires_at,  # no part is signed yet
        )
        db.session.add(upload)
        audit.record(
            member.tenant_id,
            member.user_id,
            "upload.begin",
            upload.id,
            workspace_id=member.workspace,
            file_name=spec.file_name,
            size_bytes=spec.size_bytes,
        )
        tasks.schedule(
            "expire", upload.id, tenant_id=upload.tenant_id, workspace_id=upload.workspace_id, due_at=expires_at
        )
        # Last: from here to the commit every other upload of the tenant waits for its counters.
        quotas.reserve(member.tenant_id, member.workspace, upload.id, upload.reserved_bytes)
    # After the commit: no request is signed for a session that was rolled back, and no lock is held meanwhile.
    return Begun(upload, sign(upload, profile), profile.mode)


def sign(upload: Upload, profile: StorageProfile) -> SignedRequest | None:
    """The one request that may write this upload's staging key; None after its end, and for parts."""
    left = int((upload.form_expires_at - database.now()).total_seconds())
    if upload.state not in OPEN or left <= 0 or upload.method == MULTIPART:
        return None
    bucket = storage.bucket_for(profile)
    presign = bucket.presign_post if upload.method == "POST" else bucket.presign_put
    return presign(
        staging_key(upload),
        content_type=upload.signed_type,
        size=upload.size_bytes,
        sha256=upload.sha256,
        expires_in=left,
    )


def life_of(size_bytes: int) -> timedelta:
    """How long a single-request session lives."""
    return min(SHORTEST_LIFE + timedelta(seconds=size_bytes * 8 / SLOWEST_BITS_PER_SECOND), LONGEST_LIFE)


def _destination(member: Member, spec: Spec) -> tuple[StorageProfile, UUID]:
    """The workspace's active profile, and the library that the spec names, or the folder's, or the workspace's first.

    One statement. Raises ``NotFound``, ``Invalid``, ``Unavailable``; ``Forbidden`` where an admin has blocked this
    person's uploads.
    """
    workspace_id = member.workspace
    found = db.session.execute(
        _DESTINATION, {"workspace": workspace_id, "user": member.user_id, "folder": spec.folder_id}
    ).one_or_none()
    if found is None:
        raise storage.no_storage()
    blocks.refuse(found.blocked)
    _require_bounds(found.open_uploads, found.open_bytes + spec.size_bytes)
    profile: StorageProfile = found.StorageProfile
    if spec.folder_id is not None:
        if found.folder_library is None:
            raise libraries.no_folder()
        if spec.library_id not in (None, found.folder_library):
            raise Invalid(_("The folder belongs to another library."), field="folder_id")
        return profile, found.folder_library
    if spec.library_id is not None:
        return profile, libraries.find_library(workspace_id, spec.library_id).id
    return profile, found.first_library or libraries.default_library(workspace_id).id


def _require_bounds(open_uploads: int, open_bytes: int) -> None:
    """Keep one person's open sessions from reserving a whole tenant. Those of one moment may exceed it by themselves.

    Raises ``Unavailable`` (429 ``rate_limited``).
    """
    settings: Settings = current_app.extensions["portal.settings"]
    if open_uploads >= settings.open_uploads:
        detail = _(
            "You have %(count)s unfinished uploads, and %(most)s at most are possible. Finish or cancel some of them.",
            count=open_uploads,
            most=settings.open_uploads,
        )
        raise Unavailable(detail, code="rate_limited", retry_after=60, open_uploads=open_uploads)
    if open_bytes > settings.open_upload_bytes:
        detail = _(
            "With this file your unfinished uploads would have %(size)s, and %(most)s at most are possible. "
            "Finish or cancel some of them.",
            size=format_size(open_bytes),
            most=format_size(settings.open_upload_bytes),
        )
        raise Unavailable(detail, code="rate_limited", retry_after=60, open_bytes=open_bytes)


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
    over = upload.state in (UploadState.ABORTED, UploadState.EXPIRED, UploadState.FAILED)
    if over or upload.created_at < database.now() - IDEMPOTENCY_LIFE:
        _forget_key(upload)
        return None
    if upload.request_hash != _hash_of(spec):
        raise Conflict(_("This Idempotency-Key was used for another file. Use a new key for a new upload."))
    return begun(upload)


def begun(upload: Upload) -> Begun:
    """A session with a fresh signature for what is left of its life."""
    profile = storage.find_profile(upload.workspace_id, upload.profile_id)
    return Begun(upload, sign(upload, profile), profile.mode)


def _forget_key(upload: Upload) -> None:
    with transaction(upload.tenant_id):
        db.session.execute(update(Upload).where(Upload.id == upload.id).values(idempotency_key=None))


def _hash_of(spec: Spec) -> str:
    facts: dict[str, Any] = asdict(spec)
    if spec.folder_path is None:
        del facts["folder_path"]  # so that uploads begun before this field existed keep their hash
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
