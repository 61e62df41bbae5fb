"""Carries out what admins order: a new scan, and a release. Safe to run twice, and after any crash.

A file that is released is copied to a key that was never presigned for writing, and that copy is scanned: what people
download is what was scanned. Only then does the row change its state; the copy in the quarantine is deleted last.
"""

from __future__ import annotations

from uuid import UUID

from flask import current_app
from flask_babel import gettext as _

from portal.assets import alerts, daily_counts, leases, quarantine_orders
from portal.assets.models import Asset, AssetState
from portal.assets.purge import QUARANTINED_FOR
from portal.database import now, transaction
from portal.errors import Unavailable
from portal.events import service as events
from portal.events.models import EventType
from portal.inspection import decision, intake, scan_policy
from portal.inspection.decision import FileFacts
from portal.inspection.scan_result import EXPLANATIONS, ScanVerdict
from portal.inspection.scanner import Scanner
from portal.objectstore import keys
from portal.objectstore.bucket import Bucket
from portal.quarantine import decision_log
from portal.quarantine.models import DecisionKind
from portal.storage import service as storage
from portal.tasks import Lease
from portal.texts import Text

CLEAN_NOW = "clean_now"
CLEAN = Text("Scanned again: nothing was found. It stays in quarantine until an administrator releases it.")
MISSING = Text("The file is missing in the storage.")
ATTEMPTS_EXHAUSTED = Text("It failed after several attempts.")


