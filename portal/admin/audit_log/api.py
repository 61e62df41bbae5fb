"""The audit log and the events over JSON."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from portal.admin.audit_log import service
from portal.admin.audit_log.service import AuditFilter
from portal.events import service as events
from portal.events.models import EventType
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Listing, Query, Time
from portal.web.openapi import operation
from portal.web.paging import Paging

blueprint = Blueprint("trail_api", __name__)


class AuditQuery(Query):
    """The filters of the audit log; days are in UTC, and included."""

    actor_id: UUID | None = None
    action: str | None = Field(default=None, max_length=60, description="As it is recorded, e.g. asset.deleted.")
    since: date | None = None
    until: date | None = None


class AuditEntryView(Answer):
    """An entry of the audit log."""

    id: UUID
    time: Time
    actor_id: UUID | None = Field(description="null: Stowage itself")
    actor_name: str | None
    actor_email: str | None
    action: str
    target_id: UUID | None
    file_name: str | None = Field(description="Where the entry is about a file that still exists.")
    workspace_id: UUID | None
    workspace_name: str | None
    facts: dict[str, Any]


class EventQuery(Query):
    """The filter of the events."""

    type: EventType | None = None


class EventView(Answer):
    """An event, as webhooks send it."""

    id: UUID
    type: str
    time: Time
    tenant_id: UUID
    workspace_id: UUID | None
    data: dict[str, Any]


@blueprint.get("/v1/tenants/<uuid:t>/audit")
@tenant(Permission.READ_AUDIT)
@operation(query=AuditQuery, paged=True, returns=Listing[AuditEntryView])
def list_acts(member: Member, query: AuditQuery, paging: Paging) -> Listing[AuditEntryView]:
    """List who did what in the tenant, the newest first."""
    wanted = AuditFilter(query.actor_id, query.action, query.since, query.until)
    entries, cursor = service.list_entries(member.tenant_id, wanted, paging)
    return Listing[AuditEntryView](items=[AuditEntryView.model_validate(each) for each in entries], next_cursor=cursor)


@blueprint.get("/v1/tenants/<uuid:t>/events")
@tenant(Permission.READ_AUDIT)
@operation(query=EventQuery, paged=True, returns=Listing[EventView])
def list_events(member: Member, query: EventQuery, paging: Paging) -> Listing[EventView]:
    """List what happened in the tenant, the newest first.

    Events are kept for 90 days.
    """
    found, cursor = events.list_events(member.tenant_id, query.type, paging)
    return Listing[EventView](items=[EventView.model_validate(event) for event in found], next_cursor=cursor)
