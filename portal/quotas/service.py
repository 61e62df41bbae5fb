"""Commands and queries of quotas. What moves counters belongs inside the caller's transaction, as its last act."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import BigInteger, ColumnElement, DateTime, Select, Uuid, bindparam, func, insert, or_, select, update

from portal.database import db, new_id, now
from portal.errors import Invalid, NotFound
from portal.quotas.levels import Counter, UsageStatus, tightness
from portal.quotas.limits import checked
from portal.quotas.models import TENANT_LIMIT, Entry, LedgerEntry, TenantQuota, WorkspaceQuota
from portal.sizes import format_size

# used, reserved, files
SIGNS = {Entry.RESERVE: (0, 1, 0), Entry.SETTLE: (1, -1, 1), Entry.RELEASE: (0, -1, 0), Entry.FREE: (-1, 0, -1)}
HELP_PATH = "/help/quota"

_USED, _RESERVED, _FILES, _GROWTH = (
    bindparam(name, type_=BigInteger()) for name in ("used", "reserved", "files", "growth")
)


def _has_room(level: type[WorkspaceQuota | TenantQuota], limit: Any) -> ColumnElement[bool]:
    total = level.used_bytes + level.reserved_bytes
    # What does not grow always fits: a limit may be set below the use, and that may be freed all the same.
    return or_(_GROWTH <= 0, limit.is_(None), total + _GROWTH <= limit)


def _moved(level: type[WorkspaceQuota | TenantQuota]) -> dict[str, Any]:
    return {
        "used_bytes": level.used_bytes + _USED,
        "reserved_bytes": level.reserved_bytes + _RESERVED,
        "used_files": level.used_files + _FILES,
    }


_MOVE_WORKSPACE = (
    update(WorkspaceQuota)
    .where(WorkspaceQuota.tenant_id == bindparam("tenant"), WorkspaceQuota.workspace_id == bindparam("workspace"))
    .where(_has_room(WorkspaceQuota, WorkspaceQuota.limit_bytes))
    .values(_moved(WorkspaceQuota) | {"changed_at": bindparam("at")})
)


def _move_both() -> Select[int, int]:
    """Move the workspace's counters, then the tenant's, then write the ledger: how many rows of both were moved.

    One statement, since every other upload of the tenant waits for it. The steps run in this order because each reads
    what the one before returned; a level without room returns nothing, and what comes after it is not done.
    """
    # Each row is checked and changed at once: of two that race for the last byte the second waits for the first one's
    # commit, and Postgres compares anew with what that left ("read committed", https://www.postgresql.org/docs/current/
    # transaction-iso.html).
    workspace = _MOVE_WORKSPACE.returning(WorkspaceQuota.tenant_id).cte("workspace")
    tenant = (
        update(TenantQuota)
        .where(TenantQuota.tenant_id == workspace.c.tenant_id, _has_room(TenantQuota, TENANT_LIMIT))
        .values(_moved(TenantQuota))
        .returning(TenantQuota.tenant_id)
        .cte("tenant")
    )
    entry: dict[str, ColumnElement[Any]] = {
        "id": bindparam("ledger_id", type_=Uuid()),
        "created_at": bindparam("at", type_=DateTime(timezone=True)),
        "tenant_id": tenant.c.tenant_id,
        "workspace_id": bindparam("workspace", type_=Uuid()),
        "entry": bindparam("entry", type_=LedgerEntry.entry.type),
        "subject_id": bindparam("subject", type_=Uuid()),
        "used_delta": _USED,
        "reserved_delta": _RESERVED,
    }
    ledger = insert(LedgerEntry).from_select(list(entry), select(*entry.values())).cte("ledger")
    in_workspace = select(func.count()).select_from(workspace).scalar_subquery()
    in_tenant = select(func.count()).select_from(tenant).scalar_subquery()
    return select(in_workspace, in_tenant).add_cte(ledger)


_MOVE_BOTH = _move_both()


_COUNTERS = (
    select(
        WorkspaceQuota.limit_bytes,
        WorkspaceQuota.used_bytes,
        WorkspaceQuota.reserved_bytes,
        TENANT_LIMIT,
        TenantQuota.used_bytes,
        TenantQuota.reserved_bytes,
    )
    .join(TenantQuota, TenantQuota.tenant_id == WorkspaceQuota.tenant_id)
    .where(WorkspaceQuota.tenant_id == bindparam("tenant"), WorkspaceQuota.workspace_id == bindparam("workspace"))
)


def open_tenant(tenant_id: UUID, limit_bytes: int | None) -> None:
    """Start counting for a new tenant; ``limit_bytes`` is its plan's. Inside the caller's transaction."""
    db.session.add(TenantQuota(tenant_id=tenant_id, limit_bytes=checked(limit_bytes)))


def open_workspace(tenant_id: UUID, workspace_id: UUID, limit_bytes: int | None) -> None:
    """Start counting for a new workspace, after its tenant's. Inside the caller's transaction."""
    limit = checked(limit_bytes)
    db.session.add(WorkspaceQuota(tenant_id=tenant_id, workspace_id=workspace_id, limit_bytes=limit))


def reserve(tenant_id: UUID, workspace_id: UUID, subject_id: UUID, size: int) -> None:
    """Promise room for ``size`` bytes to an upload.

    Raises ``Invalid`` with code ``quota_exceeded`` and the exact figures of the level that has no room.
    """
    _move(Entry.RESERVE, tenant_id, workspace_id, subject_id, size)


def settle(tenant_id: UUID, workspace_id: UUID, subject_id: UUID, size: int) -> None:
    """The bytes that an upload promised are here for good."""
    _move(Entry.SETTLE, tenant_id, workspace_id, subject_id, size)


def release(tenant_id: UUID, workspace_id: UUID, subject_id: UUID, size: int) -> None:
    """The bytes that an upload promised will not come."""
    _move(Entry.RELEASE, tenant_id, workspace_id, subject_id, size)


def free(tenant_id: UUID, workspace_id: UUID, subject_id: UUID, size: int) -> None:
    """The bytes of an asset are gone from the store."""
    _move(Entry.FREE, tenant_id, workspace_id, subject_id, size)


def check_room(tenant_id: UUID, workspace_id: UUID, size: int) -> None:
    """Whether ``size`` bytes would fit now; nothing is promised. Raises ``Invalid`` with ``quota_exceeded``."""
    for counter in _counters(tenant_id, workspace_id):
        if size and counter.shortage(size) > 0:
            raise _exceeded(counter, size)


def workspace_status(tenant_id: UUID, workspace_id: UUID) -> UsageStatus:
    """How a workspace stands inside its tenant. Raises ``NotFound``."""
    own, whole = _counters(tenant_id, workspace_id)
    return own.status(max(own, whole, key=tightness))


def tenant_status(tenant_id: UUID) -> UsageStatus:
    """How a tenant stands in all its workspaces together. Raises ``NotFound``."""
    query = select(TENANT_LIMIT, TenantQuota.used_bytes, TenantQuota.reserved_bytes)
    row = db.session.execute(query.where(TenantQuota.tenant_id == tenant_id)).one_or_none()
    if row is None:
        raise NotFound(_("There is no such tenant."))
    return Counter("tenant", *row).status()


def workspace_statuses(tenant_id: UUID) -> dict[UUID, UsageStatus]:
    """How each workspace of a tenant stands by its own limit, the tenant's left aside; one statement."""
    columns = WorkspaceQuota.workspace_id, WorkspaceQuota.limit_bytes, WorkspaceQuota.used_bytes
    query = select(*columns, WorkspaceQuota.reserved_bytes).where(WorkspaceQuota.tenant_id == tenant_id)
    counters = {row[0]: Counter("workspace", *row[1:]) for row in db.session.execute(query)}
    return {workspace_id: counter.status() for workspace_id, counter in counters.items()}


