"""Scanning files that were taken in before: unscanned, once there is a scanner, or with older signatures."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import current_app
from sqlalchemy import and_, case, delete, func, null, or_, select, update

from portal import audit, database
from portal.assets import alerts, daily_counts, full_scans, leases, quarantine_orders
from portal.assets.leases import Lease
from portal.assets.models import Asset, AssetState, PreviewState, ScanResult, Variant
from portal.assets.purge import HELD_FOR
from portal.database import compare_and_set, db, transaction
from portal.errors import NotFound
from portal.events import service as events
from portal.events.models import EventType
from portal.inspection import intake
from portal.inspection.scan_result import ScanVerdict
from portal.inspection.scanner import Scanner
from portal.objectstore import keys
from portal.objectstore.bucket import Bucket
from portal.storage import service as storage

INFECTED = "A virus was found when the file was scanned later."


def rescan(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Give an available, unscanned asset its verdict; an infected one moves to quarantine. Safe to run twice.

    A move that was interrupted after the row had switched is brought to its end.
    """
    unscanned = and_(Asset.state == AssetState.AVAILABLE, Asset.scan_result == ScanResult.NOT_SCANNED)
    half_moved = and_(Asset.state == AssetState.QUARANTINED, Asset.due_at.is_not(None), Asset.desk_job.is_(None))
    with leases.hold(tenant_id, asset_id, Asset.workspace_id == workspace_id, or_(unscanned, half_moved)) as lease:
        if lease is None:
            return
        asset = db.session.scalars(select(Asset).where(*lease.mine)).one()
        bucket = storage.bucket_for(storage.find_profile(workspace_id, asset.profile_id))
        if asset.state is AssetState.QUARANTINED:
            _remove_rest(lease, asset, bucket)
        elif leases.exhausted(asset):
            _note(lease, ScanVerdict("not_scanned", reason="unscannable"))
        else:
            _scan(lease, asset, bucket)


def scan_again(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Look at a clean file once more, as long as everything is being scanned; safe to run twice.

    A scanner that can't look this time takes no verdict away: the file stays what it was.
    """
    whole = full_scans.running()
    if whole is None:
        return
    old = or_(Asset.scanned_at.is_(None), Asset.scanned_at < whole.created_at)
    clean = Asset.state == AssetState.AVAILABLE, Asset.scan_result == ScanResult.CLEAN, old
    with leases.hold(tenant_id, asset_id, Asset.workspace_id == workspace_id, *clean) as lease:
        if lease is None:
            return
        asset = db.session.scalars(select(Asset).where(*lease.mine)).one()
        bucket = storage.bucket_for(storage.find_profile(workspace_id, asset.profile_id))
        verdict = ScanVerdict("not_scanned") if leases.exhausted(asset) else _verdict(asset, bucket)
        if verdict.result == "infected":
            _hold(lease, asset, bucket, verdict)
        elif verdict.result == "clean":
            _note(lease, verdict)
        else:
            _leave(lease)


def _leave(lease: Lease) -> None:
    with transaction(lease.tenant_id):
        kept = leases.settle(scanned_at=database.now(), due_at=database.now())
        db.session.execute(update(Asset).where(*lease.mine).values(kept))


def _scan(lease: Lease, asset: Asset, bucket: Bucket) -> None:
    verdict = _verdict(asset, bucket)
    if verdict.result == "infected":
        _hold(lease, asset, bucket, verdict)
    else:
        _note(lease, verdict)


def _verdict(asset: Asset, bucket: Bucket) -> ScanVerdict:
    scanner = Scanner.at(current_app.extensions["portal.settings"])
    with bucket.get(asset.object_key or "") as stream, intake.inspect(stream, scanner) as facts:
        return facts.verdict


def _note(lease: Lease, verdict: ScanVerdict) -> None:
    """The other verdicts change the mark only; previews that are due stay due."""
    with transaction(lease.tenant_id):
        daily_counts.count(lease.tenant_id, "scan", verdict.result)
        again = leases.settle(**quarantine_orders.scan_values(verdict), due_at=database.now())
        db.session.execute(update(Asset).where(*lease.mine).values(again))


def _hold(lease: Lease, asset: Asset, bucket: Bucket, verdict: ScanVerdict) -> None:
    """Copy to the quarantine, switch the row, then remove the original and everything derived from it.

    Also of a file that somebody has put into the trash meanwhile: a verdict is not skipped there, and nobody deletes
    what is held. One that is on its way out for good goes on.
    """
    original, held = asset.object_key or "", keys.quarantine(asset.workspace_id, asset.id, asset.file_name)
    facts = bucket.head(original)
    if facts is None:
        raise NotFound("The file is missing in storage.")
    bucket.copy(original, held, if_etag=facts.etag, content_type="application/octet-stream")
    at = database.now()
    staying = or_(Asset.state == AssetState.AVAILABLE, Asset.purge_after > func.clock_timestamp())
    with transaction(lease.tenant_id):
        if not compare_and_set(
            Asset, [*lease.mine, staying], AssetState.QUARANTINED, **_held_values(verdict, held, at)
        ):
            return  # another attempt was faster, or its purge is: that removes the copy, too
        _tell(lease, asset, verdict, at)
    _remove_rest(lease, asset, bucket)


def _held_values(verdict: ScanVerdict, key: str, at: datetime) -> dict[str, Any]:
    # Its folder may be in the trash as well: as with all that is held when its folder goes, the top is where it stays.
    home = case((Asset.state == AssetState.DELETED, null()), else_=Asset.folder_id)
    return {
        **quarantine_orders.scan_values(verdict),
        "object_key": key,
        "reason_code": "infected",
        "reason_detail": INFECTED,
        "quarantined_at": at,
        "purge_after": at + HELD_FOR,
        "previews": PreviewState.NONE,
        "desk_job": None,
        "folder_id": home,
        "state_before": None,
        "deleted_at": None,
        "deleted_by": None,
        "due_at": database.now() + leases.LEASE,  # until the rest is gone the sweep rings for it
    }


def _tell(lease: Lease, asset: Asset, verdict: ScanVerdict, at: datetime) -> None:
    """Everybody who has to know, in the transaction that holds it; its previews are nobody's any more."""
    daily_counts.count(lease.tenant_id, "scan", verdict.result)
    full_scans.note_find()
    db.session.execute(delete(Variant).where(Variant.asset_id == asset.id))
    facts = {"reason": "infected", "signature": verdict.signature}
    audit.record(lease.tenant_id, None, "asset.quarantined", asset.id, workspace_id=asset.workspace_id, **facts)
    told: dict[str, Any] = {
        "file_name": asset.file_name,
        "reason_code": "infected",
        "scan_signature": verdict.signature,
    }
    place = asset.tenant_id, asset.workspace_id
    events.record(EventType.ASSET_QUARANTINED, *place, asset_id=str(asset.id), **told)
    alerts.infected(asset, verdict.signature, at, at + HELD_FOR)


def _remove_rest(lease: Lease, asset: Asset, bucket: Bucket) -> None:
    """The original and everything derived from it, now that the row names the copy in quarantine."""
    bucket.delete_prefix(keys.asset_prefix(asset.workspace_id, asset.id))
    with transaction(lease.tenant_id):
        db.session.execute(update(Asset).where(*lease.mine).values(leases.settle()))
