"""Folders that can be deleted and taken back, listed by name; files at the top of a library.

Revision: 0014
Revises: 0013

A folder that was deleted stays as a row, so that it can be taken back with its files; its name is free at once. Files
that lie in no folder get an index of their own, and leave the one of folders: each file still stands in one of the two.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

NAMES = "uq_folders_library_id_parent_id_name"
LISTED = "state <> 'deleted'"


def upgrade() -> None:
    """Apply."""
    op.add_column("folders", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("folders", sa.Column("name_key", sa.Text(), sa.Computed("lower(name::text)", persisted=True)))
    op.drop_constraint(op.f(NAMES), "folders", type_="unique")
    op.create_index(
        "uq_folders_names",
        "folders",
        ["library_id", "parent_id", "name_key", "name"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_folders_deleted",
        "folders",
        ["workspace_id", "deleted_at"],
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index(
        "ix_assets_top", "assets", ["library_id", "id"], postgresql_where=sa.text(f"{LISTED} AND folder_id IS NULL")
    )
    op.drop_index("ix_assets_folder", "assets")
    op.create_index(
        "ix_assets_folder",
        "assets",
        ["folder_id", "id"],
        postgresql_where=sa.text(f"{LISTED} AND folder_id IS NOT NULL"),
    )


def downgrade() -> None:
    """Undo; what was deleted is gone for good."""
    op.drop_index("ix_assets_folder", "assets")
    op.create_index("ix_assets_folder", "assets", ["folder_id", "id"], postgresql_where=sa.text(LISTED))
    op.drop_index("ix_assets_top", "assets")
    gone = "SELECT id FROM folders WHERE deleted_at IS NOT NULL"
    for table in ("assets", "uploads"):
        op.execute(f"UPDATE {table} SET folder_id = NULL WHERE folder_id IN ({gone})")
    op.execute("DELETE FROM folders WHERE deleted_at IS NOT NULL")
    op.drop_index("ix_folders_deleted", "folders")
    op.drop_index("uq_folders_names", "folders")
    op.create_unique_constraint(
        op.f(NAMES), "folders", ["library_id", "parent_id", "name"], postgresql_nulls_not_distinct=True
    )
    op.drop_column("folders", "name_key")
    op.drop_column("folders", "deleted_at")
