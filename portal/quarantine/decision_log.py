"""The record of decisions: a row, an audit event and an event, written in the transaction of the decision."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from portal import audit
from portal.assets.models import Asset
from portal.database import db
from portal.events import service as events
from portal.events.models import EventType
from portal.quarantine.models import Decision, DecisionKind
from portal.texts import Text


def record(asset: Asset, what: DecisionKind, actor_id: UUID | None, reason: str | Text, **facts: Any) -> None:
    """Record a decision about ``asset``. Belongs inside the transaction that carries it out.

    ``reason`` is what a person wrote, or a text of ours: the row keeps it for readers of any language, the audit log
    and the event have it in English. ``facts`` are JSON values that are recorded in all three places; ``actor_id`` is
    None for what a worker found.
    """
    stored, english = (reason.stored, reason.english) if isinstance(reason, Text) else (reason, reason)
    # The row is read when the file is gone, so it keeps the file's name and hash as well.
    file_facts = {"file_name": asset.file_name, "sha256": asset.sha256, "signature": asset.scan_signature}
    decision = Decision(
        tenant_id=asset.tenant_id,
        workspace_id=asset.workspace_id,
        asset_id=asset.id,
        person_id=asset.created_by,
        actor_id=actor_id,
        kind=what,
        reason=stored,
        facts=file_facts | facts,
    )
    db.session.add(decision)
    db.session.flush()
    audit.record(
        asset.tenant_id,
        actor_id,
        f"quarantine.{what}",
        asset.id,
        workspace_id=asset.workspace_id,
        reason=english,
        **facts,
    )
    events.record(
        EventType.QUARANTINE_DECIDED,
        asset.tenant_id,
        asset.workspace_id,
        asset_id=str(asset.id),
        decision=what.value,
        actor_id=str(actor_id) if actor_id else None,
        reason=english,
        **facts,
    )
