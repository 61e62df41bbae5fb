"""Webhook endpoints and what was delivered.

Revision: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ENDPOINTS = ["webhook_endpoints.tenant_id", "webhook_endpoints.id"]
TABLES = ("webhook_endpoints", "webhook_secrets", "webhook_deliveries")
NIL = "'00000000-0000-0000-0000-000000000000'::uuid"

# What the clock asks and does across tenants: ids and counts only. See revision 0001 for the search path.
FUNCTIONS = {
    # One delivery for each event that nobody was told of, and each endpoint that wants it; the endpoints with new ones.
    # Deliveries hold their endpoint: one that is being deleted is waited for, and then not there any more.
    "tell_webhooks(batch integer)": """
        RETURNS TABLE (tenant_id uuid, id uuid)
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            WITH untold AS MATERIALIZED (
                SELECT e.id, e.time, e.type, e.tenant_id, e.workspace_id FROM events e
                WHERE NOT e.told ORDER BY e.id LIMIT batch FOR UPDATE SKIP LOCKED
            ), listening AS MATERIALIZED (
                SELECT h.id, h.tenant_id, h.created_at, h.event_types, h.workspace_ids FROM webhook_endpoints h
                WHERE h.state <> 'disabled' AND h.tenant_id IN (SELECT u.tenant_id FROM untold u) FOR KEY SHARE
            ), made AS (
                INSERT INTO webhook_deliveries (tenant_id, endpoint_id, id, created_at, type, state, attempts, due_at)
                SELECT h.tenant_id, h.id, u.id, u.time, u.type, 'waiting', 0, now()
                FROM untold u JOIN listening h ON h.tenant_id = u.tenant_id AND h.created_at <= u.time
                WHERE (cardinality(h.event_types) = 0 OR u.type = ANY (h.event_types))
                  AND (cardinality(h.workspace_ids) = 0 OR u.workspace_id = ANY (h.workspace_ids))
                ON CONFLICT DO NOTHING
                RETURNING webhook_deliveries.tenant_id, webhook_deliveries.endpoint_id
            ), done AS (
                UPDATE events SET told = true WHERE events.id IN (SELECT u.id FROM untold u)
            )
            SELECT DISTINCT m.tenant_id, m.endpoint_id FROM made m
        $$""",
    "due_webhooks(batch integer)": f"""
        RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            (SELECT 'deliver', h.tenant_id, {NIL}, h.id FROM webhook_endpoints h
             WHERE h.state <> 'disabled' AND (h.claim_until IS NULL OR h.claim_until < now())
               AND (h.rests_until IS NULL OR h.rests_until <= now())
               AND (h.rung_at IS NULL OR h.rung_at < now() - interval '30 seconds')
               AND EXISTS (SELECT FROM webhook_deliveries d
                           WHERE d.endpoint_id = h.id AND d.state = 'waiting' AND d.due_at <= now())
             ORDER BY h.rung_at NULLS FIRST LIMIT batch)
            UNION ALL
            (SELECT 'tell', e.tenant_id, {NIL}, e.tenant_id FROM events e WHERE NOT e.told ORDER BY e.id LIMIT 1)
        $$""",
    "forget_webhook_deliveries(before timestamptz, batch integer)": """
        RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            WITH gone AS (
                DELETE FROM webhook_deliveries WHERE (endpoint_id, id) IN (
                    SELECT d.endpoint_id, d.id FROM webhook_deliveries d WHERE d.created_at < before
                    ORDER BY d.created_at LIMIT batch FOR UPDATE SKIP LOCKED)
                RETURNING 1)
            SELECT count(*) FROM gone
        $$""",
    "webhook_counts()": """
        RETURNS TABLE (what text, label text, number bigint)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT 'endpoint', h.state, count(*) FROM webhook_endpoints h GROUP BY h.state
            UNION ALL
            SELECT 'delivery', d.state, count(*) FROM webhook_deliveries d
            WHERE d.state = 'waiting' OR d.created_at > now() - interval '1 day' GROUP BY d.state
        $$""",
}


def upgrade() -> None:
    """Apply."""
    create_tables()
    # What happened before was never to be told; what happens is born told where nobody listens.
    op.add_column("events", sa.Column("told", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_index("ix_events_untold", "events", ["id"], postgresql_where=sa.text("NOT told"))
    role = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    for table in TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_tenant ON {table} "
            "USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)"
        )
    for signature, body in FUNCTIONS.items():
        op.get_bind().exec_driver_sql(f"CREATE FUNCTION {signature} {body}")
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {role}")


def create_tables() -> None:
    """As the models say."""
    op.create_table(
        "webhook_endpoints",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(length=1024), nullable=False),
        sa.Column("description", sa.String(length=200), nullable=False),
        sa.Column("event_types", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("workspace_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        *(sa.Column(name, MOMENT, nullable=True) for name in ("failing_since", "delivered_at")),
        sa.Column("claim_token", sa.String(length=16), nullable=True),
        *(sa.Column(name, MOMENT, nullable=True) for name in ("claim_until", "rests_until", "rung_at")),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("state IN ('healthy', 'failing', 'disabled')", name=op.f("ck_webhook_endpoints_state")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhook_endpoints_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_webhook_endpoints_tenant_id_id")),
    )
    op.create_table(
        "webhook_secrets",
        *(sa.Column(name, sa.Uuid(), nullable=False) for name in ("tenant_id", "endpoint_id")),
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in ("sealed_secret", "wrapped_key")),
        sa.Column("vault_key_id", sa.String(length=16), nullable=False),
        sa.Column("ends_at", MOMENT, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        _of_endpoint("webhook_secrets"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_secrets")),
    )
    op.create_index("ix_webhook_secrets_endpoint_id", "webhook_secrets", ["endpoint_id", "id"])
    op.create_table(
        "webhook_deliveries",
        *(sa.Column(name, sa.Uuid(), nullable=False) for name in ("endpoint_id", "id", "tenant_id")),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("type", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        *(sa.Column(name, MOMENT, nullable=True) for name in ("due_at", "attempted_at")),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_state")),
        _of_endpoint("webhook_deliveries"),
        sa.PrimaryKeyConstraint("endpoint_id", "id", name=op.f("pk_webhook_deliveries")),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_webhook_deliveries_due", "webhook_deliveries", ["endpoint_id", "due_at"], postgresql_where=waiting
    )
    op.create_index("ix_webhook_deliveries_created_at", "webhook_deliveries", ["created_at"])


def _of_endpoint(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_tenant_id_endpoint_id")
    return sa.ForeignKeyConstraint(["tenant_id", "endpoint_id"], ENDPOINTS, name=name, ondelete="CASCADE")


def downgrade() -> None:
    """Undo."""
    for signature in FUNCTIONS:
        op.execute(f"DROP FUNCTION {signature}")
    op.drop_index("ix_events_untold", table_name="events")
    op.drop_column("events", "told")
    for table in reversed(TABLES):
        op.drop_table(table)
