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
from portal.texts import Text


def note(asset: Asset, what: Verb, actor_id: UUID | None, reason: str | Text, **facts: Any) -> None:
    """Belongs inside the transaction of the decision. Facts are JSON; the file's name and hash go with them.

    ``reason`` is what a person wrote, or a text of ours: the row keeps it for readers of any language, the audit log
    and the event have it in English.
    """
    kept, english = (reason.stored, reason.english) if isinstance(reason, Text) else (reason, reason)
    known = {"file_name": asset.file_name, "sha256": asset.sha256, "signature": asset.scan_signature, **facts}
    place = {"tenant_id": asset.tenant_id, "workspace_id": asset.workspace_id, "asset_id": asset.id}
    db.session.add(
        Decision(**place, person_id=asset.created_by, actor_id=actor_id, what=what, reason=kept, facts=known)
    )
    db.session.flush()
    told: dict[str, Any] = {"reason": english, **facts}
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
