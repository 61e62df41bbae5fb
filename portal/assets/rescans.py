"""Scan available files again: those that were not scanned, once there is a scanner, and clean ones in full scans."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import case, delete, func, null, or_, update

from portal import audit, database, tasks
from portal.assets import alerts, daily_counts, full_scans, leases, purge
from portal.assets.models import Asset, AssetState, PreviewState, ScanResult, Variant
from portal.assets.purge import QUARANTINED_FOR
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
from portal.tasks import Lease, LeaseLost, Target
from portal.texts import Text

UNSCANNED = ("off", "no_signatures")  # reasons for which a scan is repeated once there is a scanner
SCANNER = "scanner"  # what tasks wait for
MAX_WOKEN = 1000  # tasks of one pass of the sweep: each becomes a job with a file to read
INFECTED = Text("A virus was found when the file was scanned again.")


def schedule(asset: Asset) -> None:
    """Schedule a scan for when there is a scanner, in the transaction that makes the asset available unscanned."""
    target = Target(asset.id, asset.tenant_id, asset.workspace_id)
    tasks.schedule_waiting("rescan", target, SCANNER)


def wake() -> int:
    """Make the waiting scans due, because there is a scanner now. Returns how many."""
    with transaction():
        return tasks.wake(SCANNER, most=MAX_WOKEN)


def rescan(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Scan an available, unscanned asset; an infected one moves to quarantine. Safe to run twice.

    A move that was interrupted after the row had changed is finished.
    """
    with leases.acquire("rescan", tenant_id, workspace_id, asset_id) as leased:
        if leased is None:
            return
        lease, asset = leased.lease, leased.asset
        bucket = storage.bucket_for(storage.find_profile(workspace_id, asset.profile_id))
        if asset.state is AssetState.QUARANTINED:
            _delete_original(lease, asset, bucket)
        elif asset.state is not AssetState.AVAILABLE or asset.scan_result is not ScanResult.NOT_SCANNED:
            return
        elif lease.exhausted:
            _save_result(lease, asset, ScanVerdict("not_scanned", reason="unscannable"))
        else:
            _scan(lease, asset, bucket)


