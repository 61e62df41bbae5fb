"""The bytes that uploads of a workspace have reserved, for the measurement of usage."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import BigInteger, Row, cast, func, select

from portal.database import db
from portal.uploads.models import Upload


def by_kind(workspace_id: UUID) -> Sequence[Row[str, UUID, int, int]]:
    """Rows of (kind, profile_id, bytes, files), files meaning uploads."""
    size = cast(func.sum(Upload.reserved_bytes), BigInteger).label("bytes")
    query = select(Upload.kind, Upload.profile_id, size, func.count().label("files"))
    reserving = Upload.workspace_id == workspace_id, Upload.reserved_bytes > 0
    return db.session.execute(query.where(*reserving).group_by(Upload.kind, Upload.profile_id)).all()
