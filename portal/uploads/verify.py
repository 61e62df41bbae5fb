"""From a committed session to a decision: copy, read the copy once, decide, save, clean up.

What was verified is what is served: the pass reads the copy at a key that was never signed for writing and that no
other attempt shares. The compare-and-set on the lease picks the winner among attempts.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import select

from portal import audit, database, tasks
from portal.assets import alerts, daily_counts, leases, preview_jobs, purge, rescans
from portal.assets.models import Asset, AssetState, PreviewState
from portal.assets.purge import QUARANTINED_FOR
from portal.database import compare_and_set, db, transaction
from portal.errors import Conflict, NotFound, Unavailable
from portal.events import service as events
from portal.events.models import EventType
from portal.inspection import intake, scan_policy
from portal.inspection.decision import Decision, DeclaredFile, FileFacts, decide
from portal.inspection.scanner import Scanner
from portal.objectstore import keys
from portal.objectstore.bucket import Bucket
from portal.previews.types import PREVIEWABLE
from portal.queue import SLOW
from portal.quotas import service as quotas
from portal.storage import health
from portal.storage import service as storage
from portal.storage.models import StorageProfile
from portal.tasks import Lease, LeaseLost
from portal.texts import Text
from portal.uploads import staging
from portal.uploads.models import Upload, UploadState
from portal.uploads.staging import staging_key

LARGE_BYTES = 256 * 1024**2  # copying and scanning so much takes about ten seconds; a short job has 30


def schedule(asset: Asset) -> None:
    """Schedule the verification, in the transaction of the commit. Large files go to a lane of their own."""
    lane = SLOW if asset.size_bytes > LARGE_BYTES else None
    tasks.schedule("take_in", asset.id, tenant_id=asset.tenant_id, workspace_id=asset.workspace_id, lane=lane)


def take_in(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Verify one processing asset. Safe to run twice, at once, and after a crash at any point."""
    with leases.acquire("take_in", tenant_id, workspace_id, asset_id) as leased:
        if leased is None or leased.asset.state is not AssetState.PROCESSING:
            return
        lease, asset = leased.lease, leased.asset
        upload = db.session.scalars(select(Upload).where(Upload.id == asset.upload_id)).one()
        profile = storage.find_profile(workspace_id, asset.profile_id)
        if lease.exhausted:
            decision = _failed(
                asset,
                "processing_failed",
                Text("The file could not be checked after several attempts. Upload it again."),
            )
            _finish(lease, asset, upload, decision)
        else:
            _verify(lease, asset, upload, profile)
        staging.clear_now(tenant_id, workspace_id, upload.id)


