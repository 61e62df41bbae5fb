"""One table for background work, in the place of five ways to lease and postpone a row.

Revision: 0019
Revises: 0018

Every row that is not finished gets its task; then the columns go that said when it is due, and who works on it, and
with them the functions that repeated in SQL which states are unfinished. Workers of the release before must have
stopped: what they had leased is due when their lease would have ended.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
NIL = "'00000000-0000-0000-0000-000000000000'::uuid"
LARGE_BYTES = 256 * 1024**2

DROPPED = (
    "due_letters(integer)",
    "due_probes(integer)",
    "old_probes(integer)",
    "due_quota_warnings(integer)",
    "due_moves(integer)",
    "due_webhooks(integer)",
    "tell_webhooks(integer)",
    "forget_webhook_deliveries(timestamptz, integer)",
    "due_work(integer)",
    "due_rescans(integer)",
    "due_desk_work(integer, text)",
    "tenants_with_held()",
    "due_for_rescan(uuid, uuid, timestamptz, integer)",
    "count_for_rescan(timestamptz)",
    "standing_work()",
    "hasten()",
    "failures()",
    "failed_work(text, text, integer)",
)

# What operators may know across tenants: counts, ages and ids, no names and no content. See revision 0001 for the
# search path.
FUNCTIONS = {
    # What is fuller than so many percent, or was warned of: whether that is a threshold that was crossed is not known
    # here.
    "filled_counters(percent integer)": """
        RETURNS TABLE (tenant_id uuid, workspace_id uuid, limit_bytes bigint, used_bytes bigint,
                       reserved_bytes bigint, warned_percent smallint)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT s.* FROM (
                SELECT q.tenant_id, q.workspace_id, q.limit_bytes, q.used_bytes, q.reserved_bytes, q.warned_percent
                FROM workspace_quotas q
                UNION ALL
                SELECT t.tenant_id, NULL, CASE WHEN t.override_until > now() THEN t.override_bytes ELSE t.limit_bytes END,
                       t.used_bytes, t.reserved_bytes, t.warned_percent
                FROM tenant_quotas t) s
            WHERE s.warned_percent > 0
               OR (s.used_bytes::numeric + s.reserved_bytes) * 100 >= s.limit_bytes::numeric * percent
        $$""",
    "failures()": """
        RETURNS TABLE (kind text, code text, number bigint, day bigint, week bigint, oldest timestamptz)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT 'previews', coalesce(a.previews_code, ''), count(*),
                   count(*) FILTER (WHERE a.created_at > now() - interval '1 day'),
                   count(*) FILTER (WHERE a.created_at > now() - interval '7 days'), min(a.created_at)
            FROM assets a WHERE a.state = 'available' AND a.previews = 'failed' GROUP BY 2
            UNION ALL
            SELECT 'upload', coalesce(u.reason_code, ''), count(*),
                   count(*) FILTER (WHERE u.created_at > now() - interval '1 day'), count(*), min(u.created_at)
            FROM uploads u WHERE u.state = 'failed' AND u.created_at > now() - interval '7 days' GROUP BY 2
        $$""",
    "failed_previews(reason text, batch integer)": """
        RETURNS TABLE (tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT a.tenant_id, a.workspace_id, a.id FROM assets a
            WHERE a.state = 'available' AND a.previews = 'failed' AND coalesce(a.previews_code, '') = reason
            ORDER BY a.id LIMIT batch
        $$""",
}

# kind, lane, target, tenant, workspace, due, attempts, waiting_for, from where
TASKS = (
    (
        "take_in",
        f"CASE WHEN size_bytes > {LARGE_BYTES} THEN 'slow' ELSE 'intake' END",
        "id, tenant_id, workspace_id, coalesce(greatest(due_at, claim_until), now()), attempts, waiting_for",
        "assets WHERE state = 'processing'",
    ),
    (
        "render_previews",
        "'previews'",
        "id, tenant_id, workspace_id, coalesce(greatest(due_at, claim_until), now()), attempts, waiting_for",
        "assets WHERE state = 'available' AND previews = 'pending'",
    ),
    (
        "rescan",
        "'upkeep'",
        "id, tenant_id, workspace_id, NULL::timestamptz, 0, 'scanner'",
        "assets WHERE state = 'available' AND scan_result = 'not_scanned' AND scan_reason IN ('off', 'no_signatures')",
    ),
    (  # its original, and what was derived from it, may still lie in the store
        "rescan",
        "'upkeep'",
        "id, tenant_id, workspace_id, greatest(due_at, claim_until), attempts, NULL",
        "assets WHERE state = 'quarantined' AND due_at IS NOT NULL AND quarantine_order IS NULL",
    ),
    (
        "rescan_quarantined",
        "'upkeep'",
        """id, tenant_id, workspace_id,
           CASE quarantine_order WHEN 'rescan' THEN coalesce(greatest(due_at, claim_until), now()) END, attempts,
           CASE quarantine_order WHEN 'rescan_later' THEN 'signatures' END""",
        "assets WHERE state = 'quarantined' AND quarantine_order IN ('rescan', 'rescan_later')",
    ),
    (
        "release_quarantined",
        "'upkeep'",
        "id, tenant_id, workspace_id, coalesce(greatest(due_at, claim_until), now()), attempts, waiting_for",
        """assets WHERE (state = 'quarantined' AND quarantine_order IN ('release', 'release_infected'))
           OR (state = 'available' AND quarantine_order = 'clean_up')""",
    ),
    (
        "purge",
        "'upkeep'",
        "id, tenant_id, workspace_id, greatest(purge_after, due_at, claim_until), 0, NULL",
        "assets WHERE state IN ('deleted', 'quarantined') AND purge_after IS NOT NULL",
    ),
    (
        "expire",
        "'scheduler'",
        "id, tenant_id, workspace_id, expires_at, 0, NULL",
        "uploads WHERE state IN ('created', 'uploading')",
    ),
    (
        "clear_staging",
        "'upkeep'",
        "id, tenant_id, workspace_id, least(form_expires_at + interval '5 minutes', clear_due_at), 0, NULL",
        "uploads WHERE cleared_at IS NULL AND state NOT IN ('created', 'uploading', 'verifying')",
    ),
    (
        "probe",
        "'upkeep'",
        """id, tenant_id, workspace_id,
           CASE health WHEN 'probing' THEN now()
                       ELSE coalesce(probe_due_at, probed_at + interval '7 days', now()) END, 0, NULL""",
        "storage_profiles WHERE mode = 'byos_s3' AND retired_at IS NULL",
    ),
    (
        "move",
        "'slow'",
        "id, tenant_id, workspace_id, coalesce(greatest(due_at, claim_until), now()), 0, NULL",
        "moves WHERE state IN ('copying', 'clearing')",
    ),
    (
        "send_email",
        "'messages'",
        f"id, {NIL}, {NIL}, greatest(due_at, claim_until), 0, NULL",
        "emails WHERE state IN ('waiting', 'sending')",
    ),
    (
        "dispatch",
        "'scheduler'",
        f"id, tenant_id, {NIL}, now(), 0, NULL",
        "events WHERE NOT told",
    ),
    (
        "deliver",
        "'messages'",
        f"h.id, h.tenant_id, {NIL}, greatest(min(d.due_at), h.rests_until, h.claim_until), 0, NULL",
        """webhook_endpoints h JOIN webhook_deliveries d ON d.endpoint_id = h.id AND d.state = 'waiting'
           WHERE h.state <> 'disabled' GROUP BY h.id, h.tenant_id, h.rests_until, h.claim_until""",
    ),
)
NAMES = {"letters": "emails", "chore_runs": "periodic_task_runs", "scanner_proofs": "scanner_status"}
CONSTRAINTS = {
    "emails": ("pk_letters", "uq_letters_recipient_once", "ck_letters_state"),
    "periodic_task_runs": ("pk_chore_runs",),
    "scanner_status": ("pk_scanner_proofs",),
}


def upgrade() -> None:
    """Apply."""
    role = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    _create_tasks(role)
    _rename_tables()
    op.alter_column("assets", "desk_job", new_column_name="quarantine_order")
    op.alter_column("assets", "desk_by", new_column_name="ordered_by")
    op.execute("UPDATE assets SET quarantine_order = 'clean_up' WHERE quarantine_order = 'tidy'")
    for kind, lane, columns, source in TASKS:
        op.execute(
            "INSERT INTO tasks (id, created_at, kind, lane, target_id, tenant_id, workspace_id, due_at, attempts, waiting_for) "
            f"SELECT gen_random_uuid(), now(), '{kind}', {lane}, {columns} FROM {source}"
        )
    for signature in DROPPED:
        op.execute(f"DROP FUNCTION {signature}")
    for signature, body in FUNCTIONS.items():
        op.get_bind().exec_driver_sql(f"CREATE FUNCTION {signature} {body}")
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {role}")
    _drop_columns()
    _change_rescans()


def _rename_tables() -> None:
    for before, name in NAMES.items():
        op.rename_table(before, name)
        for constraint in CONSTRAINTS[name]:
            op.execute(f"ALTER TABLE {name} RENAME CONSTRAINT {constraint} TO {constraint.replace(before, name)}")
    op.execute("ALTER INDEX ix_letters_state RENAME TO ix_emails_state")


def _create_tasks(role: str) -> None:
    """No row-level security: ids and times alone, and whoever looks for work looks at every tenant's."""
    op.create_table(
        "tasks",
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.String(length=20), nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("waiting_for", sa.String(length=60), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("target_id", "kind", name=op.f("uq_tasks_target_id_kind")),
    )
    op.create_index("ix_tasks_turns", "tasks", ["lane", "kind", "tenant_id", "due_at"])
    op.create_index("ix_tasks_due_at", "tasks", ["due_at"])
    waiting, leased = sa.text("waiting_for IS NOT NULL"), sa.text("lease_token IS NOT NULL")
    op.create_index("ix_tasks_waiting_for", "tasks", ["waiting_for", "kind"], postgresql_where=waiting)
    op.create_index("ix_tasks_leased", "tasks", ["lane", "tenant_id"], postgresql_where=leased)
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON tasks TO {role}")


def _drop_columns() -> None:
    for index in ("ix_assets_due", "ix_assets_unscanned", "ix_assets_half_moved", "ix_assets_desk", "ix_assets_purge"):
        op.execute(f"DROP INDEX IF EXISTS {index}")
    op.drop_index("ix_uploads_uncleared", "uploads")
    for column in ("claim_token", "claim_until", "attempts", "due_at", "waiting_for"):
        op.drop_column("assets", column)
    op.drop_column("uploads", "clear_due_at")
    op.execute("DROP INDEX ix_letters_due")
    op.execute("DROP INDEX ix_moves_due")
    op.execute("DROP INDEX ix_events_untold")
    for table, columns in {
        "emails": ("due_at", "rung_at", "claim_token", "claim_until"),
        "events": ("told",),
        "moves": ("due_at", "claim_token", "claim_until"),
        "storage_profiles": ("probe_token", "probe_due_at"),
        "webhook_endpoints": ("claim_token", "claim_until", "rung_at"),
    }.items():
        for column in columns:
            op.drop_column(table, column)
    unscanned = sa.text("state = 'available' AND scan_result = 'not_scanned'")
    op.create_index("ix_assets_unscanned", "assets", ["scan_reason"], postgresql_where=unscanned)


def _change_rescans() -> None:
    """A scan of everything that is under way begins anew with what it has not looked at: it knows that by the files."""
    for column in ("until", "handed_to", "handed", "handed_at", "rung_at"):
        op.drop_column("rescans", column)
    op.add_column("rescans", sa.Column("cursor_tenant", sa.Uuid(), nullable=False, server_default=sa.text(NIL)))
    op.add_column("rescans", sa.Column("batch", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("rescans", sa.Column("batch_at", MOMENT, nullable=True))
    op.execute(f"UPDATE rescans SET cursor = {NIL}")
    op.alter_column("rescans", "cursor_tenant", server_default=None)
    op.alter_column("rescans", "batch", server_default=None)


def downgrade() -> None:
    """Not possible: the work that is under way would be forgotten. Restore the backup that was made before."""
    raise NotImplementedError("This revision can't be undone. Restore the backup that was made before the upgrade.")
