"""Two functions for the question every request asks: who is this, and what are they here?

Revision: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# ``resolve_member`` answers for a bearer token in one statement: no row when the token is not valid; the tenant's
# columns are null when its owner is no member of the workspace's tenant, or there is no such workspace.
# ``places_of`` lists where one person belongs, by name: what they may see of the switcher and of /v1/me.
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
                       JOIN tenant_memberships m ON m.tenant_id = t.id)
                   ON w.id = wanted AND m.user_id = u.id
            LEFT JOIN workspace_memberships wm ON wm.workspace_id = w.id AND wm.user_id = u.id
            WHERE k.token_hash = hash AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
        $$""",
    "places_of(person uuid)": """
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
            WHERE m.user_id = person
            ORDER BY t.name, t.id, w.name, w.id
        $$""",
}


def upgrade() -> None:
    """Apply."""
    role = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    for signature, body in FUNCTIONS.items():
        op.execute(sa.text(f"CREATE FUNCTION {signature} {body}".replace(":", r"\:")))
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {role}")


def downgrade() -> None:
    """Undo."""
    for signature in FUNCTIONS:
        op.execute(f"DROP FUNCTION {signature}")
