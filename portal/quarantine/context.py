"""Facts beside one quarantined file: files with the same content, the uploader's other uploads, earlier decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from portal.assets.models import Asset, AssetState
from portal.database import db
from portal.identity.models import User
from portal.quarantine.models import Decision, DecisionKind
from portal.quarantine.service import QuarantinedFile
from portal.texts import Text

COUNTED_UPLOADS = 1000  # the newest of a person; counting all of somebody with millions would make the page slow


@dataclass(frozen=True)
class UploadHistory:
    """A person's newest uploads in this tenant: how many were counted, and how many were quarantined or rejected."""

    counted: int
    quarantined: int
    failed: int

    @property
    def percent(self) -> float:
        """The share of those that were quarantined or rejected."""
        return 100 * (self.quarantined + self.failed) / self.counted if self.counted else 0.0


@dataclass(frozen=True)
class PastDecision:
    """A decision about a file, as the page shows it; ``who`` is None where a worker recorded a result."""

    kind: str
    who: str | None
    reason: str
    at: datetime
    facts: dict[str, Any]


def same_content(tenant_id: UUID, item: QuarantinedFile) -> dict[str, int]:
    """Other files of the tenant with the same SHA-256: how many in each state."""
    if item.sha256 is None:
        return {}
    others = Asset.tenant_id == tenant_id, Asset.sha256 == item.sha256, Asset.id != item.asset_id
    statement = select(Asset.state, func.count()).where(*others).group_by(Asset.state)
    return {state.value: count for state, count in db.session.execute(statement)}


def upload_history(tenant_id: UUID, person_id: UUID) -> UploadHistory:
    """Counts over a person's newest uploads in this tenant; files that were removed since are not counted."""
    newest = (
        select(Asset.state)
        .where(Asset.tenant_id == tenant_id, Asset.created_by == person_id)
        .order_by(Asset.id.desc())
        .limit(COUNTED_UPLOADS)
        .subquery()
    )
    quarantined = func.count().filter(newest.c.state == AssetState.QUARANTINED)
    failed = func.count().filter(newest.c.state == AssetState.FAILED)
    return UploadHistory(*db.session.execute(select(func.count(), quarantined, failed).select_from(newest)).one())


def decisions_about(asset_id: UUID) -> list[PastDecision]:
    """The decisions about a file, the newest first; at most 100."""
    statement = (
        select(Decision, User.shown_name)
        .outerjoin(User, User.id == Decision.actor_id)
        .where(Decision.asset_id == asset_id)
        .order_by(Decision.id.desc())
        .limit(100)
    )
    return [
        PastDecision(each.kind.value, who, _reason(each), each.created_at, each.facts)
        for each, who in db.session.execute(statement)
    ]


def _reason(decision: Decision) -> str:
    # Only results are texts of ours: what a person wrote must not be looked up in the catalogue.
    return str(Text.load(decision.reason)) if decision.kind is DecisionKind.OUTCOME else decision.reason
