"""The overview of a tenant, for its admins: usage and workspaces, page by page in a fixed number of queries."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from flask_babel import gettext as _

from portal.errors import NotFound
from portal.quotas import service as quotas
from portal.quotas.levels import UsageStatus
from portal.tenancy import people, service
from portal.tenancy.models import Tenant
from portal.tenancy.service import Member
from portal.web.paging import Paging
from portal.webhooks import service as webhooks


@dataclass(frozen=True)
class WorkspaceRow:
    """A workspace of the list. ``owner`` names its owners; ``is_member``: the reader can open it."""

    id: UUID
    slug: str
    name: str
    owner: str
    is_member: bool
    quota: UsageStatus


@dataclass(frozen=True)
class Overview:
    """The head of the page: usage, and how many workspaces, people and webhooks disabled by failures there are."""

    tenant: Tenant
    quota: UsageStatus
    workspaces: int
    people: int
    disabled_webhooks: int


def of_tenant(member: Member) -> Overview:
    """Of the member's tenant. Raises ``NotFound``."""
    tenant = service.find_tenant(member.tenant_slug)
    if tenant is None:
        raise NotFound(_("There is no such tenant."))
    return Overview(
        tenant=tenant,
        quota=quotas.tenant_status(tenant.id),
        workspaces=service.count_workspaces(tenant.id),
        people=people.count_people(tenant.id),
        disabled_webhooks=webhooks.count_lost(tenant.id),
    )


def list_workspaces(member: Member, own: set[UUID], paging: Paging) -> tuple[list[WorkspaceRow], str | None]:
    """One page of the workspaces by name, ``own`` those that the person may enter, and the cursor of the next."""
    found, cursor = service.list_workspaces(member.tenant_id, paging)
    owners = people.owner_names(member.tenant_id, [each.id for each in found])
    statuses = quotas.workspace_statuses(member.tenant_id)
    rows = [
        WorkspaceRow(each.id, each.slug, each.name, owners.get(each.id, ""), each.id in own, statuses[each.id])
        for each in found
        if each.id in statuses  # a workspace that was created between the two queries comes with the next request
    ]
    return rows, cursor
