"""Removes what an upload leaves behind in the bucket."""

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
    """Schedule the removal of what the upload leaves behind; in the transaction that ends it.

    It always runs once more after the form has expired: until then the form can be replayed.
    """
    due_at = None if at_once else upload.form_expires_at + GRACE
    tasks.schedule(
        "clear_staging", upload.id, tenant_id=upload.tenant_id, workspace_id=upload.workspace_id, due_at=due_at
    )


def clear(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> None:
    """Remove the staging object, its parts, and every copy except the one that the asset's row names.

    Safe to repeat. Runs when the upload ends, and again after its form has expired, because a form can be replayed
    until then; every 15 minutes in between where no asset is charged for what a replay stores. The task is complete
    after the last run. An open upload is left alone.
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
                tasks.hand_back(lease, _next_run(upload, asset, started_at))


def clear_now(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> None:
    """``clear`` at the end of a verification, by the same worker. What fails is left to the task."""
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
    # Only a person can fix this store: each request to it would block a worker until the network's timeout.
    if profile.health is Health.UNHEALTHY:
        raise Unavailable(profile.reason or _("The storage does not work right now."), code="storage_unavailable")
    try:
        return _empty(storage.bucket_for(profile), upload, asset)
    except Unavailable as problem:
        health.report_problem(upload.tenant_id, profile.id, problem)
        raise


def _next_run(upload: Upload, asset: Asset | None, at: datetime) -> datetime:
    """After the form has expired; earlier, too, where a replayed form would store bytes that nothing counts."""
    over = upload.form_expires_at + GRACE
    if at >= over:
        return at + CLEAR_AGAIN
    return over if asset is not None and asset.charged_bytes else min(over, at + CLEAR_AGAIN)


def _empty(bucket: Bucket, upload: Upload, asset: Asset | None) -> bool:
    """False when a copy that lost may be left."""
    if upload.method == MULTIPART:
        _abort_parts(bucket, upload)
    bucket.delete_prefix(keys.staging_prefix(upload.workspace_id, upload.id))
    if asset is not None:
        return _clear_copies(bucket, asset)
    if upload.asset_id is not None:  # purged meanwhile: a stalled attempt may have written since
        bucket.delete_prefix(keys.asset_prefix(upload.workspace_id, upload.asset_id))
        bucket.delete_prefix(keys.quarantine_prefix(upload.workspace_id, upload.asset_id))
    return True


def _abort_parts(bucket: Bucket, upload: Upload) -> None:
    """Abort the multipart upload of the row, and one that a process created before it died without saving its id.

    A key may lack the right to abort; then a lifecycle rule of the bucket has to remove the parts.
    """
    parts = bucket.multipart(staging_key(upload))
    try:
        if upload.multipart_id is not None:
            parts.abort(upload.multipart_id)
    except Unavailable as problem:
        if not errors.needs_person(problem):
            raise
        log.info("parts of upload %s stay until a rule of the bucket removes them", upload.id)
    with suppress(Unavailable):  # listing uploads is an optional right, too
        for multipart_id in parts.list_uploads():
            parts.abort(multipart_id)


def _find(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> tuple[Upload | None, Asset | None]:
    """Both as they are now: a compare-and-set changes rows past the identity map of this session."""
    database.enter(tenant_id)
    fresh = {"populate_existing": True}
    upload = select(Upload).where(Upload.workspace_id == workspace_id, Upload.id == upload_id)
    asset = select(Asset).where(Asset.workspace_id == workspace_id, Asset.upload_id == upload_id)
    return db.session.scalar(upload, execution_options=fresh), db.session.scalar(asset, execution_options=fresh)


def _clear_copies(bucket: Bucket, asset: Asset) -> bool:
    """Delete copies of attempts that lost. The row is read again for each: a rescan may be moving the winner.

    False while a worker has a lease on the asset, because the row does not show yet which copy wins.
    """
    originals = keys.original_prefix(asset.workspace_id, asset.id)
    quarantined = keys.quarantine_prefix(asset.workspace_id, asset.id)
    for key in [entry[0] for prefix in (originals, quarantined) for entry in bucket.list(prefix)]:
        if tasks.is_leased(asset.id):
            return False
        current = db.session.execute(select(Asset.object_key).where(Asset.id == asset.id)).one_or_none()
        if current is None or current.object_key != key:
            bucket.delete(key)
    return True
