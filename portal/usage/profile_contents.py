"""What each storage profile contained when its workspace was measured last. Registered with ``storage`` in ``app``."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, cast, func, select
from sqlalchemy.orm import InstrumentedAttribute

from portal.database import db
from portal.storage.contents import Contents
from portal.usage.models import Part, UsagePart


def measured_by_profile(workspace_id: UUID) -> dict[UUID, Contents]:
    """The contents of a workspace's profiles at the last measurement; empty before the first."""
    original, derived = UsagePart.part != Part.DERIVED, UsagePart.part == Part.DERIVED
    rows = db.session.execute(
        select(
            UsagePart.profile_id,
            _sum(UsagePart.files, original).label("files"),
            _sum(UsagePart.bytes, original).label("original_bytes"),
            _sum(UsagePart.bytes, derived).label("derived_bytes"),
        )
        .where(UsagePart.workspace_id == workspace_id, UsagePart.part != Part.STAGING)
        .group_by(UsagePart.profile_id)
    )
    return {row.profile_id: Contents(row.files, row.original_bytes, row.derived_bytes) for row in rows}


def _sum(column: InstrumentedAttribute[int], which: ColumnElement[bool]) -> ColumnElement[int]:
    # The sum of bigints is a numeric in PostgreSQL, and null where no row matches.
    return cast(func.coalesce(func.sum(column).filter(which), 0), BigInteger)
