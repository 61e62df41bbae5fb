"""Commit: the client has sent the bytes, and the session becomes an asset that a worker verifies."""

from __future__ import annotations

from uuid import UUID

from flask_babel import gettext
from sqlalchemy import func, select

from portal import audit, database, tasks
from portal.assets.models import Asset, AssetState
from portal.database import compare_and_set, db, transaction
from portal.errors import Conflict, Invalid, Problem, Unavailable
from portal.folders.models import Folder
from portal.objectstore.location import ObjectFacts
from portal.storage import health
from portal.storage import service as storage
from portal.storage.models import StorageProfile
from portal.tenancy import blocks
from portal.tenancy.service import Member
from portal.texts import Text
from portal.uploads import part_plan, verify
from portal.uploads.expire import expire
from portal.uploads.models import MULTIPART, OPEN, Upload, UploadState
from portal.uploads.session import asset_or_refusal, find, find_with_profile, read, refuse
from portal.uploads.staging import staging_key


def commit(member: Member, upload_id: UUID, sha256: str | None = None, etag: str | None = None) -> Asset:
    """The client has sent the bytes: check the object, then make the asset. Safe to repeat and to race.

    Raises ``Conflict`` (``upload_missing``: the session stays open; ``upload_expired``; ``conflict`` when it was
    cancelled), ``Invalid`` (``size_mismatch``, ``checksum_mismatch``: the session has failed) and ``Forbidden`` when an
    admin has blocked this person's uploads.
    """
    upload, profile = find_with_profile(member, upload_id)
    if upload.state in OPEN and upload.expires_at < database.now():
        expire(upload.tenant_id, upload.workspace_id, upload.id)
        # Expired now, unless another commit, or a part that was signed meanwhile, came first.
        upload = find(member, upload_id)
    if upload.state not in OPEN:
        return asset_or_refusal(upload)
    try:
        facts = _staged_facts(upload, profile)
    except Conflict:
        if (now := find(member, upload_id)).state not in OPEN:
            return asset_or_refusal(now)  # another commit was first, and its staging object is gone already
        raise
    except Unavailable as problem:
        health.report_problem(upload.tenant_id, profile.id, problem)
        raise
    if refusal := _mismatch(upload, facts, sha256, etag):
        if refuse(upload, refusal.code, refusal.text, member.user_id):
            raise refusal
        return asset_or_refusal(find(member, upload_id))
    return _make_asset(upload, facts, sha256, profile.id)


def _staged_facts(upload: Upload, profile: StorageProfile) -> ObjectFacts:
    """The object at the staging key, completed where it was sent in parts. Raises ``Conflict`` (``upload_missing``)."""
    bucket = storage.bucket_for(profile)
    try:
        if upload.method == MULTIPART:
            part_plan.assemble(upload, bucket)
        facts = bucket.head(staging_key(upload))
        if facts is None:
            raise Conflict(
                gettext("The file has not arrived in the storage yet. Send it, then commit again."),
                code="upload_missing",
                expires_at=database.zulu(upload.expires_at),
            )
    except Conflict:
        health.require_marker(profile)  # in a bucket that was deleted and created again the object is missing, too
        raise
    return facts


def _make_asset(upload: Upload, facts: ObjectFacts, sha256: str | None, profile_id: UUID) -> Asset:
    """The upload's asset, made by whoever wins a race of commits; the others get the same one."""
    asset_id = database.new_id()
    with transaction(upload.tenant_id):
        if compare_and_set(
            Upload,
            # Blocking a person ends their open uploads; this condition refuses one that commits in the same moment.
            [Upload.id == upload.id, ~blocks.is_blocked(upload.tenant_id, upload.user_id)],
            UploadState.VERIFYING,
            asset_id=asset_id,
            sha256=func.coalesce(Upload.sha256, sha256.lower() if sha256 else None),
        ):
            folder = _folder_of(upload)
            asset = Asset(
                id=asset_id,
                tenant_id=upload.tenant_id,
                workspace_id=upload.workspace_id,
                library_id=folder.library_id if folder else upload.library_id,
                folder_id=folder.id if folder else None,
                profile_id=profile_id,
                upload_id=upload.id,
                created_by=upload.user_id,
                file_name=upload.file_name,
                kind=upload.kind,
                mime_type=upload.signed_type,
                size_bytes=upload.size_bytes,
                staged_etag=facts.etag,
                state=AssetState.PROCESSING,
            )
            db.session.add(asset)
            audit.record(upload.tenant_id, upload.user_id, "upload.commit", upload.id, workspace_id=upload.workspace_id)
            tasks.cancel(upload.id, "expire")
            verify.schedule(asset)
            return asset
    latest, _ = read(upload.tenant_id, upload.workspace_id, upload.id, upload.user_id)
    if latest.state in OPEN:
        blocks.require_unblocked(upload.tenant_id, upload.user_id)
    return asset_or_refusal(latest)


def _folder_of(upload: Upload) -> Folder | None:
    """The upload's folder, locked as it is now; None at a library's top.

    The folder may have been moved since the upload began, also to another library; where it was deleted, the file goes
    to the top of the upload's library.
    """
    if upload.folder_id is None:
        return None
    statement = select(Folder).where(Folder.id == upload.folder_id, Folder.deleted_at.is_(None))
    return db.session.scalar(statement.with_for_update(read=True).execution_options(populate_existing=True))


def _mismatch(upload: Upload, facts: ObjectFacts, sha256: str | None, etag: str | None) -> Problem | None:
    """How the stored object differs from what was announced, as far as size and checksums show without reading it."""
    if facts.size != upload.size_bytes:
        return Invalid(
            Text(
                "The file in the storage has %(found)s bytes instead of %(announced)s. Upload it again.",
                found=facts.size,
                announced=upload.size_bytes,
            ),
            code="size_mismatch",
            expected_bytes=upload.size_bytes,
            found_bytes=facts.size,
        )
    digests = {digest.lower() for digest in (upload.sha256, sha256, facts.sha256) if digest}
    if len(digests) > 1 or (etag and etag.strip('"').lower() != facts.etag.lower()):
        return Invalid(
            Text("The file in the storage is not the one that was announced: its checksum differs. Upload it again."),
            code="checksum_mismatch",
        )
    return None
