"""A member requests more space, an admin grants or declines it; both get an e-mail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert

from portal import audit
from portal.database import compare_and_set, db, new_id, now, transaction
from portal.errors import Conflict, Invalid, NotFound
from portal.identity.models import User
from portal.mail import service as mail
from portal.mail.service import Addressee
from portal.quotas import limits
from portal.quotas.limits import NewLimit
from portal.quotas.models import RequestState, SpaceRequest, WorkspaceQuota
from portal.sizes import LARGEST
from portal.tenancy import people
from portal.tenancy.models import Workspace
from portal.tenancy.service import Member

GB = 1 << 30
OFFERED = (5 * GB, 10 * GB, 50 * GB)  # bytes that the form offers
LONGEST_NOTE = 1000  # characters
MOST_WANTED = 1 << 50  # bytes: a petabyte
MOST_LISTED = 100


@dataclass(frozen=True)
class RequestDetails:
    """An open request with its names and the workspace's counters; sizes in bytes.

    ``requested_bytes``: more than the limit; ``limit_bytes`` None: the workspace has none of its own.
    """

    id: UUID
    created_at: datetime
    workspace_id: UUID
    workspace_name: str
    workspace_slug: str
    user_id: UUID
    user_name: str
    user_email: str
    requested_bytes: int
    note: str
    limit_bytes: int | None
    used_bytes: int
    reserved_bytes: int
    user_language: str | None


# In the order of the fields of ``RequestDetails``. The person may be gone: then the request has no name.
_OPEN: Select[*tuple[Any, ...]] = (
    select(
        SpaceRequest.id,
        SpaceRequest.created_at,
        SpaceRequest.workspace_id,
        Workspace.name,
        Workspace.slug,
        SpaceRequest.user_id,
        func.coalesce(User.shown_name, ""),
        func.coalesce(User.email, ""),
        SpaceRequest.requested_bytes,
        SpaceRequest.note,
        WorkspaceQuota.limit_bytes,
        WorkspaceQuota.used_bytes,
        WorkspaceQuota.reserved_bytes,
        User.language,
    )
    .join(Workspace, Workspace.id == SpaceRequest.workspace_id)
    .join(WorkspaceQuota, WorkspaceQuota.workspace_id == SpaceRequest.workspace_id)
    .outerjoin(User, User.id == SpaceRequest.user_id)
    .where(SpaceRequest.state == RequestState.OPEN)
)


def list_open(tenant_id: UUID) -> list[RequestDetails]:
    """What waits for an answer in the entered tenant, the oldest first, at most ``MOST_LISTED``."""
    query = _OPEN.where(SpaceRequest.tenant_id == tenant_id).order_by(SpaceRequest.id).limit(MOST_LISTED)
    return [RequestDetails(*row) for row in db.session.execute(query)]


def open_of(tenant_id: UUID, workspace_id: UUID) -> RequestDetails | None:
    """The request of a workspace that waits for an answer."""
    query = _OPEN.where(SpaceRequest.tenant_id == tenant_id, SpaceRequest.workspace_id == workspace_id)
    row = db.session.execute(query).one_or_none()
    return RequestDetails(*row) if row else None


def create(member: Member, requested_bytes: int | None, note: str = "") -> RequestDetails:
    """Request ``requested_bytes`` more from the tenant's admins.

    Raises ``Invalid``, and ``Conflict`` while another request of the workspace waits.
    """
    note = note.replace("\r\n", "\n").strip()  # a form sends each line break as two characters (HTML, "textarea")
    if requested_bytes is None or not 0 < requested_bytes <= MOST_WANTED:
        raise Invalid(_("Enter how much more you need, for example 10 GB."), field="wanted")
    if len(note) > LONGEST_NOTE or "\0" in note:
        raise Invalid(_("The reason may have up to %(most)s characters.", most=LONGEST_NOTE), field="note")
    statement = insert(SpaceRequest).values(
        id=new_id(),
        created_at=now(),
        tenant_id=member.tenant_id,
        workspace_id=member.workspace,
        user_id=member.user_id,
        requested_bytes=requested_bytes,
        note=note,
        state=RequestState.OPEN,
    )
    with transaction(member.tenant_id):
        # A unique index allows one open request a workspace: of two at once the second inserts nothing.
        request_id = db.session.scalar(statement.on_conflict_do_nothing().returning(SpaceRequest.id))
        if request_id is None:
            raise Conflict(
                _("Somebody has already asked for more space for this workspace. An administrator will answer.")
            )
        request = _find(member.tenant_id, request_id)
        audit.record(
            member.tenant_id,
            member.user_id,
            "quota.requested",
            request.id,
            workspace_id=member.workspace,
            wanted_bytes=requested_bytes,  # as rows of before have it
            note=request.note,
        )
        _write_to_admins(member, request)
    return request


def grant(member: Member, request_id: UUID) -> RequestDetails:
    """Give what was requested: the workspace's limit grows by it.

    Raises ``NotFound``, and ``Conflict`` where it was answered already, or the workspace has no limit of its own.
    """
    with transaction(member.tenant_id):
        request = _find(member.tenant_id, request_id)
        if request.limit_bytes is None:
            raise Conflict(
                _("This workspace has no limit of its own: the space of the tenant is full. Somebody must free space.")
            )
        _answer(member, request, RequestState.GRANTED, granted_bytes=request.requested_bytes)
        given = min(request.limit_bytes + request.requested_bytes, LARGEST)
        limits.write(member.tenant_id, member.user_id, NewLimit(request.workspace_id, request.limit_bytes, given))
        _write_to_requester(member, request, granted=True, limit_bytes=given)
    return request


def decline(member: Member, request_id: UUID) -> RequestDetails:
    """Leave the limit as it is. Raises ``NotFound``, ``Conflict`` where it was answered already."""
    with transaction(member.tenant_id):
        request = _find(member.tenant_id, request_id)
        _answer(member, request, RequestState.DECLINED)
        _write_to_requester(member, request, granted=False, limit_bytes=request.limit_bytes)
    return request


def _find(tenant_id: UUID, request_id: UUID) -> RequestDetails:
    query = _OPEN.where(SpaceRequest.tenant_id == tenant_id, SpaceRequest.id == request_id)
    row = db.session.execute(query).one_or_none()
    if row is not None:
        return RequestDetails(*row)
    found = db.session.get(SpaceRequest, request_id)
    if found is None or found.tenant_id != tenant_id:
        raise NotFound(_("There is no such request."))
    raise _answered()


def _answered() -> Conflict:
    return Conflict(_("Another administrator has answered this request already. Nothing was changed."))


def _answer(member: Member, request: RequestDetails, state: RequestState, **granted: int) -> None:
    if not compare_and_set(
        SpaceRequest,
        [SpaceRequest.id == request.id],
        state,
        answered_by=member.user_id,
        answered_at=now(),
        **granted,
    ):
        raise _answered()
    audit.record(
        member.tenant_id,
        member.user_id,
        f"quota.request_{state}",
        request.id,
        workspace_id=request.workspace_id,
        **granted,
    )


def _write_to_admins(member: Member, request: RequestDetails) -> None:
    whole = limits.of_tenant(member.tenant_id)
    limit = request.limit_bytes if request.limit_bytes is not None else whole.limit_bytes
    mail.enqueue(
        "quota_request",
        people.admins_of(member.tenant_id),
        member.tenant_id,
        place=request.workspace_name,
        tenant_name=member.tenant_name,
        person=request.user_name,
        message=request.note,
        used_bytes=request.used_bytes + request.reserved_bytes,
        limit_bytes=limit,
        requested_limit_bytes=None if limit is None else limit + request.requested_bytes,
        path=f"/t/{member.tenant_slug}/quotas",
    )


def _write_to_requester(member: Member, request: RequestDetails, *, granted: bool, limit_bytes: int | None) -> None:
    mail.enqueue(
        "quota_answer",
        [Addressee(request.user_name, request.user_email, request.user_language)] if request.user_email else [],
        member.tenant_id,
        place=request.workspace_name,
        granted=granted,
        person=member.user_name,
        message="",
        limit_bytes=limit_bytes,
        path=f"/t/{member.tenant_slug}/w/{request.workspace_slug}/files",
    )
