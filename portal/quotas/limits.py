"""Limits of workspaces, one or many at once, and undone; and the override of a tenant's limit.

A person's change holds only where the limit is still the one that they saw, so that nobody undoes unseen what somebody
else has just set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import select, update

from portal import audit
from portal.database import db, new_id, now, transaction
from portal.errors import Conflict, Invalid, NotFound
from portal.identity.models import User
from portal.quotas.models import LimitChange, TenantQuota, WorkspaceQuota
from portal.sizes import LARGEST, format_size
from portal.tenancy.service import Member

MOST = 500  # workspaces at once
UNSEEN: Any = object()
"""For a caller that did not look at the limit before."""


@dataclass(frozen=True)
class NewLimit:
    """A limit in bytes for a workspace whose limit was ``seen``; None: no limit of its own inside the tenant's."""

    workspace_id: UUID
    seen: int | None
    limit_bytes: int | None


@dataclass(frozen=True)
class ChangeResult:
    """``change_id`` undoes what was ``changed``; ``missed`` had another limit by then, or were gone."""

    change_id: UUID | None
    changed: list[UUID]
    missed: list[UUID]


@dataclass(frozen=True)
class TenantLimit:
    """Which limit holds for a tenant, and what is used; ``override_until`` None: the plan's. Sizes in bytes."""

    plan_bytes: int | None
    limit_bytes: int | None
    override_until: datetime | None
    used_bytes: int
    reserved_bytes: int
    used_files: int


@dataclass(frozen=True)
class WorkspaceCounters:
    """The counters of a workspace, and its own limit (None: no other than the tenant's). Sizes in bytes."""

    workspace_id: UUID
    limit_bytes: int | None
    used_bytes: int
    used_files: int


def set_limit(
    tenant_id: UUID, workspace_id: UUID, actor_id: UUID | None, limit_bytes: int | None, seen: int | None = UNSEEN
) -> None:
    """Limit a workspace, or lift its limit (None). A limit below the use removes nothing.

    Raises ``NotFound``, ``Invalid``, and ``Conflict`` where the limit is no longer the one that was ``seen``.
    """
    with transaction(tenant_id):
        write(tenant_id, actor_id, NewLimit(workspace_id, seen, limit_bytes))


def change_one(member: Member, wanted: NewLimit) -> ChangeResult:
    """Set a limit that can be undone. Raises as ``set_limit`` does."""
    with transaction(member.tenant_id):
        before = write(member.tenant_id, member.user_id, wanted)
        change_id = _record_change(member, [wanted], {wanted.workspace_id: before})
    return ChangeResult(change_id, [wanted.workspace_id], [])


def change_many(member: Member, wanted: Sequence[NewLimit]) -> ChangeResult:
    """Set limits, each where the seen one still holds; those can be undone together.

    Raises ``Invalid`` for a limit that is none, before anything is changed.
    """
    with transaction(member.tenant_id):
        before = _write(member.tenant_id, member.user_id, wanted)
        change_id = _record_change(member, wanted, before) if before else None
    return _result(change_id, wanted, before)


def undo(member: Member, change_id: UUID) -> ChangeResult:
    """Put back what a change set, where nobody has set it anew since. Raises ``NotFound``, ``Conflict``."""
    with transaction(member.tenant_id):
        query = select(LimitChange).where(LimitChange.tenant_id == member.tenant_id, LimitChange.id == change_id)
        change = db.session.scalar(query.with_for_update())
        if change is None:
            raise NotFound(_("There is no such change."))
        if change.undone_at is not None:
            raise Conflict(_("This change was undone already."))
        change.undone_at = now()
        wanted = [
            NewLimit(UUID(line["workspace_id"]), line["after_bytes"], line["before_bytes"]) for line in change.changes
        ]
        before = _write(member.tenant_id, member.user_id, wanted)
    return _result(None, wanted, before)


def write(tenant_id: UUID, actor_id: UUID | None, wanted: NewLimit) -> int | None:
    """Set a limit inside the caller's transaction; gives the one before. Raises as ``set_limit`` does."""
    before = _write(tenant_id, actor_id, [wanted])
    if wanted.workspace_id not in before:
        raise _refusal(tenant_id, wanted.workspace_id)
    return before[wanted.workspace_id]


def override(tenant_id: UUID, limit_bytes: int | None, until: datetime, actor_id: UUID | None) -> None:
    """Let another limit hold for a tenant until a moment (None: none at all); from then on the plan's holds at once.

    Raises ``Invalid`` for an end that is over or has no time zone, ``NotFound``.
    """
    limit = checked(limit_bytes)
    if until.tzinfo is None:
        raise Invalid(_("The end of the raised limit needs a time zone."), field="until")
    if until <= now():
        raise Invalid(
            _("The raised limit must end in the future; %(moment)s UTC is over.", moment=f"{until:%Y-%m-%d %H:%M}"),
            field="until",
        )
    with transaction(tenant_id):
        _set_override(tenant_id, limit, until)
        audit.record(
            tenant_id,
            actor_id,
            "quota.override_set",
            tenant_id,
            override_bytes=limit,
            override_until=until.isoformat(),
        )


def end_override(tenant_id: UUID, actor_id: UUID | None) -> None:
    """Let the plan's limit hold again. Raises ``NotFound``."""
    with transaction(tenant_id):
        _set_override(tenant_id, None, None)
        audit.record(tenant_id, actor_id, "quota.override_ended", tenant_id, override_bytes=None, override_until=None)


def follow_plan(tenant_id: UUID, limit_bytes: int | None) -> None:
    """The limit of a tenant's new plan (None: unlimited), inside the caller's transaction. An override stays."""
    db.session.execute(update(TenantQuota).where(TenantQuota.tenant_id == tenant_id).values(limit_bytes=limit_bytes))


