"""Commands and queries of quotas. What moves counters belongs inside the caller's transaction, as its last act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from flask import current_app
from sqlalchemy import BigInteger, ClauseElement, DateTime, String, Uuid, bindparam, select, text, update

from portal import audit
from portal.db import db, new_id, now, transaction
from portal.errors import Invalid, NotFound
from portal.quotas.models import Entry, TenantQuota, WorkspaceQuota
from portal.statements import directly, together

Level = Literal["ok", "medium", "high", "critical", "exceeded"]
LEVELS: tuple[tuple[int, Level], ...] = ((100, "exceeded"), (95, "critical"), (90, "high"), (80, "medium"))  # percent
SIGNS = {Entry.RESERVE: (0, 1), Entry.SETTLE: (1, -1), Entry.RELEASE: (0, -1), Entry.FREE: (-1, 0)}  # used, reserved
HELP_PATH = "/help/quota"
LARGEST = 2**63 - 1  # bytes: what a bigint holds

# One statement, one round trip (0.2 ms; three statements take 0.4). ``held`` locks the workspace's row; ``both`` reads
# from it and so can't lock the tenant's row earlier. What these two return is the rows' newest state, however long the
# locks took, and nothing changes it before this transaction ends. Only what ``fits`` moves counters: a refusal leaves
# nothing to undo and knows its exact figures.
_MOVE = text("""
    WITH held AS (
        SELECT limit_bytes, used_bytes, reserved_bytes FROM workspace_quotas
        WHERE workspace_id = :workspace AND tenant_id = :tenant FOR NO KEY UPDATE
    ), both_levels AS (
        SELECT held.limit_bytes AS workspace_limit, held.used_bytes AS workspace_used,
               held.reserved_bytes AS workspace_reserved,
               CASE WHEN t.override_until > now() THEN t.override_bytes ELSE t.limit_bytes END AS tenant_limit,
               t.used_bytes AS tenant_used, t.reserved_bytes AS tenant_reserved
        FROM held, tenant_quotas t WHERE t.tenant_id = :tenant FOR NO KEY UPDATE OF t
    ), fits AS (
        SELECT 1 FROM both_levels WHERE :growth <= 0 OR (
            coalesce(workspace_used + workspace_reserved + :growth <= workspace_limit, true)
            AND coalesce(tenant_used + tenant_reserved + :growth <= tenant_limit, true))
    ), workspace_moved AS (
        UPDATE workspace_quotas SET used_bytes = used_bytes + :used, reserved_bytes = reserved_bytes + :reserved
        FROM fits WHERE workspace_id = :workspace AND tenant_id = :tenant
    ), tenant_moved AS (
        UPDATE tenant_quotas SET used_bytes = used_bytes + :used, reserved_bytes = reserved_bytes + :reserved
        FROM fits WHERE tenant_id = :tenant
    ), entered AS (
        INSERT INTO quota_ledger
            (id, created_at, tenant_id, workspace_id, entry, subject_id, used_delta, reserved_delta)
        SELECT :entry_id, :at, :tenant, :workspace, :entry, :subject, :used, :reserved FROM fits
    )
    SELECT both_levels.*, EXISTS (SELECT FROM fits) AS fits FROM both_levels
""").bindparams(
    *(bindparam(name, type_=Uuid()) for name in ("entry_id", "workspace", "tenant", "subject")),
    *(bindparam(name, type_=BigInteger()) for name in ("growth", "used", "reserved")),
    bindparam("at", type_=DateTime(timezone=True)),
    bindparam("entry", type_=String()),
)
STANDING = """
    SELECT w.limit_bytes AS workspace_limit, w.used_bytes AS workspace_used, w.reserved_bytes AS workspace_reserved,
           CASE WHEN t.override_until > now() THEN t.override_bytes ELSE t.limit_bytes END AS tenant_limit,
           t.used_bytes AS tenant_used, t.reserved_bytes AS tenant_reserved
    FROM tenant_quotas t LEFT JOIN workspace_quotas w ON w.tenant_id = t.tenant_id AND w.workspace_id = :workspace
    WHERE t.tenant_id = :tenant
