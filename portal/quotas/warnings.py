"""Warnings: once for each crossing of 80, 90 and 95 %, to those who can do something about it.

``warned_percent`` in a counter's row is the level of the last warning. A share that falls 5 points below it is
forgotten, so that the next crossing warns anew. The sweep asks the database which rows are due: uploads pay nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text

from portal import audit
from portal.database import db, new_id, transaction
from portal.events import service as events
from portal.events.models import EventType
from portal.mail import service as mail
from portal.quotas.levels import LEVELS, Counter
from portal.tenancy import people

STEPS = tuple(sorted((percent, level) for percent, level in LEVELS if percent < 100))
BACK = 5  # points below a level at which it is forgotten

_LIMIT = "CASE WHEN q.override_until > now() THEN q.override_bytes ELSE q.limit_bytes END"
_PLACE = """
    SELECT {limit} AS limit_bytes, q.used_bytes, q.reserved_bytes, q.warned_percent, t.slug AS tenant_slug,
           t.name AS tenant_name, {slug} AS workspace_slug, {name} AS workspace_name
    FROM {table} q JOIN tenants t ON t.id = q.tenant_id {join} WHERE q.{key} = :id AND q.tenant_id = :tenant
    FOR NO KEY UPDATE OF q
"""
_MARK = "UPDATE {table} SET warned_percent = :percent WHERE {key} = :id AND tenant_id = :tenant"
_OF_WORKSPACE = {"table": "workspace_quotas", "key": "workspace_id"}
_OF_TENANT = {"table": "tenant_quotas", "key": "tenant_id"}
_WORKSPACE = {"limit": "q.limit_bytes", "slug": "w.slug", "name": "w.name"}
_WORKSPACE |= {"join": "JOIN workspaces w ON w.id = q.workspace_id"}
_TENANT = {"limit": _LIMIT, "slug": "NULL", "name": "NULL", "join": ""}


_LOOK = {
    False: text(_PLACE.format(**_OF_WORKSPACE, **_WORKSPACE)),
    True: text(_PLACE.format(**_OF_TENANT, **_TENANT)),
}
_WRITE = {False: text(_MARK.format(**_OF_WORKSPACE)), True: text(_MARK.format(**_OF_TENANT))}


@dataclass(frozen=True)
class Crossing:
    """A level that was passed upwards; ``workspace_id`` None: by all workspaces of the tenant together."""

    tenant_id: UUID
    workspace_id: UUID | None
    percent: int
    level: str


def notice(tenant_id: UUID, workspace_id: UUID | None) -> Crossing | None:
    """Warn where a level was passed and nobody was told; forget one that lies 5 points above. Safe to repeat."""
    whole = workspace_id is None
    place = {"id": workspace_id or tenant_id, "tenant": tenant_id}
    with transaction(tenant_id):
        rows = db.session.execute(_LOOK[whole], place).all()
        if not rows:
            return None
        (row,) = rows
        now, before = level_now(_permille(row), row.warned_percent), row.warned_percent
        if now == before:
            return None
        crossing = Crossing(tenant_id, workspace_id, now, dict(STEPS)[now]) if now > before else None
        if crossing:
            _tell(crossing, row)
        db.session.execute(_WRITE[whole], {"percent": now, **place})
    return crossing


def level_now(permille: int, warned: int) -> int:
    """The level to be known as warned of (0: none), from the share and the level so far."""
    reached = max((percent for percent, _ in STEPS if permille >= percent * 10), default=0)
    kept = max((percent for percent, _ in STEPS if percent <= warned and permille >= (percent - BACK) * 10), default=0)
    return max(reached, kept)


def _permille(row: Any) -> int:
    counter = Counter("workspace", row.limit_bytes, row.used_bytes, row.reserved_bytes)
    return counter.permille if counter.held_bytes else 0  # nothing in it: no warning, however small the limit


def _tell(crossing: Crossing, row: Any) -> None:
    held, percent = row.used_bytes + row.reserved_bytes, _permille(row) / 10
    facts = {"level": crossing.level, "percent": percent, "used_bytes": held, "limit_bytes": row.limit_bytes}
    scope = "tenant" if crossing.workspace_id is None else "workspace"
    target = crossing.workspace_id or crossing.tenant_id
    events.record(EventType.QUOTA_WARNING, crossing.tenant_id, crossing.workspace_id, scope=scope, **facts)
    audit.record(crossing.tenant_id, None, "quota.warned", target, workspace_id=crossing.workspace_id, **facts)
    names = {
        "place": row.workspace_name or row.tenant_name,
        "tenant_name": row.tenant_name,
        "is_tenant": crossing.workspace_id is None,
    }
    # Who is both admin and owner gets one letter, the admin's: it leads to where limits are set.
    letter = {**facts, **names, "once": f"quota:{new_id()}"}
    desk = f"/t/{row.tenant_slug}/quotas"
    mail.write("quota_warning", people.admins_of(crossing.tenant_id), crossing.tenant_id, path=desk, **letter)
    if crossing.workspace_id is not None:
        owners, files = people.owners_of(crossing.workspace_id), f"/t/{row.tenant_slug}/w/{row.workspace_slug}/files"
        mail.write("quota_warning", owners, crossing.tenant_id, path=files, **letter)
