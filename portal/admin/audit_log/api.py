"""The trail over JSON: the audit log and the events."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from portal.admin.audit_log import service
from portal.admin.audit_log.service import Narrowing
from portal.events import service as events
from portal.events.models import EventType
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Listing, Query, Time
from portal.web.openapi import operation
from portal.web.paging import Paging

blueprint = Blueprint("trail_api", __name__)


class ActQuery(Query):
    """What to narrow the audit log to; days are in UTC, and included."""

    actor_id: UUID | None = None
    action: str | None = Field(default=None, max_length=60, description="as it is written, e.g. asset.deleted")
    since: date | None = None
    until: date | None = None


class ActView(Answer):
    """Something that somebody did."""

    id: UUID
    time: Time
    actor_id: UUID | None = Field(description="null: Stowage by itself")
    actor_name: str | None
    actor_email: str | None
    action: str
    target_id: UUID | None
    file_name: str | None = Field(description="where the act is about a file that is still there")
    workspace_id: UUID | None
    workspace_name: str | None
    facts: dict[str, Any]


class EventQuery(Query):
    """What to narrow the events to."""

    type: EventType | None = None


class EventView(Answer):
    """Something that happened, as webhooks tell it."""

    id: UUID
    type: str
    time: Time
    tenant_id: UUID
    workspace_id: UUID | None
    data: dict[str, Any]


@blueprint.get("/v1/tenants/<uuid:t>/audit")
@tenant(Permission.READ_AUDIT)
@operation(query=ActQuery, paged=True, returns=Listing[ActView])
def list_acts(member: Member, query: ActQuery, paging: Paging) -> Listing[ActView]:
    """List who did what in the tenant, the newest first."""
    wanted = Narrowing(query.actor_id, query.action, query.since, query.until)
    acts, cursor = service.list_acts(member.tenant_id, wanted, paging)
    return Listing[ActView](items=[ActView.model_validate(act) for act in acts], next_cursor=cursor)


@blueprint.get("/v1/tenants/<uuid:t>/events")
@tenant(Permission.READ_AUDIT)
@operation(query=EventQuery, paged=True, returns=Listing[EventView])
def list_events(member: Member, query: EventQuery, paging: Paging) -> Listing[EventView]:
    """List what happened in the tenant, the newest first.

    Events are kept for 90 days.
    """
    found, cursor = events.list_events(member.tenant_id, query.type, paging)
    return Listing[EventView](items=[EventView.model_validate(event) for event in found], next_cursor=cursor)
