"""Commands on an upload session: commit, cancel, expire, and the refusal that ends one for good."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from flask_babel import gettext
from sqlalchemy import func, select, update

from portal import audit, database, tasks
from portal.assets import daily_counts
from portal.assets.models import Asset, AssetState
from portal.database import compare_and_set, db, transaction
from portal.errors import Conflict, Invalid, NotFound, Problem, Unavailable
from portal.folders.models import Folder
from portal.objectstore.location import ObjectFacts
from portal.quotas import service as quotas
from portal.storage import health
from portal.storage import service as storage
from portal.storage.models import StorageProfile
from portal.tenancy import blocks
from portal.tenancy.service import Member
from portal.texts import Text
from portal.uploads import part_plan, verify
from portal.uploads.models import MULTIPART, OPEN, Upload, UploadState
from portal.uploads.staging import schedule_clear, staging_key

LONGEST_FIRST_LIFE = timedelta(days=1)  # of a session in parts of which none has arrived


def find(member: Member, upload_id: UUID) -> Upload:
    """One of this person's own sessions in this workspace: to be read, not changed. Raises ``NotFound``."""
    return find_with_profile(member, upload_id)[0]


def find_with_profile(member: Member, upload_id: UUID) -> tuple[Upload, StorageProfile]:
    """``find``, with the profile whose bucket its bytes go to."""
    return _find(member.tenant_id, member.workspace, upload_id, member.user_id)


def find_open(member: Member, upload_id: UUID) -> tuple[Upload, StorageProfile]:
    """A session that still takes bytes. Raises ``NotFound``; ``Conflict``, ``Invalid`` when it has ended."""
    upload, profile = find_with_profile(member, upload_id)
    if upload.state in OPEN and upload.expires_at < database.now():
        expire(upload.tenant_id, upload.workspace_id, upload.id)
        upload, profile = find_with_profile(member, upload_id)
    if upload.state not in OPEN:
        _asset_or_refusal(upload)
        raise Conflict(gettext("This upload is committed already."))
    return upload, profile


def _find(tenant_id: UUID, workspace_id: UUID, upload_id: UUID, user_id: UUID) -> tuple[Upload, StorageProfile]:
    database.enter(tenant_id)
    statement = (
        select(Upload, StorageProfile)
        .join(StorageProfile, StorageProfile.id == Upload.profile_id)
        .where(Upload.workspace_id == workspace_id, Upload.id == upload_id, Upload.user_id == user_id)
        # After a lost race it is read again, and the identity map would give the row as it was before.
        .execution_options(populate_existing=True)
    )
    row = db.session.execute(statement).one_or_none()
    if row is None:
        raise NotFound(gettext("There is no such upload."))
    upload, profile = row
    return upload, profile


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
        return _asset_or_refusal(upload)
    try:
        facts = _staged_facts(upload, profile)
    except Conflict:
        if (now := find(member, upload_id)).state not in OPEN:
            return _asset_or_refusal(now)  # another commit was first, and its staging object is gone already
        raise
    except Unavailable as problem:
        health.report_problem(upload.tenant_id, profile.id, problem)
        raise
    if refusal := _mismatch(upload, facts, sha256, etag):
        if refuse(upload, refusal.code, refusal.text, member.user_id):
            raise refusal
        return _asset_or_refusal(find(member, upload_id))
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


def cancel(member: Member, upload_id: UUID) -> None:
    """Abort a session that is still open; repeating it, or aborting an ended session, changes nothing.

    Raises ``Conflict`` once it was committed: then it is an asset, which can be deleted.
    """
    upload = find(member, upload_id)
    if upload.state in (UploadState.VERIFYING, UploadState.COMMITTED):
        raise Conflict(gettext("This upload is committed already. Delete the file instead."))
    if _end(upload, UploadState.ABORTED, "aborted", Text("The upload was cancelled."), member.user_id):
        return
    if find(member, upload_id).state in (UploadState.VERIFYING, UploadState.COMMITTED):
        raise Conflict(gettext("This upload is committed already. Delete the file instead."))


