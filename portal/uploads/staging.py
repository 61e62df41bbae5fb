"""What an upload leaves behind in the bucket, and its removal."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update

from portal import db as database
from portal.assets.models import Asset, AssetState
from portal.db import db, transaction
from portal.storage import keys
from portal.storage import service as storage
from portal.storage.bucket import Bucket
from portal.uploads.models import Upload
from portal.uploads.service import OPEN

# A signed request that was sent just before it expired may still be writing: S3 checks the expiry at its beginning.
GRACE = timedelta(minutes=5)


def clear(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> None:
    """Remove the staging key and every copy but the one that the asset's row names. Safe to repeat.

    Done when the upload ends, and once more after its form has expired, because a form can be replayed until then.
    Only the second time counts as done. An upload that is not over yet is left alone.
    """
    database.enter(tenant_id)
    upload = db.session.scalar(select(Upload).where(Upload.workspace_id == workspace_id, Upload.id == upload_id))
    if upload is None or upload.state in OPEN:
        return
    asset = db.session.scalar(select(Asset).where(Asset.workspace_id == workspace_id, Asset.upload_id == upload_id))
    if asset is not None and asset.state is AssetState.PROCESSING:
        return
    bucket = storage.bucket_for(storage.find_profile(workspace_id, upload.profile_id))
    started_at = database.now()
    bucket.delete_prefix(keys.staging_prefix(workspace_id, upload_id))
    if asset is not None:
        _clear_copies(bucket, asset)
    elif upload.asset_id is not None:  # purged meanwhile: an attempt that stalled may still have written
        bucket.delete_prefix(keys.asset_prefix(workspace_id, upload.asset_id))
    if started_at > upload.form_expires_at + GRACE:
        with transaction(tenant_id):
            db.session.execute(update(Upload).where(Upload.id == upload_id).values(cleared_at=func.now()))


def _clear_copies(bucket: Bucket, asset: Asset) -> None:
    """Copies that lost. The row is read again for each, because a rescan may be moving the winner meanwhile."""
    originals = keys.original_prefix(asset.workspace_id, asset.id)
    held = keys.quarantine_prefix(asset.workspace_id, asset.id)
    for key in [entry[0] for prefix in (originals, held) for entry in bucket.list(prefix)]:
        statement = select(Asset.object_key, Asset.claim_token).where(Asset.id == asset.id)
        current = db.session.execute(statement).one_or_none()
        if current is None or (current.claim_token is None and current.object_key != key):
            bucket.delete(key)
