"""What an upload leaves behind in the bucket, and its removal."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import case, func, select, update

from portal import database, tasks
from portal.assets.models import Asset, AssetState
from portal.database import db, transaction
from portal.errors import Unavailable
from portal.objectstore import errors, keys
from portal.objectstore.bucket import Bucket
from portal.storage import health
from portal.storage import service as storage
from portal.storage.models import Health
from portal.uploads.models import MULTIPART, OPEN, Upload

log = logging.getLogger(__name__)

# A signed request that was sent just before it expired may still be writing: S3 checks the expiry at its beginning.
GRACE = timedelta(minutes=5)
CLEAR_AGAIN = timedelta(minutes=15)


def staging_key(upload: Upload) -> str:
    """The only key that is signed for writing."""
    return keys.staging(upload.workspace_id, upload.id, upload.file_name)


def open_until(workspace_id: UUID, profile_id: UUID) -> datetime | None:
    """Until when an upload can still write to this profile; None when no upload needs it any more.

    An upload needs its bucket until its staging key was removed for the last time.
    """
    end = case((Upload.state.in_(OPEN), func.greatest(Upload.expires_at, Upload.form_expires_at)))
    query = select(func.max(func.coalesce(end, Upload.form_expires_at))).where(
        Upload.workspace_id == workspace_id, Upload.profile_id == profile_id, Upload.cleared_at.is_(None)
    )
    until: datetime | None = db.session.scalar(query)
    return until


def schedule_clear(upload: Upload, *, at_once: bool) -> None:
    """Have what the upload leaves behind removed; in the transaction that ends it.

    Always once more after its form has expired: it can be replayed until then.
    """
    due_at = None if at_once else upload.form_expires_at + GRACE
    tasks.schedule(
        "clear_staging", upload.id, tenant_id=upload.tenant_id, workspace_id=upload.workspace_id, due_at=due_at
    )


def clear(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> None:
    """Remove the staging key, parts that never became it, and every copy but the one that the asset's row names.

    Safe to repeat. Done when the upload ends, and once more after its form has expired, because a form can be replayed
    until then; every now and then in between where no file is charged for that. Only after the form is it done. An
    upload that is not over yet is left alone.
    """
    with tasks.acquire("clear_staging", tenant_id, workspace_id, upload_id, wait=CLEAR_AGAIN) as lease:
        if lease is None:
            return
        upload, asset = _find(tenant_id, workspace_id, upload_id)
        if upload is None or upload.state in OPEN:
            return
        started_at = database.now()
        nothing_left = _clear(upload, asset)
        with transaction(tenant_id):
            if nothing_left and started_at > upload.form_expires_at + GRACE:
                db.session.execute(update(Upload).where(Upload.id == upload_id).values(cleared_at=func.now()))
                tasks.complete(lease)
            else:
                tasks.hand_back(lease, _next_time(upload, asset, started_at))


def clear_now(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> None:
    """The same at the end of a verification, by the worker that has the file at hand; what fails is done later."""
    upload, asset = _find(tenant_id, workspace_id, upload_id)
    if upload is None or upload.state in OPEN or (asset is not None and asset.state is AssetState.PROCESSING):
        return
    try:
        _clear(upload, asset)
    except Unavailable as problem:
        log.info("upload %s is cleared later: %s", upload_id, problem.code)


def _clear(upload: Upload, asset: Asset | None) -> bool:
    """False when something may be left. Raises ``Unavailable``."""
    if asset is not None and asset.state is AssetState.PROCESSING:
        return False
    profile = storage.find_profile(upload.workspace_id, upload.profile_id)
    # A store that only a person can repair: each look at it would keep a worker for as long as the network waits.
    if profile.health is Health.UNHEALTHY:
        raise Unavailable(profile.reason or _("The storage does not work right now."), code="storage_unavailable")
    try:
        return _empty(storage.bucket_for(profile), upload, asset)
    except Unavailable as problem:
        health.report_problem(upload.tenant_id, profile.id, problem)
        raise


def _next_time(upload: Upload, asset: Asset | None, at: datetime) -> datetime:
    """After the form; before that, too, where nothing is charged for what a replayed form writes."""
    over = upload.form_expires_at + GRACE
    if at >= over:
        return at + CLEAR_AGAIN
    return over if asset is not None and asset.charged_bytes else min(over, at + CLEAR_AGAIN)


def _empty(bucket: Bucket, upload: Upload, asset: Asset | None) -> bool:
    """False when a copy may be left that lost."""
    if upload.method == MULTIPART:
        _give_up_parts(bucket, upload)
    bucket.delete_prefix(keys.staging_prefix(upload.workspace_id, upload.id))
    if asset is not None:
        return _clear_copies(bucket, asset)
    if upload.asset_id is not None:  # purged meanwhile: an attempt that stalled may still have written
        bucket.delete_prefix(keys.asset_prefix(upload.workspace_id, upload.asset_id))
        bucket.delete_prefix(keys.quarantine_prefix(upload.workspace_id, upload.asset_id))
    return True


def _give_up_parts(bucket: Bucket, upload: Upload) -> None:
    """Abort what the row names, and what a process began that died before it could write it down.

    Where the store refuses that, which it may, the bucket's own rule has to remove the parts.
    """
    parts = bucket.multipart(staging_key(upload))
    try:
        if upload.multipart_id is not None:
            parts.abort(upload.multipart_id)
    except Unavailable as problem:
        if not errors.needs_person(problem):
            raise
        log.info("parts of upload %s stay until a rule of the bucket removes them", upload.id)
    with suppress(Unavailable):  # a right that is optional, too
        for multipart_id in parts.list_uploads():
            parts.abort(multipart_id)


def _find(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> tuple[Upload | None, Asset | None]:
    """Both as they stand now: a compare-and-set changes rows behind the back of what this session read before."""
    database.enter(tenant_id)
    fresh = {"populate_existing": True}
    upload = select(Upload).where(Upload.workspace_id == workspace_id, Upload.id == upload_id)
    asset = select(Asset).where(Asset.workspace_id == workspace_id, Asset.upload_id == upload_id)
    return db.session.scalar(upload, execution_options=fresh), db.session.scalar(asset, execution_options=fresh)


def _clear_copies(bucket: Bucket, asset: Asset) -> bool:
    """Copies that lost. The row is read again for each, because a rescan may be moving the winner meanwhile.

    False when a worker that holds the row keeps us from telling which lost.
    """
    originals = keys.original_prefix(asset.workspace_id, asset.id)
    held = keys.quarantine_prefix(asset.workspace_id, asset.id)
    for key in [entry[0] for prefix in (originals, held) for entry in bucket.list(prefix)]:
        if tasks.is_leased(asset.id):
            return False
        current = db.session.execute(select(Asset.object_key).where(Asset.id == asset.id)).one_or_none()
        if current is None or current.object_key != key:
            bucket.delete(key)
    return True
