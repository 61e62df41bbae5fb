r"""Search names by words, without their accents.

``search_text`` is what names are compared as: lower case, decomposed (NFKD), combining accents removed. A generated column
has it of every name: to compute it for 10,000 names takes a third of a second. Adding the column rewrites the table.

Revision: 0023
Revises: 0022
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

OLD_SIGNATURE = (
    "assets_named(workspace uuid, pattern text, wanted_kind text, wanted_state text, wanted_library uuid, "
    "wanted_folder uuid, before uuid, batch integer)"
)
SIGNATURE = (
    "assets_named(workspace uuid, words text[], wanted_kind text, wanted_state text, wanted_library uuid, "
    "wanted_folder uuid, before uuid, batch integer)"
)
FOLDING = r"""
    CREATE FUNCTION search_text(words text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
        SELECT lower(regexp_replace(normalize(words, NFKD), '[\u0300-\u036f]', '', 'g'))
    $$"""
# A name must contain every word. EXECUTE plans for the values at hand: a rare word by the index, a common one by walking
# the list until it is full. Without three letters or digits in a row no word has a trigram to look up, and a rare sign
# would be looked for in every name; so such words are looked for in the newest 10,000 names (from ``before`` on).
# The signs of LIKE are escaped after folding: NFKD makes plain signs of full-width ones.
BODY = r"""
    RETURNS SETOF uuid ROWS 50 LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE
        patterns text[] := ARRAY(
            SELECT '%' || regexp_replace(public.search_text(word), '([\\%_])', '\\\1', 'g') || '%'
            FROM unnest(words) AS word
        );
        matches text := '';
    BEGIN
        FOR i IN 1 .. cardinality(patterns) LOOP
            matches := matches || format(' AND search_name LIKE ($2)[%s]', i);
        END LOOP;
        RETURN QUERY EXECUTE
            'SELECT id FROM (SELECT id, workspace_id, search_name FROM assets WHERE workspace_id = ANY (ARRAY[$1])'
            || ' AND tenant_id = NULLIF(current_setting(''app.tenant_id'', true), '''')::uuid'
            || CASE WHEN wanted_state IS NULL THEN ' AND state <> ''deleted''' ELSE ' AND state = $4' END
            || CASE WHEN wanted_state = 'deleted' THEN ' AND state = ''deleted''' ELSE '' END
            || ' AND ($3 IS NULL OR kind = $3) AND ($5 IS NULL OR library_id = $5) AND ($6 IS NULL OR folder_id = $6)'
            || ' AND ($7 IS NULL OR id < $7)'
            || CASE WHEN array_to_string(patterns, '%') ~ '[[:alnum:]]{3}' THEN ''
                    ELSE ' ORDER BY workspace_id DESC, id DESC LIMIT 10000' END
            || ') AS listed WHERE true' || matches || ' ORDER BY workspace_id DESC, id DESC LIMIT $8'
        USING workspace, patterns, wanted_kind, wanted_state, wanted_library, wanted_folder, before, batch;
    END
    $$"""


def upgrade() -> None:
    """Apply."""
    connection = op.get_bind()
    role = connection.dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    connection.exec_driver_sql(FOLDING)
    folded = sa.Computed("search_text(file_name)", persisted=True)
    op.add_column("assets", sa.Column("search_name", sa.Text(), folded, nullable=False))
    if connection.scalar(sa.text("SELECT to_regclass('ix_assets_name')")):  # absent where pg_trgm is (0002)
        op.drop_index("ix_assets_name", "assets")
        op.create_index(
            "ix_assets_name",
            "assets",
            ["workspace_id", "search_name"],
            postgresql_using="gin",
            postgresql_ops={"search_name": "gin_trgm_ops"},
        )
    op.execute(f"DROP FUNCTION {OLD_SIGNATURE}")
    connection.exec_driver_sql(f"CREATE FUNCTION {SIGNATURE} {BODY}".replace("%", "%%"))
    op.execute(f"REVOKE ALL ON FUNCTION {SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO {role}")


def downgrade() -> None:
    """Not undone: the release before it reads another function, and its own migration made that."""
    raise NotImplementedError("Restore the backup that was made before the upgrade.")