def expire(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> None:
    """End a session that has expired, unless it had the short life before its first part, and a part is there now.

    Uses the network. Raises ``Unavailable``.
    """
    database.enter(tenant_id)
    statement = select(Upload, StorageProfile).join(StorageProfile, StorageProfile.id == Upload.profile_id)
    found = db.session.execute(
        statement.where(Upload.workspace_id == workspace_id, Upload.id == upload_id)
    ).one_or_none()
    if found is None:
        return
    upload, profile = found
    if not _prolong(upload, profile):
        _end(upload, UploadState.EXPIRED, "upload_expired", Text("The upload was not finished in time."), None)


def has_long_life(upload: Upload) -> bool:
    """Whether the session has the life of one of which a part has arrived (or is from before there was another)."""
    return upload.expires_at > upload.created_at + LONGEST_FIRST_LIFE


def _prolong(upload: Upload, profile: StorageProfile) -> bool:
    """Give a session in parts its seven days, when its first, short life is over and a part has arrived; done?

    Parts that were signed all at once arrive without another request to us.
    """
    over = upload.state in OPEN and upload.expires_at < database.now()
    if not over or upload.method != MULTIPART or has_long_life(upload):
        return False
    if not part_plan.arrived_of(upload, storage.bucket_for(profile)):
        return False
    ends_at = upload.expires_at + part_plan.LIFE
    here = Upload.id == upload.id, Upload.state.in_(OPEN), Upload.expires_at == upload.expires_at
    with transaction(upload.tenant_id):
        statement = update(Upload).where(*here).values(expires_at=ends_at).returning(Upload.id)
        return db.session.scalar(statement.execution_options(synchronize_session=False)) is not None


def expire_due(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> None:
    """``expire`` for the scheduler. A session that was extended meanwhile is due again at its new end."""
    with tasks.acquire("expire", tenant_id, workspace_id, upload_id) as lease:
        if lease is None:
            return
        expire(tenant_id, workspace_id, upload_id)
        here = Upload.workspace_id == workspace_id, Upload.id == upload_id, Upload.state.in_(OPEN)
        with transaction(tenant_id):
            ends_at = db.session.scalar(select(Upload.expires_at).where(*here))
            if ends_at is not None:
                tasks.hand_back(lease, ends_at)


def count_open_of(tenant_id: UUID, user_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many open sessions these people have in the entered tenant; who has none is left out."""
    here = Upload.tenant_id == tenant_id, Upload.user_id.in_(user_ids), Upload.state.in_(OPEN)
    counted = select(Upload.user_id, func.count()).where(*here).group_by(Upload.user_id)
    return {row[0]: row[1] for row in db.session.execute(counted)}


def end_all_of(tenant_id: UUID, user_id: UUID, actor_id: UUID) -> int:
    """Abort every open session of a person in a tenant, and give its reservations back at once; how many.

    Each in a transaction of its own: the counters of a workspace are not locked for all of them together.
    """
    database.enter(tenant_id)
    here = Upload.tenant_id == tenant_id, Upload.user_id == user_id, Upload.state.in_(OPEN)
    uploads = db.session.scalars(select(Upload).where(*here).execution_options(populate_existing=True)).all()
    db.session.expunge_all()  # each transaction ends what the one before has loaded
    words = Text("An administrator ended this upload.")
    return sum(_end(each, UploadState.ABORTED, "aborted", words, actor_id) for each in uploads)


def refuse(upload: Upload, code: str, detail: Text, actor_id: UUID | None) -> bool:
    """End a session for good: its bytes are removed, its reservation is released, the reason stays.

    False when it was over, or committed, before.
    """
    return _end(upload, UploadState.FAILED, code, detail, actor_id)


def _end(upload: Upload, to: UploadState, code: str, detail: Text, actor_id: UUID | None) -> bool:
    """Close an open session and release its reservation, once. Returns whether this call did it."""
    condition = [Upload.id == upload.id, Upload.state.in_(OPEN)]
    if to is UploadState.EXPIRED:
        condition.append(Upload.expires_at < database.now())  # signing a part may have extended it just now
    with transaction(upload.tenant_id):
        closed = compare_and_set(
            Upload,
            condition,
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
        daily_counts.count(upload.tenant_id, "upload", to.value, upload.size_bytes)
        if to is UploadState.FAILED:
            daily_counts.count(upload.tenant_id, "upload", f"failed:{code}")
        tasks.cancel(upload.id, "expire")
        schedule_clear(upload, at_once=True)
        quotas.release(upload.tenant_id, upload.workspace_id, upload.id, upload.reserved_bytes)
    return True


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
    latest, _ = _find(upload.tenant_id, upload.workspace_id, upload.id, upload.user_id)
    if latest.state in OPEN:
        blocks.require_unblocked(upload.tenant_id, upload.user_id)
    return _asset_or_refusal(latest)


def _folder_of(upload: Upload) -> Folder | None:
    """The upload's folder, locked as it is now; None at a library's top.

    The folder may have been moved since the upload began, also to another library; where it was deleted, the file goes
    to the top of the upload's library.
    """
    if upload.folder_id is None:
        return None
    statement = select(Folder).where(Folder.id == upload.folder_id, Folder.deleted_at.is_(None))
    return db.session.scalar(statement.with_for_update(read=True).execution_options(populate_existing=True))


def _asset_or_refusal(upload: Upload) -> Asset:
    """The asset of an ended session. Raises why there is none."""
    if upload.asset_id is not None:
        asset: Asset | None = db.session.scalar(
            select(Asset).where(Asset.workspace_id == upload.workspace_id, Asset.id == upload.asset_id)
        )
        if asset is None:
            raise NotFound(gettext("The file of this upload was deleted permanently."))
        return asset
    if upload.state is UploadState.EXPIRED:
        raise _expired()
    if upload.state is UploadState.FAILED:
        raise Invalid(upload.reason_detail or Text("The upload failed."), code=upload.reason_code)
    raise Conflict(gettext("This upload was cancelled. Begin a new one."))


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


def _expired() -> Conflict:
    return Conflict(gettext("This upload was not finished in time. Begin a new one."), code="upload_expired")
