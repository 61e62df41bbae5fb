"""Events and letters.

Revision: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LETTER_STATES = ("waiting", "sending", "sent", "given_up", "kept")

# ``due_letters`` answers as ``due_work`` does; letters belong to no tenant, so the places are the nil UUID.
# The application may not change or delete events: what is old is forgotten by a function that can do nothing else.
FUNCTIONS = {
    "due_letters(batch integer)": """
        RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT 'send_letter', '00000000-0000-0000-0000-000000000000'::uuid,
                   '00000000-0000-0000-0000-000000000000'::uuid, l.id
            FROM letters l
            WHERE l.state IN ('waiting', 'sending') AND l.due_at <= now() AND l.rung_at < now() - interval '30 seconds'
              AND (l.claim_until IS NULL OR l.claim_until < now())
            ORDER BY l.due_at LIMIT batch
        $$""",
    "forget_events(before timestamptz, batch integer)": """
        RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            WITH gone AS (
                DELETE FROM events WHERE id IN (
                    SELECT id FROM events WHERE time < before ORDER BY time LIMIT batch FOR UPDATE SKIP LOCKED)
                RETURNING 1)
            SELECT count(*) FROM gone
        $$""",
}


def upgrade() -> None:
    """Apply."""
    create_tables()
    role = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["application_role"])
    op.execute(f"GRANT SELECT, INSERT ON events TO {role}")
    op.execute("ALTER TABLE events ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_tenant ON events "
        "USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON letters TO {role}")
    for signature, body in FUNCTIONS.items():
        op.execute(sa.text(f"CREATE FUNCTION {signature} {body}".replace(":", r"\:")))
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {role}")


def create_tables() -> None:
    """As the models say."""
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(length=60), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_events_tenant_id")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_events_tenant_id_workspace_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_tenant_id_id", "events", ["tenant_id", "id"])
    op.create_index("ix_events_time", "events", ["time"])
    op.create_table(
        "letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("template", sa.String(length=40), nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("recipient_name", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("once", sa.String(length=200), nullable=True),
        sa.Column(
            "state",
            sa.Enum(*LETTER_STATES, name="state", native_enum=False, create_constraint=True, length=20),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("give_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claim_token", sa.String(length=16), nullable=True),
        sa.Column("claim_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("handed_over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letters")),
        sa.UniqueConstraint("recipient", "once", name=op.f("uq_letters_recipient_once")),
    )
    op.create_index(
        "ix_letters_due", "letters", ["due_at"], postgresql_where=sa.text("state IN ('waiting', 'sending')")
    )
    op.create_index("ix_letters_state", "letters", ["state", "id"])
    op.create_index("ix_audit_events_actor", "audit_events", ["tenant_id", "actor_id", "id"])
    op.create_index("ix_audit_events_action", "audit_events", ["tenant_id", "action", "id"])


def downgrade() -> None:
    """Undo."""
    for signature in FUNCTIONS:
        op.execute(f"DROP FUNCTION {signature}")
    op.drop_index("ix_audit_events_action", table_name="audit_events")
    op.drop_index("ix_audit_events_actor", table_name="audit_events")
    op.drop_table("letters")
    op.drop_table("events")
