"""Blocked uploaders: somebody may look and download in a tenant, and send nothing, until an admin says otherwise."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, ScalarSelect, exists, select, update

from portal.database import db, now
from portal.errors import Conflict, Forbidden, NotFound
from portal.tenancy.models import TenantMembership


def block(tenant_id: UUID, user_id: UUID, actor_id: UUID, reason: str) -> None:
    """Take no upload of this member from now on; belongs inside the caller's transaction, which records it.

    Raises ``NotFound``, and ``Conflict`` for oneself and for who is blocked already.
    """
    if user_id == actor_id:
        raise Conflict(_("You can't block yourself: another administrator can."))
    values = {"uploads_blocked_at": now(), "uploads_blocked_by": actor_id, "uploads_blocked_reason": reason}
    if not _change(tenant_id, user_id, TenantMembership.uploads_blocked_at.is_(None), values):
        raise Conflict(_("This person's uploads are blocked already."))


def unblock(tenant_id: UUID, user_id: UUID) -> None:
    """Take this member's uploads again; belongs inside the caller's transaction. Raises ``NotFound``, ``Conflict``."""
    values = dict.fromkeys(("uploads_blocked_at", "uploads_blocked_by", "uploads_blocked_reason"))
    if not _change(tenant_id, user_id, TenantMembership.uploads_blocked_at.is_not(None), values):
        raise Conflict(_("This person's uploads are not blocked."))


def is_blocked(tenant_id: UUID, user_id: UUID) -> ColumnElement[bool]:
    """Whether this person may not upload: a condition for a statement that changes a row of theirs."""
    member = TenantMembership
    return exists().where(
        member.tenant_id == tenant_id, member.user_id == user_id, member.uploads_blocked_at.is_not(None)
    )


def reason_for(tenant_id: Any, user_id: Any) -> ScalarSelect[str | None]:
    """Why this person may not upload, null when they may: a column for a statement that runs anyway."""
    member = TenantMembership
    reason = select(member.uploads_blocked_reason)
    return reason.where(member.tenant_id == tenant_id, member.user_id == user_id).scalar_subquery()


def refuse(reason: str | None) -> None:
    """Raises ``Forbidden`` with the reason, when there is one."""
    if reason is not None:
        raise Forbidden(_("An administrator has blocked your uploads: %(reason)s", reason=reason))


def require_unblocked(tenant_id: UUID, user_id: UUID) -> None:
    """Raises ``Forbidden`` with the reason for somebody whose uploads are blocked in the entered tenant."""
    refuse(db.session.scalar(select(reason_for(tenant_id, user_id))))


def _change(tenant_id: UUID, user_id: UUID, present: ColumnElement[bool], values: dict[str, Any]) -> bool:
    member = TenantMembership
    here = member.tenant_id == tenant_id, member.user_id == user_id
    statement = update(member).where(*here, present).values(values).returning(member.id)
    if db.session.scalar(statement.execution_options(synchronize_session=False)) is not None:
        return True
    if db.session.scalar(select(member.id).where(*here)) is None:
        raise NotFound(_("There is no such person in this tenant."))
    return False