def rescan(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Scan a quarantined file again. Whatever the verdict, the file stays in quarantine: an admin decides."""
    with leases.acquire("rescan_quarantined", tenant_id, workspace_id, asset_id) as leased:
        if leased is None or not _is_ordered(leased.asset, quarantine_orders.RESCANS):
            return
        lease, asset = leased.lease, leased.asset
        bucket = _bucket_of(asset)
        facts = bucket.head(asset.object_key or "")
        if facts is None or lease.exhausted:
            _record_result(lease, asset, None, MISSING if facts is None else ATTEMPTS_EXHAUSTED)
            return
        with bucket.get(asset.object_key or "") as stream, intake.inspect(stream, _scanner()) as found:
            verdict = found.verdict
        _record_result(lease, asset, verdict, _reason(verdict)[1])


def release(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Release a quarantined file, or record why it stays in quarantine."""
    with leases.acquire("release_quarantined", tenant_id, workspace_id, asset_id) as leased:
        if leased is None:
            return
        lease, asset = leased.lease, leased.asset
        bucket = _bucket_of(asset)
        # A worker that died after the row changed leaves CLEAN_UP: only the deletion is missing.
        is_released = asset.quarantine_order == quarantine_orders.CLEAN_UP
        if not is_released and not _scan_and_release(lease, asset, bucket):
            return
        bucket.delete_prefix(keys.quarantine_prefix(workspace_id, asset_id))
        with transaction(tenant_id):
            quarantine_orders.cleaned_up(lease, asset)


def _is_ordered(asset: Asset, orders: tuple[str, ...]) -> bool:
    """Whether one of ``orders`` is open, and the purge has not begun."""
    stays = asset.purge_after is None or asset.purge_after > now()
    return asset.state is AssetState.QUARANTINED and stays and asset.quarantine_order in orders


def _scan_and_release(lease: Lease, asset: Asset, bucket: Bucket) -> bool:
    if not _is_ordered(asset, quarantine_orders.RELEASES):
        return False
    # An attempt that died may have left a copy; each attempt has a key of its own, so nobody else would delete it.
    bucket.delete_prefix(keys.asset_prefix(asset.workspace_id, asset.id))
    facts = bucket.head(asset.object_key or "")
    if facts is None or lease.exhausted:
        _record_result(lease, asset, None, MISSING if facts is None else ATTEMPTS_EXHAUSTED)
        return False
    copy = keys.original(asset.workspace_id, asset.id, lease.token, asset.file_name)
    # If-Match: the object that is copied is the one whose facts were read.
    bucket.copy(asset.object_key or "", copy, if_etag=facts.etag, content_type=asset.mime_type)
    with bucket.get(copy) as stream, intake.inspect(stream, _scanner()) as found:
        pass
    mime_type = decision.served_as(asset.file_name, found)
    refusal = _refusal(asset, found, mime_type)
    if refusal is not None or mime_type is None:
        bucket.delete(copy)
        _record_result(lease, asset, found.verdict, refusal)
        return False
    if mime_type != asset.mime_type:
        bucket.set_content_type(copy, mime_type)
    return _write_release(lease, asset, copy, mime_type, found.verdict)


def _refusal(asset: Asset, found: FileFacts, mime_type: str | None) -> Text | None:
    """Why this file can't be released, or None."""
    # Read again: the order may have waited for the scanner while an admin made the rules stricter.
    rules = scan_policy.rules_of(asset.tenant_id)
    if rules.waits(found.verdict.reason):
        raise Unavailable(_("The virus scanner does not answer."), code="scanner_unavailable")
    if found.size != asset.size_bytes or (asset.sha256 and found.sha256 != asset.sha256):
        return Text("Not released: the file in the quarantine has changed.")
    if found.verdict.result == "infected" and not (
        asset.quarantine_order == "release_infected" and rules.release_infected
    ):
        return Text("Not released: a virus was found, %(signature)s.", signature=found.verdict.signature)
    if mime_type is None:
        return Text("Not released: its content does not match its name.")
    return None


def _write_release(lease: Lease, asset: Asset, key: str, mime_type: str, verdict: ScanVerdict) -> bool:
    with transaction(lease.tenant_id):
        if not quarantine_orders.release(lease, asset, key, mime_type, verdict):
            return False
        daily_counts.count(lease.tenant_id, "scan", verdict.result)
        if verdict.signature:
            decision_log.record(asset, DecisionKind.OUTCOME, None, Text("Released."), scanner_found=verdict.signature)
        else:
            decision_log.record(asset, DecisionKind.OUTCOME, None, Text("Released."))
        events.record(
            EventType.ASSET_AVAILABLE,
            asset.tenant_id,
            asset.workspace_id,
            asset_id=str(asset.id),
            file_name=asset.file_name,
            released_by=str(asset.ordered_by),
        )
    return True


def _record_result(lease: Lease, asset: Asset, verdict: ScanVerdict | None, result: Text | None) -> None:
    """Record the result of an order whose file stays in quarantine; a newly found virus is reported to the admins."""
    # Without a scanner there is no new verdict: the earlier one must not be overwritten by "not scanned".
    scanned = verdict if verdict is not None and verdict.reason not in ("off", "no_signatures") else None
    code, detail = _reason(scanned) if scanned else (None, None)
    with transaction(lease.tenant_id):
        if not quarantine_orders.note(lease, asset, scanned, code, detail):
            return
        if scanned is not None:
            daily_counts.count(lease.tenant_id, "scan", scanned.result)
        decision_log.record(asset, DecisionKind.OUTCOME, None, result or "")
        if code == "infected" and asset.reason_code != "infected" and scanned is not None:
            since = asset.quarantined_at or asset.created_at
            alerts.infected(asset, scanned.signature, since, asset.purge_after or since + QUARANTINED_FOR)


def _reason(verdict: ScanVerdict) -> tuple[str, Text]:
    """Code and text of the reason that a quarantined file has after this verdict."""
    if verdict.result == "infected":
        return "infected", Text(
            "A virus was found: %(signature)s. The file is in quarantine and can't be downloaded.",
            signature=verdict.signature,
        )
    if verdict.reason is not None:
        return verdict.reason, Text.join(
            EXPLANATIONS[verdict.reason], Text("It stays in quarantine until an administrator decides.")
        )
    return CLEAN_NOW, CLEAN


def _bucket_of(asset: Asset) -> Bucket:
    return storage.bucket_for(storage.find_profile(asset.workspace_id, asset.profile_id))


def _scanner() -> Scanner:
    return Scanner.at(current_app.extensions["portal.settings"])