def _counters(tenant_id: UUID, workspace_id: UUID) -> tuple[Counter, Counter]:
    """The workspace's and the tenant's; one statement. Raises ``NotFound``."""
    row = db.session.execute(_COUNTERS, {"tenant": tenant_id, "workspace": workspace_id}).one_or_none()
    if row is None:
        raise NotFound(_("There is no such workspace."))
    return Counter("workspace", *row[:3]), Counter("tenant", *row[3:])


def _move(entry: Entry, tenant_id: UUID, workspace_id: UUID, subject_id: UUID, size: int) -> None:
    """Move the counters of both levels and write the ledger, or raise ``Invalid`` (``quota_exceeded``)."""
    if size < 0:
        raise ValueError(f"a size is no less than nothing: {size}")
    if size == 0:  # what lies in a customer's own bucket is charged nothing
        return
    used, reserved, files = SIGNS[entry]
    growth = (used + reserved) * size
    values = {
        "tenant": tenant_id,
        "workspace": workspace_id,
        "used": used * size,
        "reserved": reserved * size,
        "files": files,
        "growth": growth,
        "at": now(),
    }
    booked = {**values, "ledger_id": new_id(), "entry": entry, "subject": subject_id}
    # The command's own rows first, the workspace's counters, then the tenant's, for which all its uploads wait.
    db.session.flush()
    # As Core: the unit of work has no part in counters.
    connection = db.session.connection()
    in_workspace, in_tenant = connection.execute(_MOVE_BOTH, booked).one()
    if not in_workspace:
        _require_room_in_workspace(tenant_id, workspace_id, growth)
        in_workspace, in_tenant = connection.execute(_MOVE_BOTH, booked).one()
    if not in_tenant:
        # A caller that catches the refusal and commits must not have charged the workspace.
        back = {"used": -used * size, "reserved": -reserved * size, "files": -files, "growth": -growth}
        connection.execute(_MOVE_WORKSPACE, values | back)
        _require_room_in_tenant(tenant_id, growth)
        connection.execute(_MOVE_BOTH, booked)


