"""From a committed session to a verdict: promote, one pass over the promoted copy, decide, write, clear up.

What was verified is what is served: the pass reads the copy at a key that was never signed for writing and that no
other attempt shares. The compare-and-set on the lease picks the winner among attempts.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import current_app
from sqlalchemy import or_, select, update

from portal import audit, database, queue
from portal.assets import alerts, daily_counts, leases, quarantine_orders
from portal.assets.leases import Lease
from portal.assets.models import Asset, AssetState, PreviewState
from portal.assets.purge import HELD_FOR
from portal.database import after_commit, compare_and_set, db, transaction
from portal.errors import Conflict, NotFound, Unavailable
from portal.events import service as events
from portal.events.models import EventType
from portal.inspection import intake, scan_policy
from portal.inspection.decision import Decision, DeclaredFile, FileFacts, decide
from portal.inspection.scanner import Scanner
from portal.objectstore import keys
from portal.objectstore.bucket import Bucket
from portal.previews.types import PREVIEWABLE
from portal.quotas import service as quotas
from portal.storage import health
from portal.storage import service as storage
from portal.storage.models import StorageProfile
from portal.uploads import staging
from portal.uploads.models import Upload, UploadState
from portal.uploads.staging import staging_key


def take_in(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Give one processing asset its verdict. Safe to run twice, at once, and after a crash at any point."""
    unchecked = Asset.workspace_id == workspace_id, Asset.state == AssetState.PROCESSING
    with leases.hold(tenant_id, asset_id, *unchecked) as lease:
        if lease is None:
            return
        asset = db.session.scalars(select(Asset).where(*lease.mine)).one()
        upload = db.session.scalars(select(Upload).where(Upload.id == asset.upload_id)).one()
        profile = storage.find_profile(workspace_id, asset.profile_id)
        if leases.exhausted(asset):
            decision = _failed(
                asset, "processing_failed", "The file could not be checked after several attempts. Upload it again."
            )
            _finish(lease, asset, upload, decision)
        else:
            _verify(lease, asset, upload, profile)
    staging.clear(tenant_id, workspace_id, upload.id)


