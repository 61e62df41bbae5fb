"""What the clock did, and the operator's switches.

Revision: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


GLOBAL_TABLES = ("chore_runs", "switches", "rescans", "scanner_proofs")
APPEND_ONLY = ("operator_acts",)

# What operators may know across tenants: counts, ages and ids, no names and no content.
FUNCTIONS = {
    # Work that is not done, by job: how much of it is due, since how many seconds, and how much waits for a part.
    "standing_work()": """
        RETURNS TABLE (job text, waiting_for text, due bigint, later bigint, oldest_seconds double precision)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT w.job, w.waiting_for, count(*) FILTER (WHERE w.due_at < now()),
                   count(*) FILTER (WHERE w.due_at >= now()),
                   coalesce(extract(epoch FROM now() - min(w.since)), 0)
            FROM (
                SELECT 'take_in' AS job, coalesce(a.waiting_for, '') AS waiting_for, a.due_at, a.created_at AS since
                FROM assets a WHERE a.state = 'processing'
                UNION ALL
                SELECT 'render_previews', coalesce(a.waiting_for, ''), a.due_at, a.created_at
                FROM assets a WHERE a.state = 'available' AND a.previews = 'pending'
                UNION ALL
                SELECT 'rescan', coalesce(a.waiting_for, ''), a.due_at, coalesce(a.due_at, now())
                FROM assets a WHERE a.state = 'quarantined' AND a.due_at IS NOT NULL
                UNION ALL
                SELECT 'purge', '', a.purge_after, a.purge_after FROM assets a WHERE a.purge_after < now()
                UNION ALL
                SELECT 'expire', '', u.expires_at, u.expires_at
                FROM uploads u WHERE u.state IN ('created', 'uploading') AND u.expires_at < now()
            ) w
            GROUP BY w.job, w.waiting_for
        $$""",
    # Counts that no single tenant may see: what is unscanned and held, accounts by how full they are, stores by health.
    "installation_counts()": """
        RETURNS TABLE (what text, label text, number bigint)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT 'unscanned', coalesce(a.scan_reason, ''), count(*) FROM assets a
            WHERE a.state = 'available' AND a.scan_result = 'not_scanned' GROUP BY 2
            UNION ALL
            SELECT 'open_uploads', '', count(*) FROM uploads u WHERE u.state IN ('created', 'uploading')
            UNION ALL
            SELECT 'held', '', count(*) FROM assets a WHERE a.state = 'quarantined'
            UNION ALL
            SELECT 'quota', CASE WHEN q.share >= 95 THEN 'critical' WHEN q.share >= 90 THEN 'high' ELSE 'medium' END,
                   count(*)
            FROM (
                SELECT 100.0 * (used_bytes + reserved_bytes) / nullif(limit_bytes, 0) AS share FROM workspace_quotas
                UNION ALL
                SELECT 100.0 * (used_bytes + reserved_bytes) / nullif(
                    CASE WHEN override_until > now() THEN override_bytes ELSE limit_bytes END, 0)
                FROM tenant_quotas) q
            WHERE q.share >= 80 GROUP BY 2
            UNION ALL
            SELECT 'store', p.health::text, count(*) FROM storage_profiles p
            WHERE p.mode = 'byos_s3' AND p.retired_at IS NULL GROUP BY 2
        $$""",
    # What happened on the days since ``first``, over all tenants.
    "counts_since(first date)": """
        RETURNS TABLE (day date, what text, label text, number bigint, bytes bigint)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT c.day, c.what::text, c.label::text, sum(c.number)::bigint, sum(c.bytes)::bigint
            FROM daily_counts c WHERE c.day >= first GROUP BY 1, 2, 3
        $$""",
    # Files whose previews failed, and files whose check goes on failing or waits; ids only.
    "failed_work(wanted text, reason text, batch integer)": """
        RETURNS TABLE (tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            (SELECT a.tenant_id, a.workspace_id, a.id FROM assets a
             WHERE wanted = 'previews' AND a.state = 'available' AND a.previews = 'failed' AND coalesce(a.previews_code, '') = reason
             ORDER BY a.id LIMIT batch)
            UNION ALL
            (SELECT a.tenant_id, a.workspace_id, a.id FROM assets a
             WHERE wanted = 'check' AND a.state = 'processing' AND (a.attempts > 1 OR a.waiting_for IS NOT NULL)
               AND coalesce(a.waiting_for, 'error') = reason
             ORDER BY a.id LIMIT batch)
        $$""",
    "failures()": """
        RETURNS TABLE (kind text, code text, number bigint, day bigint, week bigint, oldest timestamptz)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT 'previews', coalesce(a.previews_code, ''), count(*),
                   count(*) FILTER (WHERE a.created_at > now() - interval '1 day'),
                   count(*) FILTER (WHERE a.created_at > now() - interval '7 days'), min(a.created_at)
            FROM assets a WHERE a.state = 'available' AND a.previews = 'failed' GROUP BY 2
            UNION ALL
            SELECT 'check', coalesce(a.waiting_for, 'error'), count(*),
                   count(*) FILTER (WHERE a.created_at > now() - interval '1 day'),
                   count(*) FILTER (WHERE a.created_at > now() - interval '7 days'), min(a.created_at)
            FROM assets a WHERE a.state = 'processing' AND (a.attempts > 1 OR a.waiting_for IS NOT NULL) GROUP BY 2
            UNION ALL
            SELECT 'upload', coalesce(u.reason_code, ''), count(*),
                   count(*) FILTER (WHERE u.created_at > now() - interval '1 day'), count(*), min(u.created_at)
            FROM uploads u WHERE u.state = 'failed' AND u.created_at > now() - interval '7 days' GROUP BY 2
        $$""",
    # Every row that waits for its turn is due now. Nobody's claim is touched.
    "hasten()": """
        RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            WITH hastened AS (
                UPDATE assets SET due_at = now()
                WHERE (state = 'processing' OR (state = 'available' AND previews = 'pending')
                       OR (state = 'quarantined' AND due_at IS NOT NULL))
                  AND (claim_until IS NULL OR claim_until < now()) RETURNING 1)
            SELECT count(*) FROM hastened
        $$""",
    # A scan of everything, by id: what nobody has looked at since ``started``.
    "due_for_rescan(after uuid, until uuid, started timestamptz, batch integer)": """
        RETURNS TABLE (tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT a.tenant_id, a.workspace_id, a.id FROM assets a
            WHERE a.id > after AND a.id <= until AND a.state = 'available' AND a.scan_result = 'clean'
              AND (a.scanned_at IS NULL OR a.scanned_at < started)
            ORDER BY a.id LIMIT batch
        $$""",
    "count_for_rescan(started timestamptz)": """
        RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT count(*) FROM assets a WHERE a.state = 'available' AND a.scan_result = 'clean'
              AND (a.scanned_at IS NULL OR a.scanned_at < started)
        $$""",
    # Files that were taken in and scanned since an id was made: ids are in the order of time.
    "scanned_since(first uuid)": """
        RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT count(*) FROM assets a WHERE a.id >= first AND a.scan_result <> 'pending'
        $$""",
}


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "chore_runs",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ok", sa.Boolean(), nullable=True),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chore_runs")),
    )
    op.create_table(
        "switches",
        sa.Column("name", sa.String(length=30), nullable=False),
        sa.Column("scope", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("name", "scope", name=op.f("pk_switches")),
    )
    op.create_table(
        "operator_acts",
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_acts")),
    )
    op.create_table(
        "scanner_proofs",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("engine", sa.String(length=100), nullable=True),
        sa.Column("database", sa.String(length=100), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("rescanned_version", sa.Integer(), nullable=True),
        sa.Column("signatures_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_scanner_proofs")),
    )
    op.create_table(
        "rescans",
        sa.Column("started_by", sa.Uuid(), nullable=True),
        sa.Column("why", sa.String(length=20), nullable=False),
        sa.Column("database", sa.String(length=100), nullable=False),
        sa.Column("until", sa.Uuid(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("infected", sa.BigInteger(), nullable=False),
        sa.Column("cursor", sa.Uuid(), nullable=False),
        sa.Column("handed_to", sa.Uuid(), nullable=True),
        sa.Column("handed", sa.Integer(), nullable=False),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rescans")),
    )
    running = sa.text("finished_at IS NULL")
    op.create_index("uq_rescans_running", "rescans", ["stopped"], unique=True, postgresql_where=running)
    op.create_table(
        "daily_counts",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("label", sa.String(length=60), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_daily_counts_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "day", "what", "label", name=op.f("pk_daily_counts")),
    )
    op.create_index("ix_daily_counts_day", "daily_counts", ["day"])
    op.add_column("assets", sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=True))
    failed = sa.text("state = 'available' AND previews = 'failed'")
    op.create_index("ix_assets_previews_failed", "assets", ["id"], postgresql_where=failed)
    op.create_index("ix_uploads_failed", "uploads", ["created_at"], postgresql_where=sa.text("state = 'failed'"))
    grant()


def grant() -> None:
    """What the application may do with them."""
    role = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    for table in GLOBAL_TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}")
    for table in APPEND_ONLY:
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {role}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON daily_counts TO {role}")
    op.execute("ALTER TABLE daily_counts ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_tenant ON daily_counts "
        "USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)"
    )
    for signature, body in FUNCTIONS.items():
        op.execute(sa.text(f"CREATE FUNCTION {signature} {body}".replace(":", r"\:")))
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {role}")


def downgrade() -> None:
    """Undo."""
    for signature in FUNCTIONS:
        op.execute(f"DROP FUNCTION {signature}")
    op.drop_index("ix_uploads_failed", table_name="uploads")
    op.drop_index("ix_assets_previews_failed", table_name="assets")
    op.drop_column("assets", "scanned_at")
    for table in ("daily_counts", "rescans", "scanner_proofs", "operator_acts", "switches", "chore_runs"):
        op.drop_table(table)
