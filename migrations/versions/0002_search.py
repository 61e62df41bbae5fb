"""Search by a part of a file's name: an index of trigrams, and the function that may use it.

Revision: 0002
Revises: 0001

Row-level security lets Postgres use an index only for operators that can't leak a row of another tenant, and ``ILIKE``
is not one of them: asked directly, the application would read every name of the workspace. The function below keeps
to the tenant that was entered, by itself, and answers ids only. Where the two extensions of Postgres' own contrib
package are missing, the same function still answers, without the index and so more slowly.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SIGNATURE = (
    "assets_named(workspace uuid, pattern text, wanted_kind text, wanted_state text, wanted_library uuid, "
    "wanted_folder uuid, before uuid, batch integer)"
)
# EXECUTE plans for the values at hand: a rare name by the index, a common one by walking the list until it is full.
# Without three letters or digits in a row there is no trigram to look up, and a rare sign would be looked for in every
# name; so a shorter pattern is looked for in the newest 10,000 names (from ``before`` on).
BODY = r"""
    RETURNS SETOF uuid ROWS 50 LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    BEGIN
        RETURN QUERY EXECUTE
            'SELECT id FROM (SELECT id, workspace_id, file_name FROM assets WHERE workspace_id = ANY (ARRAY[$1])'
            || ' AND tenant_id = NULLIF(current_setting(''app.tenant_id'', true), '''')::uuid'
            || CASE WHEN wanted_state IS NULL THEN ' AND state <> ''deleted''' ELSE ' AND state = $4' END
            || CASE WHEN wanted_state = 'deleted' THEN ' AND state = ''deleted''' ELSE '' END
            || ' AND ($3 IS NULL OR kind = $3) AND ($5 IS NULL OR library_id = $5) AND ($6 IS NULL OR folder_id = $6)'
            || ' AND ($7 IS NULL OR id < $7)'
            || CASE WHEN pattern ~ '[[:alnum:]]{3}' THEN '' ELSE ' ORDER BY workspace_id DESC, id DESC LIMIT 10000' END
            || ') AS listed WHERE file_name ILIKE $2 ORDER BY workspace_id DESC, id DESC LIMIT $8'
        USING workspace, pattern, wanted_kind, wanted_state, wanted_library, wanted_folder, before, batch;
    END
    $$"""


def upgrade() -> None:
    """Apply."""
    if _trigrams():
        op.create_index(
            "ix_assets_name",
            "assets",
            ["workspace_id", "file_name"],
            postgresql_using="gin",
            postgresql_ops={"file_name": "gin_trgm_ops"},
        )
    role = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    op.get_bind().exec_driver_sql(f"CREATE FUNCTION {SIGNATURE} {BODY}")
    op.execute(f"REVOKE ALL ON FUNCTION {SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO {role}")


def _trigrams() -> bool:
    """Whether the extensions are here by now. Both are "trusted": who may create in the database may add them."""
    connection = op.get_bind()
    found = connection.scalar(
        sa.text("SELECT count(*) FROM pg_available_extensions WHERE name IN ('pg_trgm', 'btree_gin')")
    )
    allowed = connection.scalar(sa.text("SELECT has_database_privilege(current_database(), 'CREATE')"))
    if found != 2 or not allowed:
        return False
    for extension in ("pg_trgm", "btree_gin"):
        op.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    return True


def downgrade() -> None:
    """Undo; the extensions stay, somebody else may use them by now."""
    op.execute(f"DROP FUNCTION {SIGNATURE}")
    op.execute("DROP INDEX IF EXISTS ix_assets_name")
