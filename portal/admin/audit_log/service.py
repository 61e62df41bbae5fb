"""Queries of the audit trail: page by page, narrowed to a person, an act, a time; each narrowing has its index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import Select, Uuid, bindparam, func, select, text

from portal.assets.models import Asset
from portal.audit import AuditEvent
from portal.database import db, enter
from portal.errors import Invalid
from portal.identity.models import User
from portal.tenancy.models import TenantMembership, Workspace
from portal.uploads.models import Upload
from portal.web.paging import LARGEST, Paging, cut

MOST_LINES = 50_000  # of one CSV file
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(9000, 1, 1)


@dataclass(frozen=True)
class Narrowing:
    """What a list is narrowed to: ``action`` as it is written, days in UTC, both included."""

    actor_id: UUID | None = None
    action: str | None = None
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class Act:
    """One act; ``actor_id`` None: Stowage itself. Names are None for people, places and files that are gone."""

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


def list_acts(tenant_id: UUID, wanted: Narrowing, paging: Paging) -> tuple[list[Act], str | None]:
    """One page, the newest first, and the cursor of the next."""
    rows, cursor = cut(_read(tenant_id, wanted, paging), paging, key=lambda act: act.id)
    return list(rows), cursor


def every_act(tenant_id: UUID, wanted: Narrowing) -> Iterator[Act]:
    """The same from the newest on, at most ``MOST_LINES``; read page by page while they are used.

    By then the request may be over, and its session with it: the tenant is entered anew.
    """
    enter(tenant_id)
    paging, left = Paging(LARGEST), MOST_LINES
    while left > 0:
        acts, cursor = list_acts(tenant_id, wanted, paging)
        yield from acts[:left]
        left -= len(acts)
        if cursor is None:
            return
        paging = Paging(LARGEST, (str(acts[-1].id),))


def person_of(tenant_id: UUID, email: str) -> UUID:
    """Who of the tenant has this address. Raises ``Invalid``."""
    here = select(TenantMembership.user_id).where(TenantMembership.tenant_id == tenant_id)
    found = db.session.scalar(select(User.id).where(User.id.in_(here), User.email == email.strip().lower()))
    if found is None:
        raise Invalid(_("Nobody in this tenant has this address."), field="person")
    return found


_ACTIONS = text("""
    WITH RECURSIVE known AS (
        (SELECT action FROM audit_events WHERE tenant_id = :tenant ORDER BY action LIMIT 1)
        UNION ALL
        SELECT (SELECT a.action FROM audit_events a WHERE a.tenant_id = :tenant AND a.action > k.action
                ORDER BY a.action LIMIT 1)
        FROM known k WHERE k.action IS NOT NULL
    )
    SELECT action FROM known WHERE action IS NOT NULL
""").bindparams(bindparam("tenant", type_=Uuid()))


def actions_of(tenant_id: UUID) -> list[str]:
    """Every action that was ever recorded in the tenant; one jump in the index for each."""
    return [row.action for row in db.session.execute(_ACTIONS, {"tenant": tenant_id})]


def _read(tenant_id: UUID, wanted: Narrowing, paging: Paging) -> list[Act]:
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
    return [Act(*row) for row in db.session.execute(_named(page.order_by(event.id.desc()).limit(paging.limit + 1)))]


def _named(page: Select[AuditEvent]) -> Select[Any]:
    """The page first, then the names: joins of a thousandth of what a filter reads."""
    acts = page.subquery()
    who = (acts.c.actor_id, User.name, User.email)
    where = (acts.c.workspace_id, Workspace.name)
    what = (acts.c.target_id, func.coalesce(acts.c.facts["file_name"].astext, Asset.file_name, Upload.file_name))
    return (
        select(acts.c.id, acts.c.created_at, *who, acts.c.action, *what, *where, acts.c.facts)
        .outerjoin(User, User.id == acts.c.actor_id)
        .outerjoin(Workspace, Workspace.id == acts.c.workspace_id)
        .outerjoin(Asset, Asset.id == acts.c.target_id)
        .outerjoin(Upload, Upload.id == acts.c.target_id)
        .order_by(acts.c.id.desc())
    )


def _first_id(day: date, field: str, after: timedelta = timedelta()) -> UUID:
    """The smallest UUIDv7 of a day, or ``after``: ids carry their time, so a span of time is a span of the index."""
    if not FIRST_DAY <= day <= LAST_DAY:
        raise Invalid(_("This day is too early or too late."), field=field)
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + after
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (0x7 << 76))
