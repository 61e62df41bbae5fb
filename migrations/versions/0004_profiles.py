"""Storage profiles of a customer's own: where, sealed credentials, what the store was found to do.

Revision: 0004
Revises: 0003
"""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = "storage_profiles"
CHOICES = {
    "addressing_style": ("auto", "path", "virtual"),
    "encryption": ("none", "sse_s3", "sse_kms"),
    "health": ("unknown", "probing", "healthy", "unhealthy"),
}

# Answers yes or no, never whose: the one question about a bucket that must look across tenants. Who asks holds the
# bucket until the end of the transaction, so that two who ask at once do not both hear "no". A prefix is taken by
# itself, by what lies above it and by what lies below it. See revision 0001 for the search path.
SIGNATURE = "bucket_is_taken(wanted_store text, wanted_bucket text, wanted_prefix text, besides uuid)"
BODY = """
    RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtextextended(wanted_store || '/' || wanted_bucket, 0));
        RETURN EXISTS (
            SELECT FROM storage_profiles
            WHERE mode = 'byos_s3' AND retired_at IS NULL AND store = wanted_store AND bucket = wanted_bucket
              AND id IS DISTINCT FROM besides
              AND (key_prefix = wanted_prefix OR key_prefix = '' OR wanted_prefix = ''
                   OR starts_with(wanted_prefix, key_prefix || '/') OR starts_with(key_prefix, wanted_prefix || '/')));
    END
    $$"""

# What no row of a tenant can answer: which probes stand still, whose last one is a week old, and which installation
# this is. The last is made here and is a part of the schema, so that a restored backup is still the same one.
FUNCTIONS = {
    "due_probes(batch integer)": """
        RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT 'probe', p.tenant_id, p.workspace_id, p.id FROM storage_profiles p
            WHERE p.health IN ('probing', 'unhealthy') AND p.retired_at IS NULL AND p.probe_due_at < now()
            ORDER BY p.probe_due_at LIMIT batch
        $$""",
    "old_probes(batch integer)": """
        RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT 'probe', p.tenant_id, p.workspace_id, p.id FROM storage_profiles p
            WHERE p.mode = 'byos_s3' AND p.retired_at IS NULL AND p.health <> 'probing'
              AND p.probed_at < now() - interval '7 days'
            ORDER BY p.probed_at LIMIT batch
        $$""",
    "installation_id()": """
        RETURNS uuid LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT '{installation}'::uuid
        $$""",
}


def upgrade() -> None:
    """Apply."""
    for column in _columns():
        op.add_column(TABLE, column)
    for name in ("name", "key_prefix", "addressing_style", "encryption", "health", "capabilities"):
        op.alter_column(TABLE, name, server_default=None)
    for name, choices in CHOICES.items():
        words = ", ".join(f"'{choice}'" for choice in choices)
        op.create_check_constraint(op.f(f"ck_{TABLE}_{name}"), TABLE, f"{name} IN ({words})")
    own = "mode = 'byos_s3'"
    whole = "store IS NOT NULL AND bucket IS NOT NULL AND region IS NOT NULL AND access_key_id IS NOT NULL"
    op.create_check_constraint(op.f(f"ck_{TABLE}_own"), TABLE, f"mode = 'managed_r2' OR ({whole})")
    sealed = "num_nonnulls(sealed_secret, wrapped_key, vault_key_id)"
    op.create_check_constraint(
        op.f(f"ck_{TABLE}_sealed"), TABLE, f"{sealed} = CASE WHEN {own} AND retired_at IS NULL THEN 3 ELSE 0 END"
    )
    op.create_check_constraint(op.f(f"ck_{TABLE}_retired"), TABLE, "retired_at IS NULL OR NOT active")
    op.create_index(
        f"uq_{TABLE}_place",
        TABLE,
        ["store", "bucket", "key_prefix"],
        unique=True,
        postgresql_where=sa.text(f"{own} AND retired_at IS NULL"),
    )
    role = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    op.get_bind().exec_driver_sql(f"CREATE FUNCTION {SIGNATURE} {BODY}")
    op.execute(f"REVOKE ALL ON FUNCTION {SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO {role}")
    for signature, body in FUNCTIONS.items():
        made = body.replace("{installation}", str(uuid4()))
        op.get_bind().exec_driver_sql(f"CREATE FUNCTION {signature} {made}")
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {role}")


def _columns() -> list[sa.Column[object]]:
    """What a profile says beside its mode; the defaults are for the rows that are there."""
    moment = sa.DateTime(timezone=True)
    return [
        sa.Column("name", sa.String(length=100), nullable=False, server_default="Managed storage"),
        sa.Column("store", sa.String(length=300), nullable=True),
        sa.Column("bucket", sa.String(length=63), nullable=True),
        sa.Column("endpoint", sa.String(length=300), nullable=True),
        sa.Column("region", sa.String(length=64), nullable=True),
        sa.Column("addressing_style", sa.String(length=20), nullable=False, server_default="auto"),
        sa.Column("key_prefix", sa.String(length=512), nullable=False, server_default=""),
        sa.Column("encryption", sa.String(length=20), nullable=False, server_default="none"),
        sa.Column("kms_key_id", sa.String(length=2048), nullable=True),
        sa.Column("access_key_id", sa.String(length=128), nullable=True),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("vault_key_id", sa.String(length=16), nullable=True),
        sa.Column("keys_changed_at", moment, nullable=True),
        sa.Column("health", sa.String(length=20), nullable=False, server_default="unknown"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("capabilities", postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default="{}"),
        sa.Column("probe", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("probed_at", moment, nullable=True),
        sa.Column("probe_token", sa.Uuid(), nullable=True),
        sa.Column("probe_due_at", moment, nullable=True),
        sa.Column("unhealthy_since", moment, nullable=True),
        sa.Column("deactivated_at", moment, nullable=True),
        sa.Column("retired_at", moment, nullable=True),
    ]


def downgrade() -> None:
    """Undo."""
    for signature in (SIGNATURE, *FUNCTIONS):
        op.execute(f"DROP FUNCTION {signature}")
    op.drop_index(f"uq_{TABLE}_place", table_name=TABLE)
    for column in _columns():
        op.drop_column(TABLE, column.name)
