"""The functions that look across tenants take no table of the application's making for one of ours.

Revision: 0006
Revises: 0005

Where a search path does not name it, ``pg_temp`` comes first. An application that may make temporary tables, as every
role may in a database that nobody has restricted, could put a view of its own in a table's place, and so have a
function of its own run with the owner's rights.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OURS = """
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE prosecdef AND pronamespace = 'public'::regnamespace AND proowner = current_user::regrole ORDER BY 1"""


def upgrade() -> None:
    """Apply."""
    _search("pg_catalog, public, pg_temp")


def downgrade() -> None:
    """Undo."""
    _search("pg_catalog, public")


def _search(path: str) -> None:
    connection = op.get_bind()
    for (signature,) in connection.exec_driver_sql(OURS).all():
        connection.exec_driver_sql(f"ALTER FUNCTION {signature} SET search_path = {path}")
