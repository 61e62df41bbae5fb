"""Memberships can be disabled; invitations.

A disabled membership is none for the two functions that every request asks. ``invitation_of`` answers the tenant of an
invitation's token: whoever follows a link has entered no tenant yet.

Revision: 0024
Revises: 0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
# See revision 0001 for the search path, and 0003 for the first two.
FUNCTIONS = {
    "resolve_member(hash text, wanted uuid)": """
        RETURNS TABLE (
            token_id uuid, token_used_at timestamptz, user_id uuid, email text, name text, is_operator boolean,
            tenant_id uuid, tenant_slug text, tenant_name text, tenant_role text,
            workspace_id uuid, workspace_slug text, workspace_name text, workspace_role text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT k.id, k.last_used_at, u.id, u.email, u.name, u.is_operator,
                   t.id, t.slug, t.name, m.role, w.id, w.slug, w.name, wm.role
            FROM api_tokens k
            JOIN users u ON u.id = k.user_id AND u.active
            LEFT JOIN (workspaces w
                       JOIN tenants t ON t.id = w.tenant_id
                       JOIN tenant_memberships m ON m.tenant_id = t.id AND m.disabled_at IS NULL)
                   ON w.id = wanted AND m.user_id = u.id
            LEFT JOIN workspace_memberships wm ON wm.workspace_id = w.id AND wm.user_id = u.id
            WHERE k.token_hash = hash AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
        $$""",
    "named_memberships_of(person uuid)": """
        RETURNS TABLE (
            tenant_id uuid, tenant_slug text, tenant_name text, tenant_role text,
            workspace_id uuid, workspace_slug text, workspace_name text, workspace_role text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT t.id, t.slug, t.name, m.role, w.id, w.slug, w.name, w.role
            FROM tenant_memberships m
            JOIN tenants t ON t.id = m.tenant_id
            LEFT JOIN (SELECT w.id, w.slug, w.name, w.tenant_id, wm.user_id, wm.role
                       FROM workspace_memberships wm JOIN workspaces w ON w.id = wm.workspace_id) w
                   ON w.tenant_id = t.id AND w.user_id = m.user_id
            WHERE m.user_id = person AND m.disabled_at IS NULL
            ORDER BY t.name, t.id, w.name, w.id
        $$""",
}
INVITATION_OF = """
    CREATE FUNCTION invitation_of(hash text)
    RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        SELECT tenant_id FROM invitations WHERE token_hash = hash
    $$"""


def upgrade() -> None:
    """Apply."""
    op.add_column("tenant_memberships", sa.Column("disabled_at", MOMENT, nullable=True))
    op.add_column("tenant_memberships", sa.Column("disabled_by", sa.Uuid(), nullable=True))
    op.create_table(
        "invitations",
        *(sa.Column(name, sa.Uuid(), nullable=False) for name in ("tenant_id", "workspace_id")),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column("invited_by", sa.Uuid(), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        *(sa.Column(name, MOMENT, nullable=True) for name in ("sent_at", "answered_at")),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("role IN ('owner', 'editor', 'viewer')", name=op.f("ck_invitations_role")),
        sa.CheckConstraint("state IN ('pending', 'accepted', 'revoked')", name=op.f("ck_invitations_state")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_invitations_tenant_id_workspace_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    pending = sa.text("state = 'pending'")
    op.create_index(
        "uq_invitations_pending", "invitations", ["workspace_id", "email"], unique=True, postgresql_where=pending
    )
    op.create_index("ix_invitations_workspace_id", "invitations", ["workspace_id", "id"])
    role = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON invitations TO {role}")
    op.execute("ALTER TABLE invitations ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_tenant ON invitations "
        "USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)"
    )
    for signature, body in FUNCTIONS.items():  # their rights stay as they are
        op.get_bind().exec_driver_sql(f"CREATE OR REPLACE FUNCTION {signature} {body}")
    op.get_bind().exec_driver_sql(INVITATION_OF)
    op.execute("REVOKE ALL ON FUNCTION invitation_of(text) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION invitation_of(text) TO {role}")


def downgrade() -> None:
    """Not possible: whoever was disabled would be let in again. Restore the backup from before the upgrade."""
    raise NotImplementedError("This revision can't be undone. Restore the backup that was made before the upgrade.")
