"""Uploads in parts.

Revision: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("uploads", sa.Column("multipart_id", sa.Text(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("uploads", "multipart_id")
