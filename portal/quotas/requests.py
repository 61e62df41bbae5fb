"""A member asks for more space, an admin answers; both hear of it by mail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from portal import audit
from portal.database import compare_and_set, db, new_id, now, transaction
from portal.errors import Conflict, Invalid, NotFound
from portal.mail import service as mail
from portal.mail.service import Addressee
from portal.quotas import limits
from portal.quotas.models import RequestState, SpaceRequest
from portal.sizes import LARGEST
from portal.tenancy import people
from portal.tenancy.service import Member

GB = 1 << 30
USUAL = (5 * GB, 10 * GB, 50 * GB)  # bytes that the form offers
LONGEST_NOTE = 1000  # characters
LARGEST_WISH = 1 << 50  # bytes: a petabyte


@dataclass(frozen=True)
class Asked:
    """A request with its names. ``wanted_bytes`` more than the limit; ``limit_bytes`` None: the workspace has none."""

    id: UUID
    created_at: datetime
    workspace_id: UUID
    workspace_name: str
    workspace_slug: str
    user_id: UUID
    user_name: str
    user_email: str
    wanted_bytes: int
    note: str
    limit_bytes: int | None
    used_bytes: int
    reserved_bytes: int
    user_language: str | None


_OPEN = """
    SELECT r.id, r.created_at, r.workspace_id, w.name, w.slug, r.user_id,
           coalesce(nullif(u.name, ''), u.email, '') AS user_name, coalesce(u.email, '') AS user_email, r.wanted_bytes,
           r.note, q.limit_bytes, q.used_bytes, q.reserved_bytes, u.language
    FROM quota_requests r JOIN workspaces w ON w.id = r.workspace_id
    JOIN workspace_quotas q ON q.workspace_id = r.workspace_id LEFT JOIN users u ON u.id = r.user_id
    WHERE r.tenant_id = :tenant AND r.state = 'open'
"""
_LIST = text(f"{_OPEN} ORDER BY r.id LIMIT :most")
_OF_WORKSPACE = text(f"{_OPEN} AND r.workspace_id = :workspace")
_ONE = text(f"{_OPEN} AND r.id = :request")
MOST = 100


def list_open(tenant_id: UUID) -> list[Asked]:
    """What waits for an answer in the entered tenant, the oldest first."""
    return [Asked(*row) for row in db.session.execute(_LIST, {"tenant": tenant_id, "most": MOST})]


def open_of(tenant_id: UUID, workspace_id: UUID) -> Asked | None:
    """The request of a workspace that waits for an answer."""
    return next(
        (Asked(*row) for row in db.session.execute(_OF_WORKSPACE, {"tenant": tenant_id, "workspace": workspace_id})),
        None,
    )


def ask(member: Member, wanted_bytes: int | None, note: str = "") -> Asked:
    """Ask the tenant's admins for ``wanted_bytes`` more.

    Raises ``Invalid``, and ``Conflict`` while another request of the workspace waits.
    """
    if wanted_bytes is None or not 0 < wanted_bytes <= LARGEST_WISH:
        raise Invalid("Say how much more you need, like 10 GB.", field="wanted")
    if len(note) > LONGEST_NOTE or "\0" in note:
        raise Invalid(f"The reason may have up to {LONGEST_NOTE} characters.", field="note")
    values = {"id": new_id(), "created_at": now(), "tenant_id": member.tenant_id, "workspace_id": member.workspace}
    values |= {
        "user_id": member.user_id,
        "wanted_bytes": wanted_bytes,
        "note": note.strip(),
        "state": RequestState.OPEN,
    }
    with transaction(member.tenant_id):
        made = insert(SpaceRequest).values(values).on_conflict_do_nothing().returning(SpaceRequest.id)
        if db.session.scalar(made) is None:
            raise Conflict("Somebody has asked for this workspace already. An administrator will answer.")
        row = db.session.execute(_ONE, {"tenant": member.tenant_id, "request": values["id"]}).one()
        asked = Asked(*row)
        facts: dict[str, Any] = {"workspace_id": member.workspace, "wanted_bytes": wanted_bytes, "note": asked.note}
        audit.record(member.tenant_id, member.user_id, "quota.requested", asked.id, **facts)
        _write_to_admins(member, asked)
    return asked


def grant(member: Member, request_id: UUID) -> Asked:
    """Give what was asked for: the workspace's limit grows by it.

    Raises ``NotFound``, and ``Conflict`` where it was answered already, or the workspace has no limit of its own.
    """
    with transaction(member.tenant_id):
        asked = _find(member.tenant_id, request_id)
        if asked.limit_bytes is None:
            raise Conflict(
                "This workspace has no limit of its own: the tenant's space is full. Only space can be freed."
            )
        given = min(asked.limit_bytes + asked.wanted_bytes, LARGEST)
        _answer(member, asked, RequestState.GRANTED, granted_bytes=asked.wanted_bytes)
        limits.write(member.tenant_id, asked.workspace_id, member.user_id, given, asked.limit_bytes)
        _write_to_asker(member, asked, granted=True, limit_bytes=given)
    return asked


def decline(member: Member, request_id: UUID) -> Asked:
    """Say no. Raises ``NotFound``, ``Conflict``."""
    with transaction(member.tenant_id):
        asked = _find(member.tenant_id, request_id)
        _answer(member, asked, RequestState.DECLINED)
        _write_to_asker(member, asked, granted=False, limit_bytes=asked.limit_bytes)
    return asked


def _find(tenant_id: UUID, request_id: UUID) -> Asked:
    rows = db.session.execute(_ONE, {"tenant": tenant_id, "request": request_id}).all()
    if rows:
        return Asked(*rows[0])
    found = db.session.get(SpaceRequest, request_id)
    if found is None or found.tenant_id != tenant_id:
        raise NotFound("There is no such request.")
    raise _answered()


def _answered() -> Conflict:
    return Conflict("Another administrator has answered this request already. Nothing was changed.")


def _answer(member: Member, asked: Asked, state: RequestState, **values: Any) -> None:
    who = {"answered_by": member.user_id, "answered_at": now()}
    if not compare_and_set(SpaceRequest, [SpaceRequest.id == asked.id], state, **who, **values):
        raise _answered()
    place = {"workspace_id": asked.workspace_id}
    audit.record(member.tenant_id, member.user_id, f"quota.request_{state}", asked.id, **place, **values)


def _write_to_admins(member: Member, asked: Asked) -> None:
    whole = limits.of_tenant(member.tenant_id)
    limit = asked.limit_bytes if asked.limit_bytes is not None else whole.limit_bytes
    mail.write(
        "quota_request",
        people.admins_of(member.tenant_id),
        member.tenant_id,
        place=asked.workspace_name,
        tenant_name=member.tenant_name,
        person=asked.user_name,
        message=asked.note,
        used_bytes=asked.used_bytes + asked.reserved_bytes,
        limit_bytes=limit,
        wanted_bytes=None if limit is None else limit + asked.wanted_bytes,
        path=f"/t/{member.tenant_slug}/quotas",
    )


def _write_to_asker(member: Member, asked: Asked, *, granted: bool, limit_bytes: int | None) -> None:
    mail.write(
        "quota_answer",
        [Addressee(asked.user_name, asked.user_email, asked.user_language)] if asked.user_email else [],
        member.tenant_id,
        place=asked.workspace_name,
        granted=granted,
        person=member.user_name,
        message="",
        limit_bytes=limit_bytes,
        path=f"/t/{member.tenant_slug}/w/{asked.workspace_slug}/files",
    )
