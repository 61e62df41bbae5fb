"""Removing an asset for good: the objects first, then in one transaction its row and what the quota counts.

What is deleted leaves when its time in the trash is over, what is held when nobody has decided within a week.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select

from portal import audit
from portal.assets import leases
from portal.assets.leases import Lease
from portal.assets.models import Asset, AssetState
from portal.database import db, transaction
from portal.events import service as events
from portal.events.models import EventType
from portal.objectstore import keys
from portal.quotas import service as quotas
from portal.storage import health
from portal.storage import service as storage

log = logging.getLogger(__name__)

HELD_FOR = timedelta(days=7)  # in quarantine
LEAVING = Asset.state.in_((AssetState.DELETED, AssetState.QUARANTINED))


def purge(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Remove what is due to be removed; anything else, and a second call, changes nothing.

    A crash in between leaves a row that still knows its keys, and the sweep rings again; so it does while the store is
    away.
    """
    due = (Asset.workspace_id == workspace_id, LEAVING, Asset.purge_after <= func.now())
    with leases.hold(tenant_id, asset_id, *due) as lease:
        if lease is None:
            return
        asset = db.session.scalars(select(Asset).where(*lease.mine)).one()
        _remove_objects(asset)
        _remove_row(lease, asset)


def _remove_objects(asset: Asset) -> None:
    """Everything that was ever written for it, other attempts' copies and replayed uploads included."""
    profile = storage.find_profile(asset.workspace_id, asset.profile_id)
    health.require_ours(profile)
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
        gone = delete(Asset).where(*lease.mine, LEAVING, Asset.purge_after <= func.now()).returning(Asset.charged_bytes)
        charged = session.execute(gone.execution_options(synchronize_session=False)).scalar_one_or_none()
        if charged is None:
            log.warning("asset %s was claimed by somebody else while it was purged", asset.id)
            return
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
        session.flush()
        if charged:
            quotas.free(asset.tenant_id, asset.workspace_id, asset.id, charged)
