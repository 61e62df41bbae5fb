"""Tables of folders: libraries and the folder tree."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Computed,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Identified
from portal.tenancy.models import in_workspace


class Library(Identified, Base):
    """A collection in a workspace; every workspace has at least "Files"."""

    __tablename__ = "libraries"
    __table_args__ = (in_workspace(), UniqueConstraint("workspace_id", "id"), UniqueConstraint("workspace_id", "name"))

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(String(200))


class Folder(Identified, Base):
    """A folder is a row, not a key prefix. ``parent_id`` null: directly in the library.

    A folder that was deleted stays, with all folders below it and the time of that act, so that it can be taken back:
    what stands above a living folder lives. ``name_key`` is what lists are sorted by.
    """

    __tablename__ = "folders"
    __table_args__ = (
        in_workspace(),
        UniqueConstraint("workspace_id", "id"),
        Index(
            "uq_folders_names",
            "library_id",
            "parent_id",
            "name_key",
            "name",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("ix_folders_deleted", "workspace_id", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
        ForeignKeyConstraint(["workspace_id", "library_id"], ["libraries.workspace_id", "libraries.id"]),
        ForeignKeyConstraint(["workspace_id", "parent_id"], ["folders.workspace_id", "folders.id"]),
    )

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    library_id: Mapped[UUID]
    parent_id: Mapped[UUID | None]
    name: Mapped[str] = mapped_column(String(255))
    name_key: Mapped[str | None] = mapped_column(Text, Computed("lower(name::text)", persisted=True))
    deleted_at: Mapped[datetime | None]
