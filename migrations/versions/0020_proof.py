"""When a session's person last entered their password; what a token may do, and where.

Tokens that exist keep NULL: everything that their person may do, as before.

Revision: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, UUID

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("sessions", sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_tokens", sa.Column("scopes", ARRAY(sa.String(20)), nullable=True))
    op.add_column("api_tokens", sa.Column("workspace_ids", ARRAY(UUID(as_uuid=True)), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("api_tokens", "workspace_ids")
    op.drop_column("api_tokens", "scopes")
    op.drop_column("sessions", "proved_at")
