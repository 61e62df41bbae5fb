"""A person's language: what they chose, or NULL for what their browser asks for.

Revision: 0018
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("users", sa.Column("language", sa.String(20), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("users", "language")
