"""What was decided and what came of it: a row, an audit event and an event, written together."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from portal import audit
from portal.assets.models import Asset
from portal.database import db
from portal.events import service as events
from portal.events.models import EventType
from portal.quarantine.models import Decision, Verb


def note(asset: Asset, what: Verb, actor_id: UUID | None, reason: str, **facts: Any) -> None:
    """Belongs inside the transaction of the decision. Facts are JSON; the file's name and hash go with them."""
    known = {"file_name": asset.file_name, "sha256": asset.sha256, "signature": asset.scan_signature, **facts}
    place = {"tenant_id": asset.tenant_id, "workspace_id": asset.workspace_id, "asset_id": asset.id}
    db.session.add(
        Decision(**place, person_id=asset.created_by, actor_id=actor_id, what=what, reason=reason, facts=known)
    )
    db.session.flush()
    told: dict[str, Any] = {"reason": reason, **facts}
    audit.record(asset.tenant_id, actor_id, f"quarantine.{what}", asset.id, workspace_id=asset.workspace_id, **told)
    events.record(
        EventType.QUARANTINE_DECIDED,
        asset.tenant_id,
        asset.workspace_id,
        asset_id=str(asset.id),
        decision=what.value,
        actor_id=str(actor_id) if actor_id else None,
        **told,
    )
