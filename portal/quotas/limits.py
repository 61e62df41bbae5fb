"""Limits of workspaces, written where the one that was seen is still the one that holds; and the tenant's override."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from portal import audit
from portal.database import db, now
from portal.errors import Conflict, Invalid, NotFound
from portal.identity.models import User
from portal.quotas.models import TenantQuota, WorkspaceQuota
from portal.sizes import LARGEST, in_words

UNSEEN: Any = object()
"""For a caller that did not look at the limit before."""


def write(
    tenant_id: UUID, workspace_id: UUID, actor_id: UUID | None, limit_bytes: int | None, seen: int | None = UNSEEN
) -> int | None:
    """Set a limit inside the caller's transaction, and its audit event; gives the one before.

    Raises ``NotFound``, ``Invalid``, and ``Conflict`` where the limit is no longer the one that was ``seen``.
    """
    limit = checked(limit_bytes)
    place = (WorkspaceQuota.tenant_id == tenant_id, WorkspaceQuota.workspace_id == workspace_id)
    columns = WorkspaceQuota.limit_bytes, WorkspaceQuota.limit_set_by, WorkspaceQuota.limit_set_at
    row = db.session.execute(select(*columns).where(*place).with_for_update(key_share=True)).one_or_none()
    if row is None:
        raise NotFound("There is no such workspace.")
    before: int | None = row.limit_bytes
    if seen is not UNSEEN and before != seen:
        raise changed_meanwhile(row)
    facts = {"limit_bytes": limit, "before_bytes": before}
    audit.record(tenant_id, actor_id, "quota.limit_set", workspace_id, workspace_id=workspace_id, **facts)
    values = {"limit_bytes": limit, "limit_set_by": actor_id, "limit_set_at": now()}
    db.session.execute(update(WorkspaceQuota).where(*place).values(values))
    return before


def changed_meanwhile(row: Any) -> Conflict:
    """The refusal for somebody who saw another limit than the one that holds, with who set it."""
    name = row.limit_set_by and db.session.scalar(select(User.name).where(User.id == row.limit_set_by))
    who = name or "Somebody else"
    holds = "lifted the limit" if row.limit_bytes is None else f"set the limit to {in_words(row.limit_bytes)}"
    what_now = "Yours was not saved: look, and save again if you still want to."
    return Conflict(f"{who} {holds} after you had opened this. {what_now}", limit_bytes=row.limit_bytes)


def write_override(tenant_id: UUID, limit_bytes: int | None, until: datetime, actor_id: UUID | None) -> None:
    """Inside the caller's transaction. Raises ``Invalid``, ``NotFound``."""
    limit = checked(limit_bytes)
    if until.tzinfo is None:
        raise Invalid("The end needs a time zone.", field="until")
    if until <= now():
        words = f"An override must end in the future; {until:%d %B %Y, %H:%M} UTC is over."
        raise Invalid(words, field="until")
    _set_override(tenant_id, actor_id, "quota.override_set", override_bytes=limit, override_until=until)


def write_no_override(tenant_id: UUID, actor_id: UUID | None) -> None:
    """Back to the plan's limit at once, inside the caller's transaction. Raises ``NotFound``."""
    _set_override(tenant_id, actor_id, "quota.override_ended", override_bytes=None, override_until=None)


def _set_override(tenant_id: UUID, actor_id: UUID | None, action: str, **values: Any) -> None:
    statement = update(TenantQuota).where(TenantQuota.tenant_id == tenant_id).values(values)
    if db.session.execute(statement.returning(TenantQuota.tenant_id)).one_or_none() is None:
        raise NotFound("There is no such tenant.")
    facts: dict[str, Any] = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()
    }
    audit.record(tenant_id, actor_id, action, tenant_id, **facts)


@dataclass(frozen=True)
class TenantLimit:
    """Which limit holds for a tenant, and what is held; ``override_until`` None: the plan's. Sizes in bytes."""

    plan_bytes: int | None
    limit_bytes: int | None
    override_until: datetime | None
    used_bytes: int
    reserved_bytes: int
    used_files: int


def of_tenant(tenant_id: UUID) -> TenantLimit:
    """The entered tenant's. Raises ``NotFound``."""
    query = select(TenantQuota).where(TenantQuota.tenant_id == tenant_id)
    row = db.session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFound("There is no such tenant.")
    overridden = row.override_until is not None and row.override_until > now()
    return TenantLimit(
        plan_bytes=row.limit_bytes,
        limit_bytes=row.override_bytes if overridden else row.limit_bytes,
        override_until=row.override_until if overridden else None,
        used_bytes=row.used_bytes,
        reserved_bytes=row.reserved_bytes,
        used_files=row.used_files,
    )


def checked(limit_bytes: int | None) -> int | None:
    """A limit as it can be stored. Raises ``Invalid``."""
    if limit_bytes is None:
        return None
    if isinstance(limit_bytes, bool) or not isinstance(limit_bytes, int) or not 0 <= limit_bytes <= LARGEST:
        words = f"A limit is a whole number of bytes from 0 to {LARGEST}, or null for none."
        raise Invalid(words, field="limit_bytes")
    return limit_bytes