"""
_STANDING = text(STANDING).bindparams(bindparam("workspace", type_=Uuid()), bindparam("tenant", type_=Uuid()))


@dataclass(frozen=True)
class Standing:
    """How a workspace, or a tenant, stands; sizes in bytes, ``limit_bytes`` None: no limit of its own.

    ``remaining_bytes`` (None: unlimited), ``percent`` and ``level`` are those of the level with less room, named by
    ``scope``: they say whether an upload will be taken. ``percent`` counts what is reserved as held, as the limit does,
    in steps of 0.1, rounded down; it passes 100 when a limit was set below what is held. ``exceeded``: 100 or more.
    """

    limit_bytes: int | None
    used_bytes: int
    reserved_bytes: int
    remaining_bytes: int | None
    percent: float
    level: Level
    scope: Literal["workspace", "tenant"]


@dataclass(frozen=True)
class _Counter:
    scope: Literal["workspace", "tenant"]
    limit_bytes: int | None
    used_bytes: int
    reserved_bytes: int

    @property
    def held_bytes(self) -> int:
        return self.used_bytes + self.reserved_bytes

    @property
    def remaining_bytes(self) -> int | None:
        return None if self.limit_bytes is None else max(0, self.limit_bytes - self.held_bytes)

    @property
    def permille(self) -> int:
        if self.limit_bytes is None:
            return 0
        return self.held_bytes * 1000 // self.limit_bytes if self.limit_bytes else 1000


def open_tenant(tenant_id: UUID, limit_bytes: int | None) -> None:
    """Start counting for a new tenant; ``limit_bytes`` is its plan's. Inside the caller's transaction."""
    db.session.add(TenantQuota(tenant_id=tenant_id, limit_bytes=checked_limit(limit_bytes)))


def open_workspace(tenant_id: UUID, workspace_id: UUID, limit_bytes: int | None) -> None:
    """Start counting for a new workspace, after its tenant's. Inside the caller's transaction."""
    limit = checked_limit(limit_bytes)
    db.session.add(WorkspaceQuota(tenant_id=tenant_id, workspace_id=workspace_id, limit_bytes=limit))


def reserve(
    tenant_id: UUID,
    workspace_id: UUID,
    subject_id: UUID,
    size: int,
    along_with: tuple[tuple[ClauseElement, ...], dict[str, Any]] | None = None,
) -> None:
    """Promise room for ``size`` bytes to an upload. ``along_with``: statements for the same round trip, their values.

    Raises ``Invalid`` with code ``quota_exceeded`` and the exact figures of the level that has no room.
    """
    _move(Entry.RESERVE, tenant_id, workspace_id, subject_id, size, along_with)


def settle(tenant_id: UUID, workspace_id: UUID, subject_id: UUID, size: int) -> None:
    """The bytes that an upload promised are here for good."""
    _move(Entry.SETTLE, tenant_id, workspace_id, subject_id, size)


def release(tenant_id: UUID, workspace_id: UUID, subject_id: UUID, size: int) -> None:
    """The bytes that an upload promised will not come."""
    _move(Entry.RELEASE, tenant_id, workspace_id, subject_id, size)


def free(tenant_id: UUID, workspace_id: UUID, subject_id: UUID, size: int) -> None:
    """The bytes of an asset are gone from the store."""
    _move(Entry.FREE, tenant_id, workspace_id, subject_id, size)


def standing(tenant_id: UUID, workspace_id: UUID) -> Standing:
    """How a workspace stands inside its tenant. Raises ``NotFound``."""
    rows = directly(_STANDING, tenant=tenant_id, workspace=workspace_id)
    if not rows or rows[0].workspace_used is None:
        raise NotFound("There is no such workspace.")
    return standing_from(rows[0])


def standing_from(row: Any) -> Standing:
    """How a workspace stands, from a row of ``STANDING`` (with ``:workspace`` and ``:tenant``) that was found."""
    own, tenants = _of_workspace(row), _of_tenant(row)
    return _standing(own, max(own, tenants, key=_tightness))


def tenant_standing(tenant_id: UUID) -> Standing:
    """How a tenant stands in all its workspaces together. Raises ``NotFound``."""
    rows = directly(_STANDING, tenant=tenant_id, workspace=None)
    if not rows:
        raise NotFound("There is no such tenant.")
    tenants = _of_tenant(rows[0])
    return _standing(tenants, tenants)


def workspace_standings(tenant_id: UUID) -> dict[UUID, Standing]:
    """How each workspace of a tenant stands by its own limit, the tenant's left aside; one statement."""
    columns = WorkspaceQuota.workspace_id, WorkspaceQuota.limit_bytes, WorkspaceQuota.used_bytes
    query = select(*columns, WorkspaceQuota.reserved_bytes).where(WorkspaceQuota.tenant_id == tenant_id)
    counters = {row[0]: _Counter("workspace", *row[1:]) for row in db.session.execute(query)}
    return {workspace_id: _standing(counter, counter) for workspace_id, counter in counters.items()}