def _require_room_in_workspace(tenant_id: UUID, workspace_id: UUID, growth: int) -> None:
    """Raises ``Invalid`` with the figures of a workspace that has refused ``growth`` bytes.

    The row is locked first. Where another transaction has given room back since the refusal there is nothing to raise,
    and the row can't change again before it is charged.
    """
    query = select(WorkspaceQuota.limit_bytes, WorkspaceQuota.used_bytes, WorkspaceQuota.reserved_bytes).where(
        WorkspaceQuota.tenant_id == tenant_id, WorkspaceQuota.workspace_id == workspace_id
    )
    row = db.session.execute(query.with_for_update(key_share=True)).one_or_none()
    if row is None:
        raise LookupError(f"no counters for workspace {workspace_id} in tenant {tenant_id}")
    counter = Counter("workspace", *row)
    if counter.shortage(growth) > 0:
        raise _exceeded(counter, growth)


def _require_room_in_tenant(tenant_id: UUID, growth: int) -> None:
    """The same for a tenant."""
    query = select(TENANT_LIMIT, TenantQuota.used_bytes, TenantQuota.reserved_bytes).where(
        TenantQuota.tenant_id == tenant_id
    )
    row = db.session.execute(query.with_for_update(key_share=True)).one_or_none()
    if row is None:
        raise LookupError(f"no counters for tenant {tenant_id}")
    counter = Counter("tenant", *row)
    if counter.shortage(growth) > 0:
        raise _exceeded(counter, growth)


def _shortage(full: Counter, size: int) -> Iterator[str]:
    """What is missing, and what to do."""
    values = {
        "left": format_size(full.remaining_bytes or 0),
        "size": format_size(size),
        "short": format_size(full.shortage(size)),
    }
    if full.scope == "workspace" and full.remaining_bytes:
        yield _("This workspace has %(left)s left, and this needs %(size)s: %(short)s too much.", **values)
    elif full.scope == "workspace":
        yield _("This workspace has no space left, and this needs %(size)s.", **values)
    elif full.remaining_bytes:
        yield _(
            "The workspaces of this tenant have %(left)s left in all, and this needs %(size)s: %(short)s too much.",
            **values,
        )
    else:
        yield _("The workspaces of this tenant have no space left, and this needs %(size)s.", **values)
    if full.reserved_bytes:
        yield _("Wait for the running uploads, empty the trash, or ask an administrator for more space.")
    else:
        yield _("Empty the trash, or ask an administrator for more space.")


def _exceeded(full: Counter, size: int) -> Invalid:
    return Invalid(
        " ".join(_shortage(full, size)),
        code="quota_exceeded",
        scope=full.scope,
        used_bytes=full.used_bytes,
        reserved_bytes=full.reserved_bytes,
        limit_bytes=full.limit_bytes,
        required_bytes=size,
        shortage_bytes=full.shortage(size),
        percent=full.permille / 10,
        help_url=f"{current_app.extensions['portal.settings'].base_url}{HELP_PATH}",
    )