def of_tenant(tenant_id: UUID) -> TenantLimit:
    """The entered tenant's. Raises ``NotFound``."""
    query = select(TenantQuota).where(TenantQuota.tenant_id == tenant_id)
    row = db.session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFound(_("There is no such tenant."))
    overridden = row.override_until is not None and row.override_until > now()
    return TenantLimit(
        plan_bytes=row.limit_bytes,
        limit_bytes=row.override_bytes if overridden else row.limit_bytes,
        override_until=row.override_until if overridden else None,
        used_bytes=row.used_bytes,
        reserved_bytes=row.reserved_bytes,
        used_files=row.used_files,
    )


def of_workspaces(tenant_id: UUID) -> list[WorkspaceCounters]:
    """Those of the entered tenant, in one statement."""
    columns = WorkspaceQuota.workspace_id, WorkspaceQuota.limit_bytes, WorkspaceQuota.used_bytes
    query = select(*columns, WorkspaceQuota.used_files).where(WorkspaceQuota.tenant_id == tenant_id)
    return [WorkspaceCounters(*row) for row in db.session.execute(query)]


def checked(limit_bytes: int | None) -> int | None:
    """A limit as it can be stored. Raises ``Invalid``."""
    if limit_bytes is None:
        return None
    if isinstance(limit_bytes, bool) or not isinstance(limit_bytes, int) or not 0 <= limit_bytes <= LARGEST:
        raise Invalid(
            _("A limit is a whole number of bytes from 0 to %(most)s, or null for no limit.", most=LARGEST),
            field="limit_bytes",
        )
    return limit_bytes


def _write(tenant_id: UUID, actor_id: UUID | None, wanted: Sequence[NewLimit]) -> dict[UUID, int | None]:
    """Set those limits whose seen one still holds, with their audit events; gives the limits before, by workspace."""
    for each in wanted:
        checked(each.limit_bytes)
    # Locked in one order: two who change many at once wait for each other, and can't deadlock.
    query = (
        select(WorkspaceQuota.workspace_id, WorkspaceQuota.limit_bytes)
        .where(
            WorkspaceQuota.tenant_id == tenant_id,
            WorkspaceQuota.workspace_id.in_([each.workspace_id for each in wanted]),
        )
        .order_by(WorkspaceQuota.workspace_id)
        .with_for_update(key_share=True)
    )
    present = {row.workspace_id: row.limit_bytes for row in db.session.execute(query)}
    before: dict[UUID, int | None] = {}
    for each in wanted:
        if each.workspace_id not in present:
            continue
        present_limit = present[each.workspace_id]
        if each.seen is UNSEEN or each.seen == present_limit:
            before[each.workspace_id] = present_limit
            audit.record(
                tenant_id,
                actor_id,
                "quota.limit_set",
                each.workspace_id,
                workspace_id=each.workspace_id,
                limit_bytes=each.limit_bytes,
                before_bytes=present_limit,
            )
    if before:
        rows = [
            {
                "workspace_id": each.workspace_id,
                "limit_bytes": each.limit_bytes,
                "limit_set_by": actor_id,
                "limit_set_at": now(),
            }
            for each in wanted
            if each.workspace_id in before
        ]
        db.session.execute(update(WorkspaceQuota), rows)  # by primary key, sent together
    return before


def _record_change(member: Member, wanted: Sequence[NewLimit], before: dict[UUID, int | None]) -> UUID:
    """Keep what was changed, to be undone."""
    change_id = new_id()
    lines = [
        {
            "workspace_id": str(each.workspace_id),
            "before_bytes": before[each.workspace_id],
            "after_bytes": each.limit_bytes,
        }
        for each in wanted
        if each.workspace_id in before
    ]
    db.session.add(LimitChange(id=change_id, tenant_id=member.tenant_id, actor_id=member.user_id, changes=lines))
    return change_id


def _result(change_id: UUID | None, wanted: Sequence[NewLimit], before: dict[UUID, int | None]) -> ChangeResult:
    missed = [each.workspace_id for each in wanted if each.workspace_id not in before]
    return ChangeResult(change_id, list(before), missed)


def _refusal(tenant_id: UUID, workspace_id: UUID) -> NotFound | Conflict:
    """Why a limit was not set: there is none to set, or the seen one no longer holds; then by whom it was set."""
    query = (
        select(WorkspaceQuota.limit_bytes, User.name)
        .outerjoin(User, User.id == WorkspaceQuota.limit_set_by)
        .where(WorkspaceQuota.tenant_id == tenant_id, WorkspaceQuota.workspace_id == workspace_id)
    )
    row = db.session.execute(query).one_or_none()
    if row is None:
        return NotFound(_("There is no such workspace."))
    who = row.name or _("Somebody else")
    if row.limit_bytes is None:
        changed = _("%(who)s removed the limit after you opened this page.", who=who)
    else:
        limit = format_size(row.limit_bytes)
        changed = _("%(who)s set the limit to %(limit)s after you opened this page.", who=who, limit=limit)
    not_saved = _("Your limit was not saved. Check it, and save again if you still want to.")
    return Conflict(f"{changed} {not_saved}", limit_bytes=row.limit_bytes)


def _set_override(tenant_id: UUID, limit_bytes: int | None, until: datetime | None) -> None:
    statement = update(TenantQuota).where(TenantQuota.tenant_id == tenant_id)
    statement = statement.values(override_bytes=limit_bytes, override_until=until)
    if db.session.execute(statement.returning(TenantQuota.tenant_id)).one_or_none() is None:
        raise NotFound(_("There is no such tenant."))
