"""What the uploads of people hold, as it was measured last."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import func, select

from portal.database import db
from portal.usage.models import UsagePerson


def bytes_by_person(tenant_id: UUID, user_ids: Collection[UUID]) -> dict[UUID, int]:
    """Bytes that these people have uploaded in the entered tenant; who has uploaded nothing is left out."""
    here = UsagePerson.tenant_id == tenant_id, UsagePerson.user_id.in_(user_ids)
    summed = select(UsagePerson.user_id, func.sum(UsagePerson.bytes)).where(*here).group_by(UsagePerson.user_id)
    return {user_id: int(total) for user_id, total in db.session.execute(summed)}
