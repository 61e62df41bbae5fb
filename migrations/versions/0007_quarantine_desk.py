"""Decisions of the quarantine desk, and a tenant's rules for what could not be scanned.

Revision: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TENANT_TABLES = {"scan_policies": "SELECT, INSERT, UPDATE, DELETE", "quarantine_decisions": "SELECT, INSERT"}
DECISIONS = ("rescan", "delete", "propose", "release", "block", "unblock", "download", "outcome")

# What the desk has ordered: a scan after the next change of signatures is due when the scanner names another database
# than the one that gave the last verdict. See revision 0001 for the search path.
FUNCTIONS = {
    "due_desk_work(batch integer, present text)": """
        RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT CASE WHEN a.desk_job IN ('rescan', 'rescan_later') THEN 'rescan_held' ELSE 'release_held' END,
                   a.tenant_id, a.workspace_id, a.id
            FROM assets a
            WHERE a.desk_job IS NOT NULL
              AND a.state = CASE a.desk_job WHEN 'tidy' THEN 'available' ELSE 'quarantined' END
              AND (a.desk_job <> 'rescan_later' OR (present IS NOT NULL AND a.scan_database IS DISTINCT FROM present))
              AND (a.due_at IS NULL OR a.due_at < now()) AND (a.claim_until IS NULL OR a.claim_until < now())
            ORDER BY a.due_at NULLS FIRST LIMIT batch
        $$""",
    "tenants_with_held()": """
        RETURNS TABLE (id uuid)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT DISTINCT a.tenant_id FROM assets a WHERE a.state = 'quarantined'
        $$""",
}


def upgrade() -> None:
    """Apply."""
    op.add_column("tenant_memberships", sa.Column("uploads_blocked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tenant_memberships", sa.Column("uploads_blocked_by", sa.Uuid(), nullable=True))
    op.add_column("tenant_memberships", sa.Column("uploads_blocked_reason", sa.Text(), nullable=True))
    op.add_column("assets", sa.Column("desk_job", sa.String(length=20), nullable=True))
    op.add_column("assets", sa.Column("desk_by", sa.Uuid(), nullable=True))
    op.add_column("assets", sa.Column("proposed_by", sa.Uuid(), nullable=True))
    op.add_column("assets", sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("assets", sa.Column("released_by", sa.Uuid(), nullable=True))
    op.add_column("assets", sa.Column("released_at", sa.DateTime(timezone=True), nullable=True))
    ordered = sa.text("desk_job IS NOT NULL")
    op.create_index("ix_assets_desk", "assets", ["due_at"], postgresql_where=ordered)
    op.create_index("ix_assets_same_hash", "assets", ["tenant_id", "sha256"])
    op.create_index("ix_assets_of_person", "assets", ["tenant_id", "created_by", "id"])
    create_tables()
    grant(context.config.attributes["application_role"])


def create_tables() -> None:
    """A tenant's rules, and who decided what."""
    op.create_table(
        "scan_policies",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        *(_choice(name, "hold", "release") for name in ("too_large", "encrypted", "macros", "unscannable")),
        sa.Column("scanner_required", sa.Boolean(), nullable=False),
        sa.Column("two_persons", sa.Boolean(), nullable=False),
        sa.Column("release_infected", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_scan_policies_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_scan_policies")),
    )
    op.create_table(
        "quarantine_decisions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        _choice("what", *DECISIONS),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_quarantine_decisions_tenant_id_workspace_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine_decisions")),
    )
    op.create_index("ix_quarantine_decisions_asset_id_id", "quarantine_decisions", ["asset_id", "id"])


def _choice(name: str, *values: str) -> sa.Column[str]:
    kind = sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=20)
    return sa.Column(name, kind, nullable=False)


def grant(application_role: str) -> None:
    """Rows of the tenant that was entered; decisions are added, never changed."""
    role = op.get_bind().dialect.identifier_preparer.quote(application_role)
    for table, rights in TENANT_TABLES.items():
        op.execute(f"GRANT {rights} ON {table} TO {role}")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_tenant ON {table} "
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
    for table in TENANT_TABLES:
        op.drop_table(table)
    for index in ("ix_assets_of_person", "ix_assets_same_hash", "ix_assets_desk"):
        op.drop_index(index, table_name="assets")
    for column in ("released_at", "released_by", "proposed_at", "proposed_by", "desk_by", "desk_job"):
        op.drop_column("assets", column)
    for column in ("uploads_blocked_reason", "uploads_blocked_by", "uploads_blocked_at"):
        op.drop_column("tenant_memberships", column)
