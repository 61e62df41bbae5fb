"""Overrides, snapshots, warnings and requests of the quota desk.

Revision: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TENANT_TABLES = (
    "quota_changes",
    "quota_requests",
    "workspace_usage",
    "usage_parts",
    "usage_people",
    "usage_snapshots",
    "tenant_snapshots",
)
PARTS = ("original", "trash", "quarantine", "derived", "staging", "tmp")

# The first two say what is due, and answer ids only. The others are an operator's view over all tenants: numbers, and
# the names of workspaces; never a file's. See revision 0001 for the search path.
# A warning is due where the share has passed a level that was not warned of, or has fallen 5 points below one that was.
FUNCTIONS = {
    "due_quota_warnings(batch integer)": """
        RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT 'warn', s.tenant_id, s.workspace_id, coalesce(s.workspace_id, s.tenant_id)
            FROM (
                SELECT q.tenant_id, q.workspace_id, q.warned_percent, q.limit_bytes,
                       q.used_bytes::numeric + q.reserved_bytes AS held
                FROM workspace_quotas q WHERE q.limit_bytes IS NOT NULL OR q.warned_percent > 0
                UNION ALL
                SELECT t.tenant_id, NULL, t.warned_percent,
                       CASE WHEN t.override_until > now() THEN t.override_bytes ELSE t.limit_bytes END,
                       t.used_bytes::numeric + t.reserved_bytes
                FROM tenant_quotas t
            ) s, LATERAL (
                SELECT CASE WHEN s.limit_bytes IS NULL OR s.held = 0 THEN 0
                            WHEN s.limit_bytes = 0 THEN 100
                            ELSE s.held * 100 / s.limit_bytes END AS percent
            ) p
            WHERE p.percent >= CASE s.warned_percent WHEN 0 THEN 80 WHEN 80 THEN 90 WHEN 90 THEN 95 END
               OR p.percent < s.warned_percent - 5
            LIMIT batch
        $$""",
    "due_measures(batch integer)": """
        RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT 'measure', w.tenant_id, w.id, w.id
            FROM workspaces w
            JOIN workspace_quotas q ON q.workspace_id = w.id
            LEFT JOIN workspace_usage u ON u.workspace_id = w.id
            WHERE u.as_of IS NULL
               OR u.as_of < now() - greatest(CASE WHEN q.moved_at > u.as_of THEN interval '1 minute'
                                                  ELSE interval '1 hour' END,
                                             u.took_ms * interval '100 milliseconds')
            ORDER BY u.as_of NULLS FIRST LIMIT batch
        $$""",
    "quota_of_tenants()": """
        RETURNS TABLE (tenant_id uuid, limit_bytes bigint, plan_bytes bigint, override_bytes bigint,
                       override_until timestamptz, used_bytes bigint, reserved_bytes bigint, used_files bigint,
                       workspaces bigint, promised_bytes numeric, growth_bytes bigint, full_on date)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT t.tenant_id, CASE WHEN t.override_until > now() THEN t.override_bytes ELSE t.limit_bytes END,
                   t.limit_bytes, t.override_bytes, t.override_until, t.used_bytes, t.reserved_bytes, t.used_files,
                   coalesce(w.workspaces, 0), coalesce(w.promised_bytes, 0), s.growth_bytes, s.full_on
            FROM tenant_quotas t
            LEFT JOIN (SELECT q.tenant_id, count(*) AS workspaces, sum(q.limit_bytes) AS promised_bytes
                       FROM workspace_quotas q GROUP BY q.tenant_id) w ON w.tenant_id = t.tenant_id
            LEFT JOIN LATERAL (SELECT d.growth_bytes, d.full_on FROM tenant_snapshots d
                               WHERE d.tenant_id = t.tenant_id ORDER BY d.day DESC LIMIT 1) s ON true
        $$""",
    "quota_top_workspaces(most integer)": """
        RETURNS TABLE (workspace_id uuid, tenant_id uuid, name text, bytes bigint, files bigint, limit_bytes bigint)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT q.workspace_id, q.tenant_id, w.name, q.used_bytes, q.used_files, q.limit_bytes
            FROM workspace_quotas q JOIN workspaces w ON w.id = q.workspace_id
            WHERE q.used_bytes > 0 ORDER BY q.used_bytes DESC, q.workspace_id LIMIT most
        $$""",
    "quota_top_people(most integer)": """
        RETURNS TABLE (user_id uuid, bytes numeric, files numeric)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT p.user_id, sum(p.bytes), sum(p.files) FROM usage_people p
            GROUP BY p.user_id ORDER BY sum(p.bytes) DESC, p.user_id LIMIT most
        $$""",
    "quota_parts()": """
        RETURNS TABLE (part text, kind text, mode text, storage_class text, bytes numeric, files numeric)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT p.part, p.kind, s.mode, p.storage_class, sum(p.bytes), sum(p.files)
            FROM usage_parts p JOIN storage_profiles s ON s.id = p.profile_id
            GROUP BY p.part, p.kind, s.mode, p.storage_class
        $$""",
    "quota_days(since date)": """
        RETURNS TABLE (day date, used_bytes numeric)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT s.day, sum(s.used_bytes) FROM tenant_snapshots s WHERE s.day >= since GROUP BY s.day ORDER BY s.day
        $$""",
}


def upgrade() -> None:
    """Apply."""
    _counters()
    _desk()
    _usage()
    _snapshots()
    op.create_index("ix_issued_links_workspace_id_id", "issued_links", ["workspace_id", "id"])
    role = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    for table in TENANT_TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_tenant ON {table} "
            "USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)"
        )
    for signature, body in FUNCTIONS.items():
        op.execute(sa.text(f"CREATE FUNCTION {signature} {body}".replace(":", r"\:")))
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {role}")


def _counters() -> None:
    for table in ("workspace_quotas", "tenant_quotas"):
        op.add_column(table, sa.Column("used_files", sa.BigInteger(), nullable=False, server_default="0"))
        op.add_column(table, sa.Column("warned_percent", sa.SmallInteger(), nullable=False, server_default="0"))
        op.alter_column(table, "used_files", server_default=None)
        op.alter_column(table, "warned_percent", server_default=None)
    op.add_column("workspace_quotas", sa.Column("moved_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("workspace_quotas", sa.Column("limit_set_by", sa.Uuid(), nullable=True))
    op.add_column("workspace_quotas", sa.Column("limit_set_at", sa.DateTime(timezone=True), nullable=True))
    for table, key in (("workspace_quotas", "workspace_id"), ("tenant_quotas", "tenant_id")):
        op.execute(
            f"UPDATE {table} q SET used_files = a.files FROM (SELECT {key}, count(*) AS files FROM assets "
            f"WHERE charged_bytes > 0 GROUP BY {key}) a WHERE a.{key} = q.{key}"
        )


def _desk() -> None:
    op.create_table(
        "quota_changes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_quota_changes_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_changes")),
    )
    op.create_index("ix_quota_changes_tenant_id_id", "quota_changes", ["tenant_id", "id"])
    states = sa.Enum("open", "granted", "declined", name="state", native_enum=False, create_constraint=True, length=20)
    op.create_table(
        "quota_requests",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("wanted_bytes", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("state", states, nullable=False),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("granted_bytes", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("wanted_bytes > 0", name=op.f("ck_quota_requests_wanted")),
        _in_workspace("quota_requests"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_requests")),
    )
    op.create_index("ix_quota_requests_tenant_id_id", "quota_requests", ["tenant_id", "id"])
    op.create_index(
        "uq_quota_requests_open",
        "quota_requests",
        ["workspace_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )


def _usage() -> None:
    op.create_table(
        "workspace_usage",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        *(
            sa.Column(name, postgresql.JSONB(astext_type=sa.Text()), nullable=False)
            for name in ("folders", "largest", "duplicates")
        ),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("duplicate_files", "duplicate_bytes", "downloads", "download_bytes")
        ),
        sa.Column("change_bytes", sa.BigInteger(), nullable=True),
        sa.Column("growth_bytes", sa.BigInteger(), nullable=True),
        sa.Column("full_on", sa.Date(), nullable=True),
        _in_workspace("workspace_usage"),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_workspace_usage")),
    )
    parts = sa.Enum(*PARTS, name="part", native_enum=False, create_constraint=True, length=20)
    op.create_table(
        "usage_parts",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("part", parts, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("storage_class", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        _in_workspace("usage_parts"),
        sa.PrimaryKeyConstraint(
            "workspace_id", "part", "kind", "profile_id", "storage_class", name=op.f("pk_usage_parts")
        ),
    )
    op.create_index("ix_usage_parts_tenant_id", "usage_parts", ["tenant_id"])
    op.create_table(
        "usage_people",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        _in_workspace("usage_people"),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", name=op.f("pk_usage_people")),
    )
    op.create_index("ix_usage_people_tenant_id_user_id", "usage_people", ["tenant_id", "user_id"])


def _snapshots() -> None:
    op.create_table(
        "usage_snapshots",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("used_files", sa.BigInteger(), nullable=False),
        _in_workspace("usage_snapshots"),
        sa.PrimaryKeyConstraint("workspace_id", "day", name=op.f("pk_usage_snapshots")),
    )
    op.create_index("ix_usage_snapshots_tenant_id_day", "usage_snapshots", ["tenant_id", "day"])
    op.create_table(
        "tenant_snapshots",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("used_files", sa.BigInteger(), nullable=False),
        sa.Column("limit_bytes", sa.BigInteger(), nullable=True),
        sa.Column("growth_bytes", sa.BigInteger(), nullable=True),
        sa.Column("full_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_tenant_snapshots_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "day", name=op.f("pk_tenant_snapshots")),
    )


def _in_workspace(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", "workspace_id"],
        ["workspaces.tenant_id", "workspaces.id"],
        name=op.f(f"fk_{table}_tenant_id_workspace_id"),
    )


def downgrade() -> None:
    """Undo."""
    for signature in FUNCTIONS:
        op.execute(f"DROP FUNCTION {signature}")
    op.drop_index("ix_issued_links_workspace_id_id", table_name="issued_links")
    for table in reversed(TENANT_TABLES):
        op.drop_table(table)
    for column in ("limit_set_at", "limit_set_by", "moved_at"):
        op.drop_column("workspace_quotas", column)
    for table in ("tenant_quotas", "workspace_quotas"):
        op.drop_column(table, "warned_percent")
        op.drop_column(table, "used_files")
