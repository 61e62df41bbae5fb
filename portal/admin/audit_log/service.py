"""Queries of the audit log: page by page, filtered by person, action and time; each filter has its index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased

from portal.assets.models import Asset
from portal.audit import AuditEvent
from portal.database import db, enter
from portal.errors import Invalid
from portal.identity.models import User
from portal.tenancy.models import TenantMembership, Workspace
from portal.uploads.models import Upload
from portal.web.paging import LARGEST, Paging, cut

LARGEST_DOWNLOAD = 50_000  # entries of one CSV file
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(9000, 1, 1)  # what the 48 bits of a UUIDv7's time can hold


@dataclass(frozen=True)
class AuditFilter:
    """The filters of a list: ``action`` as it is recorded, days in UTC, both included."""

    actor_id: UUID | None = None
    action: str | None = None
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class AuditEntry:
    """One entry; ``actor_id`` None: Stowage itself. Names are None for people, workspaces and files that are gone."""

    id: UUID
    time: datetime
    actor_id: UUID | None
    actor_name: str | None
    actor_email: str | None
    action: str
    target_id: UUID | None
    file_name: str | None
    workspace_id: UUID | None
    workspace_name: str | None
    facts: dict[str, Any]


def list_entries(tenant_id: UUID, wanted: AuditFilter, paging: Paging) -> tuple[list[AuditEntry], str | None]:
    """One page, the newest first, and the cursor of the next."""
    rows, cursor = cut(_read(tenant_id, wanted, paging), paging, key=lambda entry: entry.id)
    return list(rows), cursor


def all_entries(tenant_id: UUID, wanted: AuditFilter) -> Iterator[AuditEntry]:
    """The same from the newest on, at most ``LARGEST_DOWNLOAD``; read page by page while they are sent.

    By then the request may be over, and its session with it, so the tenant is entered again.
    """
    enter(tenant_id)
    paging, left = Paging(LARGEST), LARGEST_DOWNLOAD
    while left > 0:
        entries, cursor = list_entries(tenant_id, wanted, paging)
        yield from entries[:left]
        left -= len(entries)
        if cursor is None:
            return
        paging = Paging(LARGEST, (str(entries[-1].id),))


def person_of(tenant_id: UUID, email: str) -> UUID:
    """The id of the person of the tenant with this e-mail address. Raises ``Invalid``."""
    here = select(TenantMembership.user_id).where(TenantMembership.tenant_id == tenant_id)
    found = db.session.scalar(select(User.id).where(User.id.in_(here), User.email == email.strip().lower()))
    if found is None:
        raise Invalid(_("Nobody in this tenant has this e-mail address."), field="person")
    return found


def actions_of(tenant_id: UUID) -> list[str]:
    """Every action that was ever recorded in the tenant.

    DISTINCT would read a million entries for their fifty actions. PostgreSQL has no skip scan for it, so each step of
    the recursion jumps in the index to the next action (https://wiki.postgresql.org/wiki/Loose_indexscan).
    """
    first = select(AuditEvent.action).where(AuditEvent.tenant_id == tenant_id).order_by(AuditEvent.action).limit(1)
    known = first.cte("known", recursive=True)
    later = aliased(AuditEvent)
    following = (
        select(later.action)
        .where(later.tenant_id == tenant_id, later.action > known.c.action)
        .order_by(later.action)
        .limit(1)
        .scalar_subquery()
    )
    known = known.union_all(select(following).where(known.c.action.is_not(None)))
    return list(db.session.scalars(select(known.c.action).where(known.c.action.is_not(None))))


def _read(tenant_id: UUID, wanted: AuditFilter, paging: Paging) -> list[AuditEntry]:
    event = AuditEvent
    page = select(event).where(event.tenant_id == tenant_id)
    if wanted.actor_id is not None:
        page = page.where(event.actor_id == wanted.actor_id)
    if wanted.action:
        page = page.where(event.action == wanted.action)
    if wanted.since:
        page = page.where(event.id >= _first_id(wanted.since, "since"))
    if wanted.until:
        page = page.where(event.id < _first_id(wanted.until, "until", after=timedelta(days=1)))
    if (after := paging.after_id()) is not None:
        page = page.where(event.id < after)
    page = page.order_by(event.id.desc()).limit(paging.limit + 1)
    return [AuditEntry(*row) for row in db.session.execute(_with_names(page))]


def _with_names(page: Select[AuditEvent]) -> Select[Any]:
    # The page is cut before the joins: a filter may read a thousand times as many entries as a page has.
    entries = page.subquery()
    who = (entries.c.actor_id, User.name, User.email)
    where = (entries.c.workspace_id, Workspace.name)
    what = (entries.c.target_id, func.coalesce(entries.c.facts["file_name"].astext, Asset.file_name, Upload.file_name))
    return (
        select(entries.c.id, entries.c.created_at, *who, entries.c.action, *what, *where, entries.c.facts)
        .outerjoin(User, User.id == entries.c.actor_id)
        .outerjoin(Workspace, Workspace.id == entries.c.workspace_id)
        .outerjoin(Asset, Asset.id == entries.c.target_id)
        .outerjoin(Upload, Upload.id == entries.c.target_id)
        .order_by(entries.c.id.desc())
    )


def _first_id(day: date, field: str, after: timedelta = timedelta()) -> UUID:
    """The smallest UUIDv7 of a day, or ``after`` it: ids begin with their time, so days are a range of the key."""
    if not FIRST_DAY <= day <= LAST_DAY:
        raise Invalid(_("This day is too early or too late."), field=field)
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + after
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (0x7 << 76))
