"""Limits changed from the desk: one or many at once, where the limit is still the one that was seen; and undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text

from portal import audit
from portal.database import db, new_id, now, transaction
from portal.errors import Conflict, NotFound
from portal.quotas import limits
from portal.quotas.models import LimitChange, WorkspaceQuota
from portal.tenancy.service import Member

MOST = 500  # workspaces at once

# Rows are locked in one order, so that two who change many at once wait for each other instead of for ever.
_WRITE = text("""
    WITH wished AS (
        SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:seen AS bigint[]), CAST(:wanted AS bigint[]))
            AS w (workspace_id, seen, wanted)
    ), held AS (
        SELECT q.workspace_id FROM workspace_quotas q JOIN wished w ON w.workspace_id = q.workspace_id
        WHERE q.tenant_id = :tenant ORDER BY q.workspace_id FOR NO KEY UPDATE OF q
    )
    UPDATE workspace_quotas q SET limit_bytes = w.wanted, limit_set_by = :actor, limit_set_at = :at
    FROM wished w JOIN held h ON h.workspace_id = w.workspace_id
    WHERE q.workspace_id = w.workspace_id AND q.tenant_id = :tenant AND q.limit_bytes IS NOT DISTINCT FROM w.seen
    RETURNING q.workspace_id, w.seen AS before, w.wanted AS after
""")


@dataclass(frozen=True)
class Wish:
    """Another limit for a workspace whose limit was ``seen``; None: no limit of its own."""

    workspace_id: UUID
    seen: int | None
    wanted: int | None


@dataclass(frozen=True)
class Outcome:
    """``change_id`` undoes what was ``changed``; ``missed`` had another limit by then, or were gone."""

    change_id: UUID | None
    changed: list[UUID]
    missed: list[UUID]


def change(member: Member, wishes: Sequence[Wish]) -> Outcome:
    """Set limits, each where the seen one still holds. Raises ``Invalid`` for a limit that is none, for all of them."""
    for wish in wishes:
        limits.checked(wish.wanted)
    with transaction(member.tenant_id):
        return _write(member, wishes)


def change_one(member: Member, wish: Wish) -> Outcome:
    """Set one. Raises ``NotFound``, ``Invalid``, and ``Conflict`` where another limit holds by now."""
    limits.checked(wish.wanted)
    with transaction(member.tenant_id):
        outcome = _write(member, [wish])
        if outcome.missed:
            query = select(WorkspaceQuota).where(WorkspaceQuota.workspace_id == wish.workspace_id)
            row = db.session.scalar(query.where(WorkspaceQuota.tenant_id == member.tenant_id))
            raise limits.changed_meanwhile(row) if row else NotFound("There is no such workspace.")
    return outcome


def undo(member: Member, change_id: UUID) -> Outcome:
    """Put back what a change set, where nobody has set it anew since. Raises ``NotFound``, ``Conflict``."""
    with transaction(member.tenant_id):
        place = (LimitChange.tenant_id == member.tenant_id, LimitChange.id == change_id)
        row = db.session.scalar(select(LimitChange).where(*place).with_for_update())
        if row is None:
            raise NotFound("There is no such change.")
        if row.undone_at is not None:
            raise Conflict("This was undone already.")
        row.undone_at = now()
        lines = [Wish(UUID(line["workspace_id"]), line["after_bytes"], line["before_bytes"]) for line in row.lines]
        return _write(member, lines, keep=False)


def _write(member: Member, wishes: Sequence[Wish], *, keep: bool = True) -> Outcome:
    at = now()
    rows = db.session.execute(
        _WRITE,
        {
            "tenant": member.tenant_id,
            "actor": member.user_id,
            "at": at,
            "ids": [wish.workspace_id for wish in wishes],
            "seen": [wish.seen for wish in wishes],
            "wanted": [wish.wanted for wish in wishes],
        },
    ).all()
    if not rows:
        return Outcome(None, [], [wish.workspace_id for wish in wishes])
    _audit(member, rows)
    change_id = _keep(member, rows) if keep else None
    changed = [row.workspace_id for row in rows]
    return Outcome(change_id, changed, [wish.workspace_id for wish in wishes if wish.workspace_id not in set(changed)])


def _keep(member: Member, rows: Sequence[Any]) -> UUID:
    change_id = new_id()
    lines = [
        {"workspace_id": str(row.workspace_id), "before_bytes": row.before, "after_bytes": row.after} for row in rows
    ]
    db.session.add(LimitChange(id=change_id, tenant_id=member.tenant_id, actor_id=member.user_id, lines=lines))
    return change_id


def _audit(member: Member, rows: Sequence[Any]) -> None:
    common = {
        "created_at": now(),
        "tenant_id": member.tenant_id,
        "actor_id": member.user_id,
        "action": "quota.limit_set",
    }
    events = [
        {
            "id": new_id(),
            **common,
            "workspace_id": row.workspace_id,
            "target_id": row.workspace_id,
            "facts": {"limit_bytes": row.after, "before_bytes": row.before},
        }
        for row in rows
    ]
    db.session.execute(insert(audit.AuditEvent), events)
