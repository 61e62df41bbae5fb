"""Looser scan rules wait for a second administrator.

Revision: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("scan_policies", sa.Column("wished", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("scan_policies", sa.Column("wished_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("scan_policies", sa.Column("wished_by", sa.Uuid(), nullable=True))


def downgrade() -> None:
    """Undo."""
    for name in ("wished", "wished_at", "wished_by"):
        op.drop_column("scan_policies", name)
