"""Support for tests of the quarantine: files with their bytes in the store, a second admin, decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from portal.assets.models import AssetState, PreviewState, ScanResult
from portal.database import db, enter, new_id, now, transaction
from portal.inspection import scan_policy
from portal.inspection.scan_policy import ScanRules
from portal.objectstore import keys
from portal.quarantine.models import Decision
from portal.storage import service as storage
from portal.tenancy.models import TenantMembership, TenantRole
from portal.texts import Text
from tests.support.factories import make_asset, schedule
from tests.support.people import Actor, Cast, Client

CLEAN = b"Nothing but words, and a few more of them.\n"
WHY = "It is an invoice that we wait for."


def quarantined(cast: Cast, content: bytes = CLEAN, file_name: str = "invoice.txt", **values: Any) -> UUID:
    """A quarantined file of alice, with its bytes in the store."""
    import hashlib

    asset_id = new_id()
    key = keys.quarantine(cast.press.id, asset_id, file_name)
    defaults: dict[str, Any] = {
        "id": asset_id,
        "state": AssetState.QUARANTINED,
        "kind": "document",
        "mime_type": "text/plain",
        "previews": PreviewState.NONE,
        "scan_result": ScanResult.NOT_SCANNED,
        "scan_reason": "encrypted",
        "reason_code": "encrypted",
        "reason_detail": Text("Not scanned: the file is encrypted."),
        "size_bytes": len(content),
        "charged_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "object_key": key,
        "quarantined_at": now(),
        "purge_after": now() + timedelta(days=7),
    }
    make_asset(cast, file_name, **(defaults | values))
    if values.get("quarantine_order") == "rescan":
        schedule(cast, "rescan_quarantined", asset_id)
    with cast.app.app_context():
        storage.managed_bucket().put(key, content, content_type="application/octet-stream")
    return asset_id


def infected(cast: Cast, content: bytes = CLEAN, **values: Any) -> UUID:
    """The same, infected."""
    found = {"scan_result": ScanResult.INFECTED, "scan_signature": "Eicar-Test-Signature", "scan_reason": None}
    reason: dict[str, Any] = {
        "reason_code": "infected",
        "reason_detail": Text("A virus was found: Eicar-Test-Signature."),
    }
    return quarantined(cast, content, **(found | reason | values))


def make_admin(cast: Cast, actor: Actor) -> Actor:
    """One more admin of acme."""
    with cast.app.app_context(), transaction(cast.acme.id) as session:
        here = TenantMembership.tenant_id == cast.acme.id, TenantMembership.user_id == actor.id
        session.execute(update(TenantMembership).where(*here).values(role=TenantRole.ADMIN))
    return actor


def set_rules(cast: Cast, **rules: Any) -> None:
    """Let tina change the tenant's rules."""
    with cast.app.app_context():
        scan_policy.set_rules(replace(cast.member(cast.tina), workspace_id=None), ScanRules(**rules))


def decide(cast: Cast, client: Client, asset_id: UUID, action: str, reason: str = WHY, **more: Any) -> Any:
    """One decision over JSON."""
    url = f"/v1/tenants/{cast.acme.id}/quarantine/{asset_id}/{action}"
    return client.post(url, json={"reason": reason, **more})


def run_job(cast: Cast, job: str, asset_id: UUID) -> None:
    """Run a job of the quarantine."""
    from portal.quarantine import jobs

    with cast.app.app_context():
        getattr(jobs, job)(str(cast.acme.id), str(cast.press.id), str(asset_id))


def decided(cast: Cast, asset_id: UUID) -> list[str]:
    """The decisions about a file, the oldest first."""
    with cast.app.app_context():
        enter(cast.acme.id)
        rows = db.session.scalars(select(Decision.kind).where(Decision.asset_id == asset_id).order_by(Decision.id))
        return [what.value for what in rows]


def stored(cast: Cast) -> list[str]:
    """Every object of the workspace."""
    with cast.app.app_context():
        return [key for key, *_ in storage.managed_bucket().list(keys.workspace_prefix(cast.press.id))]
