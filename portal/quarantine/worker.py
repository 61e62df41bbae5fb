"""What admins order: scan a quarantined file again, and release one. Safe to run twice, and after any crash.

A file that is released is copied to a key that nobody can write, and that copy is scanned once more: what people
download is what was scanned. Only then does the row switch; the copy in the quarantine goes last.
"""

from __future__ import annotations

from typing import Any
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
from portal.quarantine import audit
from portal.quarantine.models import Verb
from portal.storage import service as storage
from portal.tasks import Lease
from portal.texts import Text

CLEAN_NOW = "clean_now"
CLEAN = Text("Scanned again: nothing was found. It stays in quarantine until an administrator releases it.")
LOST = Text("The file is missing in the storage.")
WORN_OUT = Text("It failed after several attempts.")


def rescan(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Give a quarantined file a new verdict; whatever it is, the file stays there: an admin decides."""
    with leases.acquire("rescan_quarantined", tenant_id, workspace_id, asset_id) as leased:
        if leased is None or not _is_ordered(leased.asset, quarantine_orders.RESCANS):
            return
        lease, asset = leased.lease, leased.asset
        bucket = _bucket_of(asset)
        facts = bucket.head(asset.object_key or "")
        if facts is None or lease.exhausted:
            _stays(lease, asset, None, LOST if facts is None else WORN_OUT)
            return
        with bucket.get(asset.object_key or "") as stream, intake.inspect(stream, _scanner()) as found:
            verdict = found.verdict
        _stays(lease, asset, verdict, _reason(verdict)[1])


def release(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Release a quarantined file, or say why it stays. A release that was cut short after the switch is cleaned up."""
    with leases.acquire("release_quarantined", tenant_id, workspace_id, asset_id) as leased:
        if leased is None:
            return
        lease, asset = leased.lease, leased.asset
        bucket = _bucket_of(asset)
        is_released = asset.quarantine_order == quarantine_orders.CLEAN_UP
        if not is_released and not _released(lease, asset, bucket):
            return
        bucket.delete_prefix(keys.quarantine_prefix(workspace_id, asset_id))
        with transaction(tenant_id):
            quarantine_orders.cleaned_up(lease, asset)


def _is_ordered(asset: Asset, orders: tuple[str, ...]) -> bool:
    """Whether it waits for one of these, and its purge has not begun."""
    stays = asset.purge_after is None or asset.purge_after > now()
    return asset.state is AssetState.QUARANTINED and stays and asset.quarantine_order in orders


def _released(lease: Lease, asset: Asset, bucket: Bucket) -> bool:
    if not _is_ordered(asset, quarantine_orders.RELEASES):
        return False
    bucket.delete_prefix(keys.asset_prefix(asset.workspace_id, asset.id))  # what an attempt before may have left
    facts = bucket.head(asset.object_key or "")
    if facts is None or lease.exhausted:
        _stays(lease, asset, None, LOST if facts is None else WORN_OUT)
        return False
    copy = keys.original(asset.workspace_id, asset.id, lease.token, asset.file_name)
    bucket.copy(asset.object_key or "", copy, if_etag=facts.etag, content_type=asset.mime_type)
    with bucket.get(copy) as stream, intake.inspect(stream, _scanner()) as found:
        pass
    mime_type = decision.served_as(asset.file_name, found)
    refusal = _refusal(asset, found, mime_type)
    if refusal is not None or mime_type is None:
        bucket.delete(copy)
        _stays(lease, asset, found.verdict, refusal)
        return False
    if mime_type != asset.mime_type:
        bucket.set_content_type(copy, mime_type)
    return _write_release(lease, asset, copy, mime_type, found.verdict)


def _refusal(asset: Asset, found: FileFacts, mime_type: str | None) -> Text | None:
    """Why this file can't be let go after all, or None."""
    rules = scan_policy.rules_of(asset.tenant_id)  # as they are by now: it may have waited for the scanner
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
    place = asset.tenant_id, asset.workspace_id
    with transaction(lease.tenant_id):
        if not quarantine_orders.release(lease, asset, key, mime_type, verdict):
            return False
        daily_counts.count(lease.tenant_id, "scan", verdict.result)
        infected = {"scanner_found": verdict.signature} if verdict.signature else {}
        audit.note(asset, Verb.OUTCOME, None, Text("Released."), **infected)
        names: dict[str, Any] = {
            "asset_id": str(asset.id),
            "file_name": asset.file_name,
            "released_by": str(asset.ordered_by),
        }
        events.record(EventType.ASSET_AVAILABLE, *place, **names)
    return True


def _stays(lease: Lease, asset: Asset, verdict: ScanVerdict | None, result: Text | None) -> None:
    """Write the outcome of an order whose file stays in quarantine; a virus that nobody knew of is told at once."""
    looked = verdict if verdict is not None and verdict.reason not in ("off", "no_signatures") else None
    code, detail = _reason(looked) if looked else (None, None)
    with transaction(lease.tenant_id):
        if not quarantine_orders.note(lease, asset, looked, code, detail):
            return
        if looked is not None:
            daily_counts.count(lease.tenant_id, "scan", looked.result)
        audit.note(asset, Verb.OUTCOME, None, result or "")
        if code == "infected" and asset.reason_code != "infected" and looked is not None:
            since = asset.quarantined_at or asset.created_at
            alerts.infected(asset, looked.signature, since, asset.purge_after or since + QUARANTINED_FOR)


def _reason(verdict: ScanVerdict) -> tuple[str, Text]:
    """Code and words of a quarantined file's reason after this verdict."""
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
