"""The table of delivery: every link to an original that was issued."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Identified
from portal.tenancy.models import in_workspace


class IssuedLink(Identified, Base):
    """A presigned link, to whom and until when. Kept 90 days, apart from the asset's own life."""

    __tablename__ = "issued_links"
    __table_args__ = (
        in_workspace(),
        ForeignKeyConstraint(["user_id"], ["users.id"]),
        Index("ix_issued_links_asset_id", "asset_id"),
        Index("ix_issued_links_expires_at", "expires_at"),
        Index("ix_issued_links_workspace_id_id", "workspace_id", "id"),
    )

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    asset_id: Mapped[UUID]
    user_id: Mapped[UUID]
    variant: Mapped[str | None] = mapped_column(String(20))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime]