def set_limit(tenant_id: UUID, workspace_id: UUID, actor_id: UUID | None, limit_bytes: int | None) -> None:
    """Limit a workspace, or lift its limit (None), in a transaction of its own.

    A limit below what is held takes nothing away. Raises ``NotFound``, ``Invalid``.
    """
    limit = checked_limit(limit_bytes)
    place = (WorkspaceQuota.tenant_id == tenant_id, WorkspaceQuota.workspace_id == workspace_id)
    with transaction(tenant_id) as session:
        query = select(WorkspaceQuota.limit_bytes).where(*place).with_for_update(key_share=True)
        row = session.execute(query).one_or_none()
        if row is None:
            raise NotFound("There is no such workspace.")
        facts = {"limit_bytes": limit, "before_bytes": row.limit_bytes}
        audit.record(tenant_id, actor_id, "quota.limit_set", workspace_id, workspace_id=workspace_id, **facts)
        session.execute(update(WorkspaceQuota).where(*place).values(limit_bytes=limit))


def checked_limit(limit_bytes: int | None) -> int | None:
    """A limit as it can be stored. Raises ``Invalid``."""
    if limit_bytes is None:
        return None
    if isinstance(limit_bytes, bool) or not isinstance(limit_bytes, int) or not 0 <= limit_bytes <= LARGEST:
        words = f"A limit is a whole number of bytes from 0 to {LARGEST}, or null for none."
        raise Invalid(words, field="limit_bytes")
    return limit_bytes


def _move(
    entry: Entry,
    tenant_id: UUID,
    workspace_id: UUID,
    subject_id: UUID,
    size: int,
    along_with: tuple[tuple[ClauseElement, ...], dict[str, Any]] | None = None,
) -> None:
    """Move both counters and write the ledger, or raise ``quota_exceeded`` and move nothing."""
    if size < 0:
        raise ValueError(f"a size is no less than nothing: {size}")
    if size == 0:
        return  # an asset may be charged nothing
    used, reserved = (sign * size for sign in SIGNS[entry])
    growth = used + reserved
    values: dict[str, Any] = {
        "entry": entry.value,
        "subject": subject_id,
        "growth": growth,
        "used": used,
        "reserved": reserved,
    }
    place = {"tenant": tenant_id, "workspace": workspace_id}
    values |= {"entry_id": new_id(), "at": now(), **place}
    rows = together(along_with[0], _MOVE, **values, **along_with[1]) if along_with else directly(_MOVE, **values)
    if not rows:
        raise LookupError(f"no counters for workspace {workspace_id} in tenant {tenant_id}")
    (row,) = rows
    if not row.fits:
        own, tenants = _of_workspace(row), _of_tenant(row)
        raise _exceeded(own if _shortage(own, growth) > 0 else tenants, growth)


def _exceeded(full: _Counter, size: int) -> Invalid:
    whose = "This workspace has" if full.scope == "workspace" else "All workspaces of this tenant together have"
    left = full.remaining_bytes or 0
    room = f"{whose} {_in_words(left)} left" if left else f"{whose} no space left"
    return Invalid(
        f"{room}, and this needs {_in_words(size)}. Empty the trash or ask a tenant admin for more space.",
        code="quota_exceeded",
        scope=full.scope,
        used_bytes=full.used_bytes,
        reserved_bytes=full.reserved_bytes,
        limit_bytes=full.limit_bytes,
        required_bytes=size,
        shortage_bytes=_shortage(full, size),
        percent=full.permille / 10,
        help_url=f"{current_app.extensions['portal.settings'].base_url}{HELP_PATH}",
    )


def _shortage(counter: _Counter, size: int) -> int:
    return 0 if counter.limit_bytes is None else counter.held_bytes + size - counter.limit_bytes


def _of_workspace(row: Any) -> _Counter:
    return _Counter("workspace", row.workspace_limit, row.workspace_used, row.workspace_reserved)


def _of_tenant(row: Any) -> _Counter:
    return _Counter("tenant", row.tenant_limit, row.tenant_used, row.tenant_reserved)


def _tightness(counter: _Counter) -> tuple[float, int]:
    left = counter.remaining_bytes
    return (float("-inf") if left is None else -left, counter.permille)


def _standing(own: _Counter, tighter: _Counter) -> Standing:
    return Standing(
        limit_bytes=own.limit_bytes,
        used_bytes=own.used_bytes,
        reserved_bytes=own.reserved_bytes,
        remaining_bytes=tighter.remaining_bytes,
        percent=tighter.permille / 10,
        level=_level(tighter),
        scope=tighter.scope,
    )


def _level(counter: _Counter) -> Level:
    for percent, level in LEVELS:
        if counter.permille >= percent * 10:
            return level
    return "ok"


def _in_words(size: int) -> str:
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size} bytes" if size != 1 else "1 byte"
