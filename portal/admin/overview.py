"""A tenant at a glance, for its admins: usage, workspaces, people. A fixed number of statements."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from portal.errors import NotFound
from portal.quotas import service as quotas
from portal.quotas.standing import Standing
from portal.tenancy import people, service
from portal.tenancy.models import Tenant, WorkspaceRole
from portal.tenancy.people import PersonHere, Role
from portal.tenancy.service import Member


@dataclass(frozen=True)
class WorkspaceLine:
    """A workspace; ``quota`` is its own, ``owner`` names its owners, ``member``: the person who asks may enter it."""

    id: UUID
    name: str
    owner: str
    member: bool
    quota: Standing


@dataclass(frozen=True)
class Overview:
    """Everything the page shows."""

    tenant: Tenant
    quota: Standing
    workspaces: list[WorkspaceLine]
    people: list[PersonHere]


def of_tenant(member: Member) -> Overview:
    """The member's tenant; five statements, however many workspaces and people it has."""
    tenant = service.find_tenant(member.tenant_slug)
    if tenant is None:
        raise NotFound("There is no such tenant.")
    everybody = people.list_people(tenant.id)
    owners, own = _owners(everybody), {each.workspace_id for each in _roles_of(member.user_id, everybody)}
    standings = quotas.workspace_standings(tenant.id)
    lines = [
        WorkspaceLine(each.id, each.name, ", ".join(owners[each.id]), each.id in own, standings[each.id])
        for each in service.list_workspaces(tenant.id)
        if each.id in standings
    ]
    return Overview(tenant, quotas.tenant_standing(tenant.id), lines, everybody)


def _owners(everybody: list[PersonHere]) -> defaultdict[UUID, list[str]]:
    """The names of each workspace's owners."""
    owners: defaultdict[UUID, list[str]] = defaultdict(list)
    for person in everybody:
        for each in person.workspaces:
            if each.role is WorkspaceRole.OWNER:
                owners[each.workspace_id].append(person.name or person.email)
    return owners


def _roles_of(user_id: UUID, everybody: list[PersonHere]) -> list[Role]:
    return next((person.workspaces for person in everybody if person.id == user_id), [])