def check_again(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> bool:
    """Look again now at a file that waits or has failed before, with all its attempts; did it still stand there?"""
    free = or_(Asset.claim_until.is_(None), Asset.claim_until < database.now())
    here = Asset.workspace_id == workspace_id, Asset.id == asset_id, Asset.state == AssetState.PROCESSING
    with transaction(tenant_id):
        statement = update(Asset).where(*here, free).values(attempts=0, waiting_for=None, due_at=database.now())
        moved = db.session.execute(statement.returning(Asset.id)).one_or_none() is not None
    if moved:
        queue.ring("take_in", tenant_id, workspace_id, asset_id)
    return moved


def give_up(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> bool:
    """End the check of a file that goes on waiting or failing: its space is free, its owner is told why."""
    unchecked = Asset.workspace_id == workspace_id, Asset.state == AssetState.PROCESSING
    with leases.hold(tenant_id, asset_id, *unchecked) as lease:
        if lease is None:
            return False
        asset = db.session.scalars(select(Asset).where(*lease.mine)).one()
        upload = db.session.scalars(select(Upload).where(Upload.id == asset.upload_id)).one()
        words = "The file could not be checked, and an operator ended the attempt. Upload it again."
        ended = _finish(lease, asset, upload, _failed(asset, "given_up", words))
    queue.ring("clear_staging", tenant_id, workspace_id, upload.id)
    return ended


def _verify(lease: Lease, asset: Asset, upload: Upload, profile: StorageProfile) -> None:
    scanner, rules = Scanner.at(current_app.extensions["portal.settings"]), scan_policy.rules_of(asset.tenant_id)
    state = scanner.report().state
    if state == "down" or rules.waits(state):  # no copy is made for a scanner that is away
        raise _no_scanner()
    bucket = storage.bucket_for(profile)
    copy = keys.original(asset.workspace_id, asset.id, lease.token, asset.file_name)
    try:
        bucket.copy(staging_key(upload), copy, if_etag=asset.staged_etag, content_type=asset.mime_type)
    except NotFound:
        health.require_ours(profile)
        refusal = _failed(asset, "upload_missing", "The file vanished from storage. Upload it again.")
        _finish(lease, asset, upload, refusal)
        return
    except Conflict:
        refusal = _failed(
            asset, "checksum_mismatch", "The file was replaced in storage after it was committed. Upload it again."
        )
        _finish(lease, asset, upload, refusal)
        return
    with bucket.get(copy) as stream, intake.inspect(stream, scanner) as facts:
        declared = DeclaredFile(upload.file_name, upload.size_bytes, upload.sha256)
        decision = decide(facts, declared, rules)
    if decision.outcome == "waits":
        bucket.delete(copy)
        raise _no_scanner()
    key = _place(bucket, asset, copy, decision)
    if not _finish(lease, asset, upload, decision, facts=facts, key=key):
        bucket.delete(copy)  # another attempt won, and its copy is another one


def _no_scanner() -> Unavailable:
    return Unavailable("The virus scanner is away.", code="scanner_unavailable")


def _failed(asset: Asset, code: str, detail: str) -> Decision:
    return Decision("failed", asset.mime_type, asset.mime_type, code, detail)


def _place(bucket: Bucket, asset: Asset, copy: str, decision: Decision) -> str:
    """Where the verified bytes stay: the copy itself (with its true type), or the quarantine."""
    if decision.outcome == "quarantined":
        held = keys.quarantine(asset.workspace_id, asset.id, asset.file_name)
        bucket.copy(copy, held, if_etag=_etag(bucket, copy), content_type="application/octet-stream")
        return held
    if decision.outcome == "available" and decision.mime_type != asset.mime_type:
        bucket.set_content_type(copy, decision.mime_type)
    return copy


def _etag(bucket: Bucket, key: str) -> str:
    facts = bucket.head(key)
    if facts is None:
        raise NotFound("The verified copy vanished from storage.")
    return facts.etag


def _finish(
    lease: Lease,
    asset: Asset,
    upload: Upload,
    decision: Decision,
    *,
    facts: FileFacts | None = None,
    key: str | None = None,
) -> bool:
    """Write the verdict of asset and upload, and settle or release the quota, in one transaction; was it ours?"""
    outcome = AssetState(decision.outcome)
    failed = outcome is AssetState.FAILED
    values = leases.settle(
        reason_code=decision.code,
        reason_detail=decision.detail,
        object_key=None if failed else key,
        charged_bytes=0 if failed else upload.reserved_bytes,
        **(_facts_values(facts) if facts else {}),
    )
    if not failed:
        values["mime_type"] = decision.mime_type
    if outcome is AssetState.QUARANTINED:
        values |= {"quarantined_at": database.now(), "purge_after": database.now() + HELD_FOR}
    if outcome is AssetState.AVAILABLE and decision.mime_type in PREVIEWABLE:
        values |= {"previews": PreviewState.PENDING, "due_at": database.now() + leases.LEASE}
    with transaction(lease.tenant_id):
        if not compare_and_set(Asset, lease.mine, outcome, **values):
            return False
        _close_upload(upload, decision, failed)
        action = f"asset.{outcome.value}"
        audit.record(lease.tenant_id, None, action, asset.id, workspace_id=asset.workspace_id, reason=decision.code)
        _tell(asset, upload, outcome, values)
        db.session.flush()
        _count(lease.tenant_id, decision, facts, upload.size_bytes)
        account = quotas.release if failed else quotas.settle
        account(lease.tenant_id, asset.workspace_id, upload.id, upload.reserved_bytes)
        if values.get("previews") is PreviewState.PENDING:
            after_commit(lambda: _ring_previews(asset))
    return True


def _tell(asset: Asset, upload: Upload, outcome: AssetState, values: dict[str, Any]) -> None:
    """The events of a verdict, and of an upload that has become a file with it; a virus is told by mail, too."""
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
    """For the day's numbers: what became of the upload, why, and what the scanner said."""
    daily_counts.count(tenant_id, "upload", decision.outcome, size_bytes)
    if decision.outcome == "failed":
        daily_counts.count(tenant_id, "upload", f"failed:{decision.code}")
    if facts is not None:
        daily_counts.count(tenant_id, "scan", facts.verdict.result, facts.size)


def _close_upload(upload: Upload, decision: Decision, failed: bool) -> None:
    to = UploadState.FAILED if failed else UploadState.COMMITTED
    reason = {"reason_code": decision.code, "reason_detail": decision.detail} if failed else {}
    if not compare_and_set(Upload, [Upload.id == upload.id], to, reserved_bytes=0, **reason):
        raise RuntimeError(f"upload {upload.id} of a processing asset is not being verified")


def _facts_values(facts: FileFacts) -> dict[str, Any]:
    return {"sha256": facts.sha256, "found_type": facts.mime_type, **quarantine_orders.scan_values(facts.verdict)}


def _ring_previews(asset: Asset) -> None:
    queue.ring("render_previews", asset.tenant_id, asset.workspace_id, asset.id)