def check_again(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> bool:
    """Verify now a file that waits or has failed before, with all attempts. Returns whether it was still processing."""
    here = Asset.workspace_id == workspace_id, Asset.id == asset_id, Asset.state == AssetState.PROCESSING
    with transaction(tenant_id):
        asset = db.session.scalar(select(Asset).where(*here).execution_options(populate_existing=True))
        if asset is None or tasks.is_leased(asset_id):
            return False
        schedule(asset)
    return True


def give_up(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> bool:
    """End the verification of a file that keeps waiting or failing: its space is released, the reason is shown."""
    reason = Text("The file could not be checked, and an operator ended the attempts. Upload it again.")
    with tasks.exclusive("end_check", asset_id, tenant_id=tenant_id, workspace_id=workspace_id) as lease:
        database.enter(tenant_id)
        here = Asset.workspace_id == workspace_id, Asset.id == asset_id, Asset.state == AssetState.PROCESSING
        asset = db.session.scalar(select(Asset).where(*here).execution_options(populate_existing=True))
        if lease is None or asset is None:
            return False
        upload = db.session.scalars(select(Upload).where(Upload.id == asset.upload_id)).one()
        return _finish(lease, asset, upload, _failed(asset, "given_up", reason), clear_at_once=True)


def _verify(lease: Lease, asset: Asset, upload: Upload, profile: StorageProfile) -> None:
    scanner, rules = Scanner.at(current_app.extensions["portal.settings"]), scan_policy.rules_of(asset.tenant_id)
    state = scanner.report().state
    if state == "down" or rules.waits(state):  # before anything is copied
        raise _no_scanner()
    bucket = storage.bucket_for(profile)
    copy = keys.original(asset.workspace_id, asset.id, lease.token, asset.file_name)
    try:
        bucket.copy(staging_key(upload), copy, if_etag=asset.staged_etag, content_type=asset.mime_type)
    except NotFound:
        health.require_marker(profile)
        refusal = _failed(asset, "upload_missing", Text("The file is missing in the storage. Upload it again."))
        _finish(lease, asset, upload, refusal)
        return
    except Conflict:
        refusal = _failed(
            asset,
            "checksum_mismatch",
            Text("The file was replaced in the storage after it was committed. Upload it again."),
        )
        _finish(lease, asset, upload, refusal)
        return
    with bucket.get(copy) as stream, intake.inspect(stream, scanner) as facts:
        declared = DeclaredFile(upload.file_name, upload.size_bytes, upload.sha256)
        decision = decide(facts, declared, rules)
    if decision.outcome == "waits":
        bucket.delete(copy)  # the next attempt makes a copy of its own, at another key
        raise _no_scanner()
    key = _final_key(bucket, asset, copy, decision)
    try:
        _finish(lease, asset, upload, decision, facts=facts, key=key)
    except LeaseLost:
        bucket.delete(copy)  # another attempt has won, with a copy of its own
        raise


def _no_scanner() -> Unavailable:
    return Unavailable(_("The virus scanner does not answer."), code="scanner_unavailable")


def _failed(asset: Asset, code: str, detail: Text) -> Decision:
    return Decision("failed", asset.mime_type, code, detail)


def _final_key(bucket: Bucket, asset: Asset, copy: str, decision: Decision) -> str:
    """The key of the verified bytes: the copy itself (with its detected type), or a key in quarantine."""
    if decision.outcome == "quarantined":
        # Under a prefix of its own, which no page signs a link to, and of a type that no browser would render.
        quarantined = keys.quarantine(asset.workspace_id, asset.id, asset.file_name)
        bucket.copy(copy, quarantined, if_etag=_etag(bucket, copy), content_type="application/octet-stream")
        return quarantined
    if decision.outcome == "available" and decision.served_type != asset.mime_type:
        bucket.set_content_type(copy, decision.served_type)
    return copy


def _etag(bucket: Bucket, key: str) -> str:
    facts = bucket.head(key)
    if facts is None:
        raise NotFound(_("The verified copy is missing in the storage."))
    return facts.etag


def _finish(
    lease: Lease,
    asset: Asset,
    upload: Upload,
    decision: Decision,
    *,
    facts: FileFacts | None = None,
    key: str | None = None,
    clear_at_once: bool = False,
) -> bool:
    """Save the decision about asset and upload, settle or release the quota, and schedule what follows.

    One transaction. False when the asset is not processing any more. Raises ``LeaseLost``, and writes nothing.
    """
    outcome = AssetState(decision.outcome)
    failed = outcome is AssetState.FAILED
    at = database.now()
    values: dict[str, Any] = {
        "reason_code": decision.code,
        "reason_detail": decision.text,
        "object_key": None if failed else key,
        "charged_bytes": 0 if failed else upload.reserved_bytes,
        **(_facts_values(facts) if facts else {}),
    }
    if not failed:
        values["mime_type"] = decision.served_type
    if outcome is AssetState.QUARANTINED:
        values |= {"quarantined_at": at, "purge_after": at + QUARANTINED_FOR}
    if outcome is AssetState.AVAILABLE and decision.served_type in PREVIEWABLE:
        values["previews"] = PreviewState.PENDING
    with transaction(lease.tenant_id):
        if not compare_and_set(Asset, [Asset.id == asset.id], outcome, **values):
            return False
        _close_upload(upload, decision, failed)
        tasks.complete(lease)
        tasks.cancel(asset.id, "take_in")  # the lease may be that of an operator who ended the verification
        _schedule_next(asset, upload, outcome, values, clear_at_once)
        action = f"asset.{outcome.value}"
        audit.record(lease.tenant_id, None, action, asset.id, workspace_id=asset.workspace_id, reason=decision.code)
        _record_events(asset, upload, outcome, values)
        db.session.flush()
        _count(lease.tenant_id, decision, facts, upload.size_bytes)
        # Last before the commit: the counters of a workspace are the rows that every upload of it waits for.
        account = quotas.release if failed else quotas.settle
        account(lease.tenant_id, asset.workspace_id, upload.id, upload.reserved_bytes)
    return True


def _schedule_next(
    asset: Asset, upload: Upload, outcome: AssetState, values: dict[str, Any], clear_at_once: bool
) -> None:
    if values.get("previews") is PreviewState.PENDING:
        preview_jobs.schedule(asset)
    if outcome is AssetState.QUARANTINED:
        purge.schedule(asset, values["purge_after"])
    if outcome is AssetState.AVAILABLE and values.get("scan_reason") in rescans.UNSCANNED:
        rescans.schedule(asset)
    staging.schedule_clear(upload, at_once=clear_at_once)


def _record_events(asset: Asset, upload: Upload, outcome: AssetState, values: dict[str, Any]) -> None:
    """The events of a decision, and of the upload it completes; a virus is reported by e-mail, too."""
    tenant_id, workspace_id = asset.tenant_id, asset.workspace_id
    data: dict[str, Any] = {"asset_id": str(asset.id), "upload_id": str(upload.id), "file_name": asset.file_name}
    if outcome is not AssetState.FAILED:
        events.record(EventType.UPLOAD_COMMITTED, tenant_id, workspace_id, **data, size_bytes=asset.size_bytes)
    for name in ("mime_type", "sha256", "scan_signature", "reason_code"):
        if values.get(name):
            data[name] = values[name]
    events.record(EventType(f"asset.{outcome.value}"), tenant_id, workspace_id, **data)
    if values["reason_code"] == "infected":
        alerts.infected(asset, values["scan_signature"], values["quarantined_at"], values["purge_after"])


def _count(tenant_id: UUID, decision: Decision, facts: FileFacts | None, size_bytes: int) -> None:
    """Add the upload's outcome, its reason and the scan's result to the day's counts."""
    daily_counts.count(tenant_id, "upload", decision.outcome, size_bytes)
    if decision.outcome == "failed":
        daily_counts.count(tenant_id, "upload", f"failed:{decision.code}")
    if facts is not None:
        daily_counts.count(tenant_id, "scan", facts.verdict.result, facts.size)


def _close_upload(upload: Upload, decision: Decision, failed: bool) -> None:
    to = UploadState.FAILED if failed else UploadState.COMMITTED
    reason = {"reason_code": decision.code, "reason_detail": decision.text} if failed else {}
    if not compare_and_set(Upload, [Upload.id == upload.id], to, reserved_bytes=0, **reason):
        raise RuntimeError(f"upload {upload.id} of a processing asset is not being verified")


def _facts_values(facts: FileFacts) -> dict[str, Any]:
    return {"sha256": facts.sha256, "found_type": facts.detected_type, **rescans.scan_values(facts.verdict)}
