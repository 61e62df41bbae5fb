"""What the uploads of people hold, as it was measured last."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select

from portal.database import db, enter
from portal.tenancy.service import TenantPlace
from portal.usage.models import UsagePerson


@dataclass(frozen=True)
class OwnUsage:
    """What a person's uploads hold in one workspace."""

    workspace_id: UUID
    name: str
    bytes: int
    files: int


def bytes_by_person(tenant_id: UUID, user_ids: Collection[UUID]) -> dict[UUID, int]:
    """Bytes that these people have uploaded in the entered tenant; who has uploaded nothing is left out."""
    here = UsagePerson.tenant_id == tenant_id, UsagePerson.user_id.in_(user_ids)
    summed = select(UsagePerson.user_id, func.sum(UsagePerson.bytes)).where(*here).group_by(UsagePerson.user_id)
    return {user_id: int(total) for user_id, total in db.session.execute(summed)}


def own_usage(user_id: UUID, places: Iterable[TenantPlace]) -> list[OwnUsage]:
    """What a person has uploaded in the workspaces of ``places``, the largest first; one statement a tenant."""
    found = []
    for tenant in places:
        enter(tenant.id)
        names = {workspace.id: workspace.name for workspace in tenant.workspaces}
        mine = select(UsagePerson).where(UsagePerson.tenant_id == tenant.id, UsagePerson.user_id == user_id)
        found += [
            OwnUsage(each.workspace_id, names[each.workspace_id], each.bytes, each.files)
            for each in db.session.scalars(mine)
            if each.workspace_id in names  # what lies where they are no member any more is not theirs to see
        ]
    return sorted(found, key=lambda each: each.bytes, reverse=True)
