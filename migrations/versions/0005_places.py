"""The list of one library or folder, however many other files its workspace has.

Revision: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LISTED = sa.text("state <> 'deleted'")


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_assets_library", "assets", ["library_id", "id"], postgresql_where=LISTED)
    op.create_index("ix_assets_folder", "assets", ["folder_id", "id"], postgresql_where=LISTED)


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_assets_folder", table_name="assets", postgresql_where=LISTED)
    op.drop_index("ix_assets_library", table_name="assets", postgresql_where=LISTED)
