"""What workers do for the desk: scan a held file again, and let one go. Safe to run twice, and after any crash.

A file that is let go is copied to a key that nobody can write, and that copy is scanned once more: what people download
is what was scanned. Only then does the row switch; the copy in the quarantine goes last.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import current_app
from sqlalchemy import select

from portal import queue
from portal.assets import alerts, daily_counts, leases, quarantine_orders
from portal.assets.leases import Lease
from portal.assets.models import Asset
from portal.assets.purge import HELD_FOR
from portal.database import after_commit, db, transaction
from portal.errors import Unavailable
from portal.events import service as events
from portal.events.models import EventType
from portal.inspection import decision, intake, scan_policy
from portal.inspection.decision import FileFacts
from portal.inspection.scan_result import ScanVerdict
from portal.inspection.scanner import Scanner
from portal.objectstore import keys
from portal.objectstore.bucket import Bucket
from portal.quarantine import audit
from portal.quarantine.models import Verb
from portal.storage import service as storage

CLEAN_NOW = "clean_now"
CLEAN_WORDS = "Scanned again: nothing was found. It stays held until an administrator releases it."
LOST = "The file is missing in storage."
WORN_OUT = "It could not be done after several attempts: the file ends every scan."


def rescan(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Give a held file a new verdict; whatever it is, the file stays held: an admin decides."""
    ordered = Asset.desk_job.in_(quarantine_orders.RESCANS)
    with leases.hold(
        tenant_id, asset_id, Asset.workspace_id == workspace_id, ordered, *quarantine_orders.staying()
    ) as lease:
        if lease is None:
            return
        asset, bucket = _opened(lease)
        facts = bucket.head(asset.object_key or "")
        if facts is None or leases.exhausted(asset):
            _stays(lease, asset, None, LOST if facts is None else WORN_OUT)
            return
        with bucket.get(asset.object_key or "") as stream, intake.inspect(stream, _scanner()) as found:
            verdict = found.verdict
        _stays(lease, asset, verdict, _reason(verdict)[1])


def release(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Let a held file go, or say why it stays. A release that was cut short after the switch is tidied up."""
    ordered = Asset.desk_job.in_((*quarantine_orders.RELEASES, quarantine_orders.TIDY))
    with leases.hold(tenant_id, asset_id, Asset.workspace_id == workspace_id, ordered) as lease:
        if lease is None:
            return
        asset, bucket = _opened(lease)
        if asset.desk_job != quarantine_orders.TIDY and not _released(lease, asset, bucket):
            return
        bucket.delete_prefix(keys.quarantine_prefix(workspace_id, asset_id))
        with transaction(tenant_id):
            if quarantine_orders.tidied(lease):
                after_commit(lambda: _ring_previews(asset))


def _released(lease: Lease, asset: Asset, bucket: Bucket) -> bool:
    bucket.delete_prefix(keys.asset_prefix(asset.workspace_id, asset.id))  # what an attempt before may have left
    facts = bucket.head(asset.object_key or "")
    if facts is None or leases.exhausted(asset):
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
        _stays(lease, asset, found.verdict, refusal or "")
        return False
    if mime_type != asset.mime_type:
        bucket.set_content_type(copy, mime_type)
    return _let_go(lease, asset, copy, mime_type, found.verdict)


def _refusal(asset: Asset, found: FileFacts, mime_type: str | None) -> str | None:
    """Why this file can't be let go after all, or None."""
    rules = scan_policy.rules_of(asset.tenant_id)  # as they are by now: it may have waited for the scanner
    if rules.waits(found.verdict.reason):
        raise Unavailable("The virus scanner is away.", code="scanner_unavailable")
    if found.size != asset.size_bytes or (asset.sha256 and found.sha256 != asset.sha256):
        return "Not released: what lies in the quarantine is not what was held."
    if found.verdict.result == "infected" and not (asset.desk_job == "release_infected" and rules.release_infected):
        return f"Not released: the scanner finds a virus in it, {found.verdict.signature}."
    if mime_type is None:
        return "Not released: its content contradicts its name, and such a file is never taken."
    return None


def _let_go(lease: Lease, asset: Asset, key: str, mime_type: str, verdict: ScanVerdict) -> bool:
    place = asset.tenant_id, asset.workspace_id
    with transaction(lease.tenant_id):
        if not quarantine_orders.let_go(lease, asset, key, mime_type, verdict):
            return False
        daily_counts.count(lease.tenant_id, "scan", verdict.result)
        infected = {"scanner_found": verdict.signature} if verdict.signature else {}
        audit.note(asset, Verb.OUTCOME, None, "Released.", **infected)
        names: dict[str, Any] = {
            "asset_id": str(asset.id),
            "file_name": asset.file_name,
            "released_by": str(asset.desk_by),
        }
        events.record(EventType.ASSET_AVAILABLE, *place, **names)
    return True


def _stays(lease: Lease, asset: Asset, verdict: ScanVerdict | None, words: str) -> None:
    """Write the outcome of an order whose file stays held; a virus that nobody knew of is told at once."""
    looked = verdict if verdict is not None and verdict.reason not in ("off", "no_signatures") else None
    code, detail = _reason(looked) if looked else (None, None)
    with transaction(lease.tenant_id):
        if not quarantine_orders.noted(lease, asset, looked, code, detail):
            return
        if looked is not None:
            daily_counts.count(lease.tenant_id, "scan", looked.result)
        audit.note(asset, Verb.OUTCOME, None, words)
        if code == "infected" and asset.reason_code != "infected" and looked is not None:
            since = asset.quarantined_at or asset.created_at
            alerts.infected(asset, looked.signature, since, asset.purge_after or since + HELD_FOR)


def _reason(verdict: ScanVerdict) -> tuple[str, str]:
    """Code and words of a held file's reason after this verdict."""
    if verdict.result == "infected":
        return "infected", f"A virus was found: {verdict.signature}. The file is held and can't be downloaded."
    if verdict.reason is not None:
        return verdict.reason, f"{verdict.explanation} It is held until an administrator decides."
    return CLEAN_NOW, CLEAN_WORDS


def _opened(lease: Lease) -> tuple[Asset, Bucket]:
    asset = db.session.scalars(select(Asset).where(*lease.mine).execution_options(populate_existing=True)).one()
    return asset, storage.bucket_for(storage.find_profile(asset.workspace_id, asset.profile_id))


def _scanner() -> Scanner:
    return Scanner.at(current_app.extensions["portal.settings"])


def _ring_previews(asset: Asset) -> None:
    queue.ring("render_previews", asset.tenant_id, asset.workspace_id, asset.id)
