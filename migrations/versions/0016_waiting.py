"""What waits for one customer's store keeps nobody else waiting.

Revision: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

DUE_WORK = """
    CREATE OR REPLACE FUNCTION due_work(batch integer)
    RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        (SELECT 'expire', u.tenant_id, u.workspace_id, u.id FROM uploads u
         WHERE u.state IN ('created', 'uploading') AND u.expires_at < now()
         ORDER BY u.expires_at LIMIT batch)
        UNION ALL
        (SELECT 'clear_staging', u.tenant_id, u.workspace_id, u.id FROM uploads u
         WHERE u.cleared_at IS NULL AND u.state NOT IN ('created', 'uploading', 'verifying') {clearing}
         ORDER BY u.form_expires_at LIMIT batch)
        UNION ALL
        (SELECT 'take_in', a.tenant_id, a.workspace_id, a.id FROM assets a
         WHERE a.state = 'processing' AND a.due_at < now() AND (a.claim_until IS NULL OR a.claim_until < now())
         ORDER BY a.due_at LIMIT batch)
        UNION ALL
        (SELECT 'render_previews', a.tenant_id, a.workspace_id, a.id FROM assets a
         WHERE a.state = 'available' AND a.previews = 'pending' AND a.due_at < now()
           AND (a.claim_until IS NULL OR a.claim_until < now())
         ORDER BY a.due_at LIMIT batch)
        UNION ALL
        (SELECT 'rescan', a.tenant_id, a.workspace_id, a.id FROM assets a
         WHERE a.state = 'quarantined' AND a.due_at < now() AND (a.claim_until IS NULL OR a.claim_until < now())
           {held}
         ORDER BY a.due_at LIMIT batch)
        UNION ALL
        (SELECT 'purge', a.tenant_id, a.workspace_id, a.id FROM assets a
         WHERE a.purge_after < now() AND (a.due_at IS NULL OR a.due_at < now())
         ORDER BY a.purge_after LIMIT batch)
    $$"""
DUE_FOR_RESCAN = """
    CREATE OR REPLACE FUNCTION due_for_rescan(after uuid, until uuid, started timestamptz, batch integer)
    RETURNS TABLE (tenant_id uuid, workspace_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        SELECT a.tenant_id, a.workspace_id, a.id FROM assets a
        WHERE a.id > after AND a.id <= until AND a.state = 'available' AND a.scan_result = 'clean'
          AND (a.scanned_at IS NULL OR a.scanned_at < started) {reachable}
        ORDER BY a.id LIMIT batch
    $$"""
AFTERWARDS = "AND u.form_expires_at < now() - interval '5 minutes'"
# Before that, too, where nothing is charged for what a form that is still valid writes: it goes every now and then.
UNCHARGED = """
    AND (u.form_expires_at < now() - interval '5 minutes' OR u.state <> 'committed'
         OR NOT EXISTS (SELECT 1 FROM assets a WHERE a.id = u.asset_id))
    AND (u.clear_due_at IS NULL OR u.clear_due_at < now())"""
# A store that only a person can mend: nothing is asked of it until a test has passed.
MENDED = "AND NOT EXISTS (SELECT 1 FROM storage_profiles p WHERE p.id = {row}.profile_id AND p.health = 'unhealthy')"


def upgrade() -> None:
    """Apply."""
    op.add_column("uploads", sa.Column("clear_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("rescans", sa.Column("handed_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(DUE_WORK.format(clearing=f"{UNCHARGED} {MENDED.format(row='u')}", held="AND a.desk_job IS NULL"))
    op.execute(DUE_FOR_RESCAN.format(reachable=MENDED.format(row="a")))


def downgrade() -> None:
    """Undo."""
    op.execute(DUE_FOR_RESCAN.format(reachable=""))
    op.execute(DUE_WORK.format(clearing=AFTERWARDS, held=""))
    op.drop_column("rescans", "handed_at")
    op.drop_column("uploads", "clear_due_at")
