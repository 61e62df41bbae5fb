"""Tables, row-level security, and the few functions that look across tenants.

Revision: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


PLANS = {"free": 1 << 30, "basic": 10 << 30, "pro": 100 << 30, "enterprise": None}
GLOBAL_TABLES = ("users", "api_tokens", "tenants", "plans", "managed_stores")
TENANT_TABLES = (
    "tenant_memberships",
    "workspaces",
    "workspace_memberships",
    "storage_profiles",
    "workspace_quotas",
    "tenant_quotas",
    "quota_ledger",
    "libraries",
    "folders",
    "assets",
    "variants",
    "uploads",
    "issued_links",
    "audit_events",
)
# Rows of these tell what happened; the application may add, never change.
APPEND_ONLY = ("audit_events", "quota_ledger")

# Row-level security sees one tenant; these see all, and answer ids and roles only. ``pg_temp`` stands last in their
# search path: where a path does not name it, it comes first, and a role that may make temporary tables could put one of
# its own in a table's place and have it read with the owner's rights.
# ``due_at`` of a held file is set while its original and what was derived from it may still lie in the store; a file
# waits for a scanner under the reasons that a verdict gives: "off", "no_signatures".
FUNCTIONS = {
    "tenant_of_workspace(wanted uuid)": """
        RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT tenant_id FROM workspaces WHERE id = wanted
        $$""",
    "memberships_of(person uuid)": """
        RETURNS TABLE (tenant_id uuid, tenant_role text, workspace_id uuid, workspace_role text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT tenant_id, role::text, NULL::uuid, NULL::text FROM tenant_memberships WHERE user_id = person
            UNION ALL
            SELECT w.tenant_id, t.role::text, w.workspace_id, w.role::text
            FROM workspace_memberships w
            JOIN tenant_memberships t ON t.tenant_id = w.tenant_id AND t.user_id = w.user_id
            WHERE w.user_id = person
        $$""",
    "due_work(batch integer)": """
        RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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
             ORDER BY a.due_at LIMIT batch)
            UNION ALL
            (SELECT 'rescan', a.tenant_id, a.workspace_id, a.id FROM assets a
             WHERE a.state = 'quarantined' AND a.due_at < now() AND (a.claim_until IS NULL OR a.claim_until < now())
             ORDER BY a.due_at LIMIT batch)
            UNION ALL
            (SELECT 'purge', a.tenant_id, a.workspace_id, a.id FROM assets a
             WHERE a.purge_after < now() AND (a.due_at IS NULL OR a.due_at < now())
             ORDER BY a.purge_after LIMIT batch)
        $$""",
    "due_rescans(batch integer)": """
        RETURNS TABLE (job text, tenant_id uuid, workspace_id uuid, id uuid)
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT 'rescan', a.tenant_id, a.workspace_id, a.id FROM assets a
            WHERE a.state = 'available' AND a.scan_result = 'not_scanned'
              AND a.scan_reason IN ('off', 'no_signatures')
              AND (a.due_at IS NULL OR a.due_at < now()) AND (a.claim_until IS NULL OR a.claim_until < now())
            ORDER BY a.due_at NULLS FIRST LIMIT batch
        $$""",
    "forget_issued_links(before timestamptz, batch integer)": """
        RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            WITH gone AS (
                DELETE FROM issued_links WHERE id IN (
                    SELECT id FROM issued_links WHERE expires_at < before LIMIT batch FOR UPDATE SKIP LOCKED)
                RETURNING 1)
            SELECT count(*) FROM gone
        $$""",
}


def upgrade() -> None:
    """Apply."""
    create_tables()
    grant(context.config.attributes["application_role"])


def create_tables() -> None:
    """The tables as the models say; every one belongs to the migrating role."""
    op.create_table(
        "managed_stores",
        sa.Column("endpoint", sa.String(length=500), nullable=False),
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column("capabilities", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("probed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("endpoint", "bucket", name=op.f("pk_managed_stores")),
    )
    op.create_table(
        "plans",
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("limit_bytes", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_plans")),
    )
    op.create_table(
        "users",
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("is_operator", sa.Boolean(), nullable=False),
        sa.Column("fs_uniquifier", sa.String(length=64), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("uq_users_fs_uniquifier")),
    )
    op.create_index("uq_users_email_lower", "users", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "api_tokens",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("hint", sa.String(length=12), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
    )
    op.create_index(op.f("ix_api_tokens_user_id"), "api_tokens", ["user_id"], unique=False)
    op.create_table(
        "tenants",
        sa.Column("slug", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("plan", sa.String(length=20), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name=op.f("ck_tenants_slug")),
        sa.ForeignKeyConstraint(["plan"], ["plans.code"], name=op.f("fk_tenants_plan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("slug", name=op.f("uq_tenants_slug")),
    )
    op.create_table(
        "audit_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=True),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_audit_events_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_index("ix_audit_events_tenant_id_id", "audit_events", ["tenant_id", "id"], unique=False)
    op.create_table(
        "tenant_memberships",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "role",
            sa.Enum("admin", "member", name="role", native_enum=False, create_constraint=True, length=20),
            nullable=False,
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_tenant_memberships_tenant_id")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_tenant_memberships_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant_memberships")),
        sa.UniqueConstraint("tenant_id", "user_id", name=op.f("uq_tenant_memberships_tenant_id_user_id")),
    )
    op.create_index(op.f("ix_tenant_memberships_user_id"), "tenant_memberships", ["user_id"], unique=False)
    op.create_table(
        "tenant_quotas",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("limit_bytes", sa.BigInteger(), nullable=True),
        sa.Column("override_bytes", sa.BigInteger(), nullable=True),
        sa.Column("override_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reserved_bytes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("used_bytes >= 0 AND reserved_bytes >= 0", name=op.f("ck_tenant_quotas_counters")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_tenant_quotas_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenant_quotas")),
    )
    op.create_table(
        "workspaces",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name=op.f("ck_workspaces_slug")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_workspaces_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspaces")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_workspaces_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "slug", name=op.f("uq_workspaces_tenant_id_slug")),
    )
    op.create_table(
        "issued_links",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("variant", sa.String(length=20), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_issued_links_tenant_id_workspace_id"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_issued_links_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issued_links")),
    )
    op.create_index("ix_issued_links_asset_id", "issued_links", ["asset_id"], unique=False)
    op.create_index("ix_issued_links_expires_at", "issued_links", ["expires_at"], unique=False)
    op.create_table(
        "libraries",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_libraries_tenant_id_workspace_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_libraries")),
        sa.UniqueConstraint("workspace_id", "id", name=op.f("uq_libraries_workspace_id_id")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_libraries_workspace_id_name")),
    )
    op.create_table(
        "quota_ledger",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column(
            "entry",
            sa.Enum(
                "reserve",
                "settle",
                "release",
                "free",
                name="entry",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("used_delta", sa.BigInteger(), nullable=False),
        sa.Column("reserved_delta", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_quota_ledger_tenant_id_workspace_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_ledger")),
    )
    op.create_index("ix_quota_ledger_workspace_id_id", "quota_ledger", ["workspace_id", "id"], unique=False)
    op.create_table(
        "storage_profiles",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column(
            "mode",
            sa.Enum("managed_r2", "byos_s3", name="mode", native_enum=False, create_constraint=True, length=20),
            nullable=False,
        ),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_storage_profiles_tenant_id_workspace_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_profiles")),
        sa.UniqueConstraint("workspace_id", "id", name=op.f("uq_storage_profiles_workspace_id_id")),
    )
    op.create_index(
        "uq_storage_profiles_active",
        "storage_profiles",
        ["workspace_id"],
        unique=True,
        postgresql_where=sa.text("active"),
    )
    op.create_table(
        "workspace_memberships",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "role",
            sa.Enum("owner", "editor", "viewer", name="role", native_enum=False, create_constraint=True, length=20),
            nullable=False,
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["tenant_memberships.tenant_id", "tenant_memberships.user_id"],
            name=op.f("fk_workspace_memberships_tenant_id_user_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_workspace_memberships_tenant_id_workspace_id"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_workspace_memberships_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspace_memberships")),
        sa.UniqueConstraint("workspace_id", "user_id", name=op.f("uq_workspace_memberships_workspace_id_user_id")),
    )
    op.create_index(op.f("ix_workspace_memberships_user_id"), "workspace_memberships", ["user_id"], unique=False)
    op.create_table(
        "workspace_quotas",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("limit_bytes", sa.BigInteger(), nullable=True),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reserved_bytes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("limit_bytes >= 0", name=op.f("ck_workspace_quotas_limit")),
        sa.CheckConstraint("used_bytes >= 0 AND reserved_bytes >= 0", name=op.f("ck_workspace_quotas_counters")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_workspace_quotas_tenant_id_workspace_id"),
        ),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_workspace_quotas")),
    )
    op.create_table(
        "folders",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_folders_tenant_id_workspace_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "library_id"],
            ["libraries.workspace_id", "libraries.id"],
            name=op.f("fk_folders_workspace_id_library_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "parent_id"],
            ["folders.workspace_id", "folders.id"],
            name=op.f("fk_folders_workspace_id_parent_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_folders")),
        sa.UniqueConstraint(
            "library_id",
            "parent_id",
            "name",
            name=op.f("uq_folders_library_id_parent_id_name"),
            postgresql_nulls_not_distinct=True,
        ),
        sa.UniqueConstraint("workspace_id", "id", name=op.f("uq_folders_workspace_id_id")),
    )
    op.create_table(
        "assets",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("folder_id", sa.Uuid(), nullable=True),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("mime_type", sa.String(length=100), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("staged_etag", sa.String(length=100), nullable=False),
        sa.Column("object_key", sa.String(length=1024), nullable=True),
        sa.Column("charged_bytes", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "processing",
                "available",
                "quarantined",
                "failed",
                "deleted",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column(
            "state_before",
            sa.Enum(
                "processing",
                "available",
                "quarantined",
                "failed",
                "deleted",
                name="state_before",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=True,
        ),
        sa.Column("reason_code", sa.String(length=60), nullable=True),
        sa.Column("reason_detail", sa.Text(), nullable=True),
        sa.Column("waiting_for", sa.String(length=60), nullable=True),
        sa.Column(
            "scan_result",
            sa.Enum(
                "pending",
                "clean",
                "infected",
                "not_scanned",
                name="scan_result",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("scan_signature", sa.String(length=300), nullable=True),
        sa.Column("scan_engine", sa.String(length=100), nullable=True),
        sa.Column("scan_database", sa.String(length=100), nullable=True),
        sa.Column("scan_reason", sa.String(length=60), nullable=True),
        sa.Column("found_type", sa.String(length=100), nullable=True),
        sa.Column(
            "previews",
            sa.Enum(
                "none",
                "pending",
                "ready",
                "failed",
                name="previews",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("previews_code", sa.String(length=60), nullable=True),
        sa.Column("previews_detail", sa.Text(), nullable=True),
        sa.Column("placeholder", sa.String(length=7), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("last_opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("quarantined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by", sa.Uuid(), nullable=True),
        sa.Column("purge_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claim_token", sa.String(length=32), nullable=True),
        sa.Column("claim_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("charged_bytes >= 0", name=op.f("ck_assets_charged")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_assets_tenant_id_workspace_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "folder_id"],
            ["folders.workspace_id", "folders.id"],
            name=op.f("fk_assets_workspace_id_folder_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "library_id"],
            ["libraries.workspace_id", "libraries.id"],
            name=op.f("fk_assets_workspace_id_library_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "profile_id"],
            ["storage_profiles.workspace_id", "storage_profiles.id"],
            name=op.f("fk_assets_workspace_id_profile_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assets")),
        sa.UniqueConstraint("upload_id", name=op.f("uq_assets_upload_id")),
        sa.UniqueConstraint("workspace_id", "id", name=op.f("uq_assets_workspace_id_id")),
    )
    listed = sa.text("state <> 'deleted'")
    op.create_index("ix_assets_library", "assets", ["library_id", "id"], postgresql_where=listed)
    op.create_index("ix_assets_folder", "assets", ["folder_id", "id"], postgresql_where=listed)
    op.create_index(
        "ix_assets_half_moved",
        "assets",
        ["due_at"],
        postgresql_where=sa.text("state = 'quarantined' AND due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_assets_due",
        "assets",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'processing' OR (state = 'available' AND previews = 'pending')"),
    )
    op.create_index(
        "ix_assets_held", "assets", ["tenant_id", "id"], unique=False, postgresql_where=sa.text("state = 'quarantined'")
    )
    op.create_index(
        "ix_assets_kind",
        "assets",
        ["workspace_id", "kind", "id"],
        unique=False,
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.create_index(
        "ix_assets_listing",
        "assets",
        ["workspace_id", "id"],
        unique=False,
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.create_index(
        "ix_assets_purge", "assets", ["purge_after"], unique=False, postgresql_where=sa.text("purge_after IS NOT NULL")
    )
    op.create_index("ix_assets_sha256", "assets", ["workspace_id", "sha256"], unique=False)
    op.create_index("ix_assets_state", "assets", ["workspace_id", "state", "id"], unique=False)
    op.create_index(
        "ix_assets_trash", "assets", ["workspace_id", "id"], unique=False, postgresql_where=sa.text("state = 'deleted'")
    )
    op.create_index(
        "ix_assets_unscanned",
        "assets",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'available' AND scan_result = 'not_scanned'"),
    )
    op.create_table(
        "uploads",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("folder_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=True),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("declared_type", sa.String(length=200), nullable=False),
        sa.Column("signed_type", sa.String(length=100), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("reserved_bytes", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "created",
                "uploading",
                "verifying",
                "committed",
                "aborted",
                "expired",
                "failed",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("reason_code", sa.String(length=60), nullable=True),
        sa.Column("reason_detail", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.String(length=200), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("form_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("reserved_bytes >= 0", name=op.f("ck_uploads_reserved")),
        sa.CheckConstraint("size_bytes > 0", name=op.f("ck_uploads_size")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_uploads_tenant_id_workspace_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "folder_id"],
            ["folders.workspace_id", "folders.id"],
            name=op.f("fk_uploads_workspace_id_folder_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "library_id"],
            ["libraries.workspace_id", "libraries.id"],
            name=op.f("fk_uploads_workspace_id_library_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "profile_id"],
            ["storage_profiles.workspace_id", "storage_profiles.id"],
            name=op.f("fk_uploads_workspace_id_profile_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        sa.UniqueConstraint("workspace_id", "id", name=op.f("uq_uploads_workspace_id_id")),
        sa.UniqueConstraint(
            "workspace_id", "user_id", "idempotency_key", name=op.f("uq_uploads_workspace_id_user_id_idempotency_key")
        ),
    )
    op.create_index(
        "ix_uploads_expiry",
        "uploads",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('created', 'uploading')"),
    )
    op.create_index(
        "ix_uploads_uncleared",
        "uploads",
        ["form_expires_at"],
        unique=False,
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_table(
        "variants",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("object_key", sa.String(length=1024), nullable=False),
        sa.Column("mime_type", sa.String(length=100), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workspace_id"],
            ["workspaces.tenant_id", "workspaces.id"],
            name=op.f("fk_variants_tenant_id_workspace_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "asset_id"],
            ["assets.workspace_id", "assets.id"],
            name=op.f("fk_variants_workspace_id_asset_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_variants")),
        sa.UniqueConstraint("asset_id", "name", name=op.f("uq_variants_asset_id_name")),
    )
    plans = sa.table("plans", sa.column("code", sa.String), sa.column("limit_bytes", sa.BigInteger))
    op.bulk_insert(plans, [{"code": code, "limit_bytes": limit} for code, limit in PLANS.items()])


def grant(application_role: str) -> None:
    """What the application may do: rows of the tenant it has entered, and the functions above."""
    role = op.get_bind().dialect.identifier_preparer.quote(application_role)
    op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    op.execute(f"GRANT SELECT ON alembic_version TO {role}")  # the doctor compares it with this release
    for table in GLOBAL_TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}")
    for table in TENANT_TABLES:
        rights = "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
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
    op.drop_table("variants")
    op.drop_index("ix_uploads_uncleared", table_name="uploads", postgresql_where=sa.text("cleared_at IS NULL"))
    op.drop_index(
        "ix_uploads_expiry", table_name="uploads", postgresql_where=sa.text("state IN ('created', 'uploading')")
    )
    op.drop_table("uploads")
    op.drop_index(
        "ix_assets_unscanned",
        table_name="assets",
        postgresql_where=sa.text("state = 'available' AND scan_result = 'not_scanned'"),
    )
    op.drop_index("ix_assets_trash", table_name="assets", postgresql_where=sa.text("state = 'deleted'"))
    op.drop_index("ix_assets_state", table_name="assets")
    op.drop_index("ix_assets_sha256", table_name="assets")
    op.drop_index("ix_assets_purge", table_name="assets", postgresql_where=sa.text("purge_after IS NOT NULL"))
    op.drop_index("ix_assets_listing", table_name="assets", postgresql_where=sa.text("state <> 'deleted'"))
    op.drop_index("ix_assets_kind", table_name="assets", postgresql_where=sa.text("state <> 'deleted'"))
    op.drop_index("ix_assets_held", table_name="assets", postgresql_where=sa.text("state = 'quarantined'"))
    op.drop_index(
        "ix_assets_due",
        table_name="assets",
        postgresql_where=sa.text("state = 'processing' OR (state = 'available' AND previews = 'pending')"),
    )
    op.drop_table("assets")
    op.drop_table("folders")
    op.drop_table("workspace_quotas")
    op.drop_index(op.f("ix_workspace_memberships_user_id"), table_name="workspace_memberships")
    op.drop_table("workspace_memberships")
    op.drop_index("uq_storage_profiles_active", table_name="storage_profiles", postgresql_where=sa.text("active"))
    op.drop_table("storage_profiles")
    op.drop_index("ix_quota_ledger_workspace_id_id", table_name="quota_ledger")
    op.drop_table("quota_ledger")
    op.drop_table("libraries")
    op.drop_index("ix_issued_links_expires_at", table_name="issued_links")
    op.drop_index("ix_issued_links_asset_id", table_name="issued_links")
    op.drop_table("issued_links")
    op.drop_table("workspaces")
    op.drop_table("tenant_quotas")
    op.drop_index(op.f("ix_tenant_memberships_user_id"), table_name="tenant_memberships")
    op.drop_table("tenant_memberships")
    op.drop_index("ix_audit_events_tenant_id_id", table_name="audit_events")
    op.drop_table("audit_events")
    op.drop_table("tenants")
    op.drop_index(op.f("ix_api_tokens_user_id"), table_name="api_tokens")
    op.drop_table("api_tokens")
    op.drop_index("uq_users_email_lower", table_name="users")
    op.drop_table("users")
    op.drop_table("plans")
    op.drop_table("managed_stores")
