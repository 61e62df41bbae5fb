"""Removing an asset for good: the objects first, then in one transaction its row and what the quota counts.

Deleted files are purged after their time in the trash, quarantined ones when nobody has decided within a week.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func

from portal import audit, tasks
from portal.assets import leases
from portal.assets.models import Asset, AssetState
from portal.database import now, transaction
from portal.events import service as events
from portal.events.models import EventType
from portal.objectstore import keys
from portal.quotas import service as quotas
from portal.storage import health
from portal.storage import service as storage
from portal.tasks import Lease

QUARANTINED_FOR = timedelta(days=7)  # in quarantine
LEAVING = Asset.state.in_((AssetState.DELETED, AssetState.QUARANTINED))


def schedule(asset: Asset, due_at: datetime) -> None:
    """Have it removed for good then; in the transaction that puts ``purge_after`` on its row."""
    tasks.schedule("purge", asset.id, tenant_id=asset.tenant_id, workspace_id=asset.workspace_id, due_at=due_at)


def purge(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Remove what is due to be removed; anything else, and a second call, changes nothing.

    A crash in between leaves a row that still knows its keys, and a task that is due; so does a store that is
    unavailable.
    """
    with leases.acquire("purge", tenant_id, workspace_id, asset_id) as leased:
        if leased is None:
            return
        lease, asset = leased.lease, leased.asset
        if asset.state not in (AssetState.DELETED, AssetState.QUARANTINED) or asset.purge_after is None:
            return
        # The time was put off, for example by an order to release it, after this task became due.
        if asset.purge_after > now():
            with transaction(tenant_id):
                tasks.hand_back(lease, asset.purge_after)
            return
        _remove_objects(asset)
        _remove_row(lease, asset)


def _remove_objects(asset: Asset) -> None:
    """Everything that was ever written for it, other attempts' copies and replayed uploads included."""
    profile = storage.find_profile(asset.workspace_id, asset.profile_id)
    # A bucket that was created again may be somebody else's: nothing in it is deleted, nothing counts as deleted.
    health.require_marker(profile)
    bucket = storage.bucket_for(profile)
    for prefix in (
        keys.asset_prefix(asset.workspace_id, asset.id),
        keys.quarantine_prefix(asset.workspace_id, asset.id),
        keys.staging_prefix(asset.workspace_id, asset.upload_id),
    ):
        bucket.delete_prefix(prefix)


def _remove_row(lease: Lease, asset: Asset) -> None:
    """The counters come last, as everywhere: the workspace's row is locked by everybody who uploads to it."""
    with transaction(lease.tenant_id) as session:
        gone = delete(Asset).where(Asset.id == asset.id, LEAVING, Asset.purge_after <= func.now())
        unseen = gone.returning(Asset.charged_bytes).execution_options(synchronize_session=False)
        charged = session.execute(unseen).scalar_one_or_none()
        tasks.complete(lease)
        if charged is None:
            return
        tasks.cancel(asset.id)  # previews and scans of a file that is gone
        facts = {"file_name": asset.file_name, "size_bytes": asset.size_bytes, "sha256": asset.sha256}
        audit.record(
            asset.tenant_id,
            None,
            "asset.purged",
            asset.id,
            workspace_id=asset.workspace_id,
            freed_bytes=charged,
            **facts,
        )
        names = {"asset_id": str(asset.id), "file_name": asset.file_name}
        events.record(EventType.ASSET_PURGED, asset.tenant_id, asset.workspace_id, **names, freed_bytes=charged)
        session.flush()  # the audit entry and the event are written before the counters are locked
        if charged:
            quotas.free(asset.tenant_id, asset.workspace_id, asset.id, charged)
