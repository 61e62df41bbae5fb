"""Tables, columns, indexes and functions get the names that the code uses; no row changes its meaning.

The processes of the release before must have stopped, as for 0019: they ask for the old names.

Revision: 0021
Revises: 0020
"""

from __future__ import annotations

from alembic import context, op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

COLUMNS = (
    ("daily_counts", "what", "kind"),
    ("emails", "once", "deduplication_key"),
    ("moves", "stretch_began", "run_started_at"),
    ("moves", "stretch_bytes", "run_started_bytes"),
    ("periodic_task_runs", "said", "message"),
    ("quarantine_decisions", "what", "kind"),
    ("quota_changes", "lines", "changes"),
    ("quota_requests", "wanted_bytes", "requested_bytes"),
    ("rescans", "why", "cause"),
    ("scan_policies", "wished", "proposed"),
    ("scan_policies", "wished_at", "proposed_at"),
    ("scan_policies", "wished_by", "proposed_by"),
    ("webhook_endpoints", "rests_until", "paused_until"),
    ("workspace_quotas", "moved_at", "changed_at"),
    ("workspace_usage", "took_ms", "duration_ms"),
)
CONSTRAINTS = (
    ("emails", "uq_emails_recipient_once", "uq_emails_recipient_deduplication_key"),
    ("moves", "ck_moves_elsewhere", "ck_moves_two_profiles"),
    ("quarantine_decisions", "ck_quarantine_decisions_what", "ck_quarantine_decisions_kind"),
    ("quota_requests", "ck_quota_requests_wanted", "ck_quota_requests_requested"),
)
INDEXES = (
    ("ix_assets_held", "ix_assets_quarantined"),
    ("ix_assets_of_person", "ix_assets_created_by"),
    ("ix_tasks_turns", "ix_tasks_lane"),
    ("uq_moves_under_way", "uq_moves_unfinished"),
    ("uq_storage_profiles_place", "uq_storage_profiles_location"),
)
RENAMED_FUNCTIONS = (
    ("forget_events(timestamptz, integer)", "delete_old_events"),
    ("forget_issued_links(timestamptz, integer)", "delete_old_links"),
    ("places_of(uuid)", "named_memberships_of"),
    ("quota_of_tenants()", "usage_by_tenant"),
    ("quota_top_workspaces(integer)", "largest_workspaces"),
    ("quota_top_people(integer)", "largest_people"),
    ("quota_parts()", "usage_by_part"),
    ("quota_days(date)", "usage_by_day"),
)

# The body of a function is a string: Postgres follows a renamed column in an index or a policy, not in there. See
# revision 0001 for the search path.
FUNCTIONS = {
    "due_measurements(batch integer)": """
        RETURNS TABLE (tenant_id uuid, workspace_id uuid)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT w.tenant_id, w.id
            FROM workspaces w
            JOIN workspace_quotas q ON q.workspace_id = w.id
            LEFT JOIN workspace_usage u ON u.workspace_id = w.id
            WHERE u.as_of IS NULL
               OR u.as_of < now() - greatest(CASE WHEN q.changed_at > u.as_of THEN interval '1 minute'
                                                  ELSE interval '1 hour' END,
                                             u.duration_ms * interval '100 milliseconds')
            ORDER BY u.as_of NULLS FIRST LIMIT batch
        $$""",
    "counts_since(first date)": """
        RETURNS TABLE (day date, kind text, label text, number bigint, bytes bigint)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT c.day, c.kind::text, c.label::text, sum(c.number)::bigint, sum(c.bytes)::bigint
            FROM daily_counts c WHERE c.day >= first GROUP BY 1, 2, 3
        $$""",
}

# From Postgres 18 on NOT NULL is a constraint with a name, and keeps that of the table and column it was made for.
NOT_NULL = """
    SELECT c.conrelid::regclass::text AS table_name, c.conname,
           c.conrelid::regclass::text || '_' || a.attname || '_not_null' AS standard
    FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    WHERE c.contype = 'n' AND c.connamespace = 'public'::regnamespace
      AND c.conname <> c.conrelid::regclass::text || '_' || a.attname || '_not_null'
"""


def upgrade() -> None:
    """Apply."""
    for table, before, name in COLUMNS:
        op.alter_column(table, before, new_column_name=name)
    for table, before, name in CONSTRAINTS:
        op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {before} TO {name}")
    for before, name in INDEXES:
        op.execute(f"ALTER INDEX {before} RENAME TO {name}")
    for table, before, name in op.get_bind().exec_driver_sql(NOT_NULL).all():
        op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {before} TO {name}")
    for before, name in RENAMED_FUNCTIONS:
        op.execute(f"ALTER FUNCTION {before} RENAME TO {name}")
    op.execute("DROP FUNCTION due_measures(integer)")
    op.execute("DROP FUNCTION counts_since(date)")
    role = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    for signature, body in FUNCTIONS.items():
        op.get_bind().exec_driver_sql(f"CREATE FUNCTION {signature} {body}")
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {role}")


def downgrade() -> None:
    """Not possible: the release before has other functions. Restore the backup that was made before the upgrade."""
    raise NotImplementedError("This revision can't be undone. Restore the backup that was made before the upgrade.")
