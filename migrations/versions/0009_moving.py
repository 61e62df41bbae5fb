"""Moves between storage profiles.

Revision: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
PROFILES = ["storage_profiles.workspace_id", "storage_profiles.id"]
WORKSPACES = ["workspaces.tenant_id", "workspaces.id"]

# What the sweep asks across tenants: ids only. See revision 0001 for the search path.
SIGNATURE = "due_moves(batch integer)"
BODY = """
    RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        SELECT 'move', m.tenant_id, m.workspace_id, m.id FROM moves m
        WHERE m.state IN ('copying', 'clearing') AND m.due_at <= now()
          AND (m.claim_until IS NULL OR m.claim_until < now())
        ORDER BY m.due_at LIMIT batch
    $$"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "moves",
        *(sa.Column(name, sa.Uuid(), nullable=False) for name in ("id", "tenant_id", "workspace_id")),
        *(sa.Column(name, sa.Uuid(), nullable=False) for name in ("source_id", "target_id", "started_by")),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("rolled_back", sa.Boolean(), nullable=False),
        sa.Column("bytes_per_second", sa.BigInteger(), nullable=True),
        sa.Column("total_files", sa.Integer(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), nullable=False),
        sa.Column("moved_files", sa.Integer(), nullable=False),
        sa.Column("moved_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stretch_began", MOMENT, nullable=False),
        sa.Column("stretch_bytes", sa.BigInteger(), nullable=False),
        sa.Column("waiting_for", sa.Text(), nullable=True),
        *(sa.Column(name, MOMENT, nullable=True) for name in ("copied_at", "finished_at", "due_at", "claim_until")),
        sa.Column("claim_token", sa.String(length=32), nullable=True),
        sa.CheckConstraint(_one_of("copying", "paused", "copied", "clearing", "done"), name=op.f("ck_moves_state")),
        sa.CheckConstraint("source_id <> target_id", name=op.f("ck_moves_elsewhere")),
        sa.CheckConstraint("bytes_per_second > 0", name=op.f("ck_moves_speed")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"], WORKSPACES, name=op.f("fk_moves_tenant_id_workspace_id_workspaces")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "source_id"], PROFILES, name=op.f("fk_moves_workspace_id_source_id_storage_profiles")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "target_id"], PROFILES, name=op.f("fk_moves_workspace_id_target_id_storage_profiles")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_moves")),
        sa.UniqueConstraint("workspace_id", "id", name=op.f("uq_moves_workspace_id_id")),
    )
    under_way = {"unique": True, "postgresql_where": sa.text("state <> 'done'")}
    op.create_index("uq_moves_under_way", "moves", ["workspace_id"], **under_way)
    op.create_index("ix_moves_due", "moves", ["due_at"], postgresql_where=sa.text("state IN ('copying', 'clearing')"))
    op.create_table(
        "move_items",
        *(sa.Column(name, sa.Uuid(), nullable=False) for name in ("move_id", "asset_id", "tenant_id", "workspace_id")),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("part_key", sa.String(length=1024), nullable=True),
        sa.Column("part_upload_id", sa.Text(), nullable=True),
        sa.CheckConstraint(_one_of("copying", "moved", "failed"), name=op.f("ck_move_items_state")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"], WORKSPACES, name=op.f("fk_move_items_tenant_id_workspace_id_workspaces")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "move_id"],
            ["moves.workspace_id", "moves.id"],
            name=op.f("fk_move_items_workspace_id_move_id_moves"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("move_id", "asset_id", name=op.f("pk_move_items")),
    )
    op.create_index("ix_assets_profile", "assets", ["workspace_id", "profile_id", "id"])
    role = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    for table in ("moves", "move_items"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_tenant ON {table} "
            "USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)"
        )
    op.get_bind().exec_driver_sql(f"CREATE FUNCTION {SIGNATURE} {BODY}")
    op.execute(f"REVOKE ALL ON FUNCTION {SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO {role}")


def _one_of(*states: str) -> str:
    return f"state IN ({', '.join(repr(state) for state in states)})"


def downgrade() -> None:
    """Undo."""
    op.execute(f"DROP FUNCTION {SIGNATURE}")
    op.drop_index("ix_assets_profile", table_name="assets")
    op.drop_table("move_items")
    op.drop_table("moves")
