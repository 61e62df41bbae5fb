"""What is due, once more: files that were taken in while the scanner was off, and moves to quarantine cut short.

Revision: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# A file waits for a scanner under the reasons that a verdict gives: "off", "no_signatures".
DUE_RESCANS = """
    CREATE OR REPLACE FUNCTION due_rescans(batch integer)
        RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
            SELECT 'rescan', a.tenant_id, a.workspace_id, a.id FROM assets a
            WHERE a.state = 'available' AND a.scan_result = 'not_scanned'
              AND a.scan_reason IN ({reasons})
              AND (a.due_at IS NULL OR a.due_at < now()) AND (a.claim_until IS NULL OR a.claim_until < now())
            ORDER BY a.due_at NULLS FIRST LIMIT batch
        $$"""
# ``due_at`` of a held file is set while its original and what was derived from it may still lie in the store.
DUE_WORK = """
    CREATE OR REPLACE FUNCTION due_work(batch integer)
        RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
            (SELECT 'expire', u.tenant_id, u.workspace_id, u.id FROM uploads u
             WHERE u.state IN ('created', 'uploading') AND u.expires_at < now()
             ORDER BY u.expires_at LIMIT batch)
            UNION ALL
            (SELECT 'clear_staging', u.tenant_id, u.workspace_id, u.id FROM uploads u
             WHERE u.cleared_at IS NULL AND u.form_expires_at < now() - interval '5 minutes'
               AND u.state NOT IN ('created', 'uploading', 'verifying')
             ORDER BY u.form_expires_at LIMIT batch)
            UNION ALL
            (SELECT 'take_in', a.tenant_id, a.workspace_id, a.id FROM assets a
             WHERE a.state = 'processing' AND a.due_at < now() AND (a.claim_until IS NULL OR a.claim_until < now())
             ORDER BY a.due_at LIMIT batch)
            UNION ALL
            (SELECT 'render_previews', a.tenant_id, a.workspace_id, a.id FROM assets a
             WHERE a.state = 'available' AND a.previews = 'pending' AND a.due_at < now()
               AND (a.claim_until IS NULL OR a.claim_until < now())
             ORDER BY a.due_at LIMIT batch){held}
            UNION ALL
            (SELECT 'purge', a.tenant_id, a.workspace_id, a.id FROM assets a
             WHERE a.purge_after < now() AND (a.due_at IS NULL OR a.due_at < now())
             ORDER BY a.purge_after LIMIT batch)
        $$"""
HELD = """
            UNION ALL
            (SELECT 'rescan', a.tenant_id, a.workspace_id, a.id FROM assets a
             WHERE a.state = 'quarantined' AND a.due_at < now() AND (a.claim_until IS NULL OR a.claim_until < now())
             ORDER BY a.due_at LIMIT batch)"""


def upgrade() -> None:
    """Apply."""
    _replace(DUE_RESCANS.format(reasons="'off', 'no_signatures'"), DUE_WORK.format(held=HELD))
    op.create_index(
        "ix_assets_half_moved",
        "assets",
        ["due_at"],
        postgresql_where=sa.text("state = 'quarantined' AND due_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_assets_half_moved", table_name="assets")
    _replace(DUE_RESCANS.format(reasons="'scanner_off', 'no_signatures'"), DUE_WORK.format(held=""))


def _replace(*functions: str) -> None:
    for function in functions:
        op.get_bind().exec_driver_sql(function)
