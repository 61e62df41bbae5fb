"""What else is known of one quarantined file: its twins, the person who sent it, what was decided before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from portal.assets.models import Asset, AssetState
from portal.database import db
from portal.identity.models import User
from portal.quarantine.models import Decision, Verb
from portal.quarantine.service import HeldFile
from portal.texts import Text

LOOKED_AT = 1000  # of a person's uploads, the newest


@dataclass(frozen=True)
class Record:
    """A person's newest uploads in this tenant: how many were looked at, and what became of them."""

    looked_at: int
    held: int
    failed: int

    @property
    def percent(self) -> float:
        """The share of those that were held or refused."""
        return 100 * (self.held + self.failed) / self.looked_at if self.looked_at else 0.0


@dataclass(frozen=True)
class Decided:
    """A decision about a file, as the page tells it; ``who`` None: Stowage itself."""

    what: str
    who: str | None
    reason: str
    at: datetime
    facts: dict[str, Any]


def same_content(tenant_id: UUID, item: HeldFile) -> dict[str, int]:
    """Other files of the tenant with the same SHA-256: how many in each state."""
    if item.sha256 is None:
        return {}
    others = Asset.tenant_id == tenant_id, Asset.sha256 == item.sha256, Asset.id != item.asset_id
    statement = select(Asset.state, func.count()).where(*others).group_by(Asset.state)
    return {state.value: count for state, count in db.session.execute(statement)}


def record_of(tenant_id: UUID, person_id: UUID) -> Record:
    """What became of somebody's newest uploads in this tenant; what was removed since is not counted."""
    newest = (
        select(Asset.state)
        .where(Asset.tenant_id == tenant_id, Asset.created_by == person_id)
        .order_by(Asset.id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    held = func.count().filter(newest.c.state == AssetState.QUARANTINED)
    failed = func.count().filter(newest.c.state == AssetState.FAILED)
    return Record(*db.session.execute(select(func.count(), held, failed).select_from(newest)).one())


def decisions_about(asset_id: UUID) -> list[Decided]:
    """What was decided about a file, the newest first."""
    statement = (
        select(Decision, func.coalesce(func.nullif(User.name, ""), User.email))
        .outerjoin(User, User.id == Decision.actor_id)
        .where(Decision.asset_id == asset_id)
        .order_by(Decision.id.desc())
        .limit(100)
    )
    rows = db.session.execute(statement)
    return [Decided(each.what.value, who, _reason(each), each.created_at, each.facts) for each, who in rows]


def _reason(decision: Decision) -> str:
    """What a person wrote, or, of a scan's result, a text of ours."""
    return str(Text.load(decision.reason)) if decision.what is Verb.OUTCOME else decision.reason