def scan_again(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Scan a clean file again while a full scan runs; safe to run twice.

    When the file can't be scanned this time, it keeps its earlier scan result.
    """
    with leases.acquire("scan_again", tenant_id, workspace_id, asset_id) as leased:
        if leased is None or full_scans.running() is None:
            return
        lease, asset = leased.lease, leased.asset
        bucket = storage.bucket_for(storage.find_profile(workspace_id, asset.profile_id))
        if asset.state is AssetState.QUARANTINED:
            _delete_original(lease, asset, bucket)
        if asset.state is not AssetState.AVAILABLE or asset.scan_result is not ScanResult.CLEAN:
            return
        verdict = ScanVerdict("not_scanned") if lease.exhausted else _verdict(asset, bucket)
        if verdict.result == "infected":
            _quarantine(lease, asset, bucket, verdict)
        elif verdict.result == "clean":
            _save_result(lease, asset, verdict)
        else:
            with transaction(tenant_id):
                db.session.execute(update(Asset).where(Asset.id == asset.id).values(scanned_at=database.now()))
                tasks.complete(lease)


def _scan(lease: Lease, asset: Asset, bucket: Bucket) -> None:
    verdict = _verdict(asset, bucket)
    if verdict.result == "infected":
        _quarantine(lease, asset, bucket, verdict)
    else:
        _save_result(lease, asset, verdict)


def _verdict(asset: Asset, bucket: Bucket) -> ScanVerdict:
    scanner = Scanner.at(current_app.extensions["portal.settings"])
    with bucket.get(asset.object_key or "") as stream, intake.inspect(stream, scanner) as facts:
        return facts.verdict


def _save_result(lease: Lease, asset: Asset, verdict: ScanVerdict) -> None:
    """Save a scan result that leaves the file available."""
    with transaction(lease.tenant_id):
        values = scan_values(verdict)
        db.session.execute(update(Asset).where(Asset.id == asset.id).values(values))
        tasks.complete(lease)
        if verdict.reason in UNSCANNED:  # the scanner was switched off or lost its signatures just now
            schedule(asset)
        daily_counts.count(lease.tenant_id, "scan", verdict.result)


def _quarantine(lease: Lease, asset: Asset, bucket: Bucket, verdict: ScanVerdict) -> None:
    """Copy to the quarantine, change the row, then delete the original and its derived files.

    This holds for a file that somebody has moved to the trash meanwhile, too: it must not be restored as clean. A file
    that is being purged is left to the purge.
    """
    original, quarantined = asset.object_key or "", keys.quarantine(asset.workspace_id, asset.id, asset.file_name)
    facts = bucket.head(original)
    if facts is None:
        raise NotFound(_("The file is missing in the storage."))
    bucket.copy(original, quarantined, if_etag=facts.etag, content_type="application/octet-stream")
    at = database.now()
    staying = or_(Asset.state == AssetState.AVAILABLE, Asset.purge_after > func.clock_timestamp())
    with transaction(lease.tenant_id):
        values = _quarantine_values(verdict, quarantined, at)
        if not compare_and_set(Asset, [Asset.id == asset.id, staying], AssetState.QUARANTINED, **values):
            return  # a purge was first, and deletes the copy, too
        if not tasks.still_mine(lease):
            raise LeaseLost
        tasks.cancel(asset.id, "render_previews")
        purge.schedule(asset, at + QUARANTINED_FOR)
        _notify(lease, asset, verdict, at)
    _delete_original(lease, asset, bucket)


def _quarantine_values(verdict: ScanVerdict, key: str, at: datetime) -> dict[str, Any]:
    # The folder of a deleted file may be deleted, too: the quarantined file then goes to the top of the library.
    home = case((Asset.state == AssetState.DELETED, null()), else_=Asset.folder_id)
    return {
        **scan_values(verdict),
        "object_key": key,
        "reason_code": "infected",
        "reason_detail": INFECTED,
        "quarantined_at": at,
        "purge_after": at + QUARANTINED_FOR,
        "previews": PreviewState.NONE,
        "quarantine_order": None,
        "folder_id": home,
        "state_before": None,
        "deleted_at": None,
        "deleted_by": None,
    }


def _notify(lease: Lease, asset: Asset, verdict: ScanVerdict, at: datetime) -> None:
    """Events and e-mails, in the transaction that quarantines the file; the rows of its previews are deleted."""
    daily_counts.count(lease.tenant_id, "scan", verdict.result)
    full_scans.count_infected()
    db.session.execute(delete(Variant).where(Variant.asset_id == asset.id))
    audit.record(
        lease.tenant_id,
        None,
        "asset.quarantined",
        asset.id,
        workspace_id=asset.workspace_id,
        reason="infected",
        signature=verdict.signature,
    )
    events.record(
        EventType.ASSET_QUARANTINED,
        asset.tenant_id,
        asset.workspace_id,
        asset_id=str(asset.id),
        file_name=asset.file_name,
        reason_code="infected",
        scan_signature=verdict.signature,
    )
    alerts.infected(asset, verdict.signature, at, at + QUARANTINED_FOR)


def _delete_original(lease: Lease, asset: Asset, bucket: Bucket) -> None:
    """Delete the original and its derived files, now that the row names the copy in quarantine."""
    bucket.delete_prefix(keys.asset_prefix(asset.workspace_id, asset.id))
    with transaction(lease.tenant_id):
        tasks.complete(lease)


def scan_values(verdict: ScanVerdict) -> dict[str, Any]:
    """A verdict as columns."""
    return {
        "scan_result": ScanResult(verdict.result),
        "scanned_at": database.now(),
        "scan_signature": verdict.signature,
        "scan_engine": verdict.engine,
        "scan_database": verdict.database,
        "scan_reason": verdict.reason,
    }
