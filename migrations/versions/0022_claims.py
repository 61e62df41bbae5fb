"""Only a storage that was proven claims its bucket and prefix; open uploads are found by person; fewer rights.

A profile is proven when its keys were seen to write, read and delete there. Those that work, or have worked, are.
The application changes no plan and deletes no issued link: plans come with releases, and old links are removed by
``delete_old_links``.

Revision: 0022
Revises: 0021
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

LOCATION = "uq_storage_profiles_location"
CLAIMS = "mode = 'byos_s3' AND retired_at IS NULL AND proven_at IS NOT NULL"
# See revision 0004: the question that must look across tenants. What is not proven claims nothing.
TAKEN = """
    CREATE OR REPLACE FUNCTION bucket_is_taken(wanted_store text, wanted_bucket text, wanted_prefix text, besides uuid)
    RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtextextended(wanted_store || '/' || wanted_bucket, 0));
        RETURN EXISTS (
            SELECT FROM storage_profiles
            WHERE mode = 'byos_s3' AND retired_at IS NULL AND proven_at IS NOT NULL
              AND store = wanted_store AND bucket = wanted_bucket AND id IS DISTINCT FROM besides
              AND (key_prefix = wanted_prefix OR key_prefix = '' OR wanted_prefix = ''
                   OR starts_with(wanted_prefix, key_prefix || '/') OR starts_with(key_prefix, wanted_prefix || '/')));
    END
    $$"""
PROVEN_BEFORE = """
    UPDATE storage_profiles SET proven_at = coalesce(probed_at, created_at)
    WHERE mode = 'byos_s3' AND retired_at IS NULL
      AND (active OR health = 'healthy' OR capabilities @> '{"marker": true}' OR capabilities @> '{"marker_lost": true}')
"""


def upgrade() -> None:
    """Apply."""
    op.add_column("storage_profiles", sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(PROVEN_BEFORE)
    op.drop_index(LOCATION, "storage_profiles")
    columns = ["store", "bucket", "key_prefix"]
    op.create_index(LOCATION, "storage_profiles", columns, unique=True, postgresql_where=sa.text(CLAIMS))
    op.get_bind().exec_driver_sql(TAKEN)
    op.create_index(
        "ix_uploads_open",
        "uploads",
        ["tenant_id", "user_id"],
        postgresql_where=sa.text("state IN ('created', 'uploading')"),
    )
    role = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    op.execute(f"REVOKE INSERT, UPDATE, DELETE ON plans FROM {role}")
    op.execute(f"REVOKE DELETE ON issued_links FROM {role}")


def downgrade() -> None:
    """Not possible where two unproven profiles name one place. Restore the backup from before the upgrade."""
    raise NotImplementedError("This revision can't be undone. Restore the backup that was made before the upgrade.")
