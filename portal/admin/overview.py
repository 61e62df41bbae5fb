"""A tenant at a glance, for its admins: usage, workspaces, people. Statements in a fixed number, lists page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from flask_babel import gettext as _

from portal.errors import NotFound
from portal.quotas import service as quotas
from portal.quotas.levels import UsageStatus
from portal.tenancy import people, service
from portal.tenancy.models import Tenant
from portal.tenancy.people import PersonHere
from portal.tenancy.service import Member
from portal.web.paging import Paging
from portal.webhooks import service as webhooks


@dataclass(frozen=True)
class WorkspaceLine:
    """A workspace; ``quota`` is its own, ``owner`` names its owners, ``member``: the person who asks may enter it."""

    id: UUID
    name: str
    owner: str
    member: bool
    quota: UsageStatus


@dataclass(frozen=True)
class Overview:
    """The heads of the page, with how many there are of each; ``lost_webhooks`` were switched off by failures."""

    tenant: Tenant
    quota: UsageStatus
    workspaces: int
    people: int
    lost_webhooks: int


def of_tenant(member: Member) -> Overview:
    """The member's tenant."""
    tenant = service.find_tenant(member.tenant_slug)
    if tenant is None:
        raise NotFound(_("There is no such tenant."))
    numbers = service.count_workspaces(tenant.id), people.count_people(tenant.id), webhooks.count_lost(tenant.id)
    return Overview(tenant, quotas.tenant_status(tenant.id), *numbers)


def list_workspaces(member: Member, own: set[UUID], paging: Paging) -> tuple[list[WorkspaceLine], str | None]:
    """One page of the workspaces by name, ``own`` those that the person may enter, and the cursor of the next."""
    found, cursor = service.list_workspaces(member.tenant_id, paging)
    owners = people.owner_names(member.tenant_id, [each.id for each in found])
    statuses = quotas.workspace_statuses(member.tenant_id)
    lines = [
        WorkspaceLine(each.id, each.name, owners.get(each.id, ""), each.id in own, statuses[each.id])
        for each in found
        if each.id in statuses
    ]
    return lines, cursor


def list_people(member: Member, paging: Paging) -> tuple[Sequence[PersonHere], str | None]:
    """One page of the people by name, and the cursor of the next."""
    return people.list_people(member.tenant_id, paging)
