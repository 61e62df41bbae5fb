"""The statements of ``portal.admin.load_data``. Times and ids agree: an id is the UUIDv7 of its row's creation."""

WRITTEN = (
    "users",
    "tenant_memberships",
    "workspaces",
    "workspace_memberships",
    "assets",
    "variants",
    "uploads",
    "quota_ledger",
    "workspace_quotas",
    "usage_snapshots",
    "audit_events",
)

SEED = "SELECT setseed(0.42)"

_NAMES = """
    (ARRAY['Ada','Ben','Cleo','Dan','Eva','Finn','Gina','Hugo','Ida','Jon','Kim','Lea','Max','Nora','Otto','Pia',
           'Quinn','Rosa','Sam','Tess','Uli','Vera','Will','Xenia','Yara','Zoe'])[1 + n % 26] || ' ' ||
    (ARRAY['Abel','Brandt','Castro','Dietrich','Engel','Fischer','Gomez','Haas','Ito','Jansen','Keller','Lang',
           'Moreau','Novak','Okafor','Peters','Quist','Rossi','Silva','Turner','Ueda','Vogel','Weber','Xu','Young',
           'Zimmer','Ahmed','Berg','Costa'])[1 + n / 26 % 29]
"""

# Times are of when the tenant began.
PEOPLE = (
    f"""
    CREATE TEMP TABLE load_people ON COMMIT DROP AS
    SELECT n, uuidv7(:days * interval '-1 day') AS id, {_NAMES} AS name,
           'person-' || n || '@' || :slug || '.example' AS email
    FROM generate_series(1, :people) n
    """,  # noqa: S608  constants of our own
    """
    INSERT INTO users (id, created_at, email, name, active, is_operator, fs_uniquifier)
    SELECT id, now() - :days * interval '1 day', email, name, true, false, replace(gen_random_uuid()::text, '-', '')
           || replace(gen_random_uuid()::text, '-', '') FROM load_people
    """,
    """
    INSERT INTO tenant_memberships (id, created_at, tenant_id, user_id, role)
    SELECT uuidv7(), now(), :tenant, id, CASE WHEN n <= 3 THEN 'admin' ELSE 'member' END FROM load_people
    """,
)

# Person n is in workspace 1 + n * 7919 % all, every third in one more. ``people`` are those who upload there.
WORKSPACES = (
    """
    CREATE TEMP TABLE load_workspaces ON COMMIT DROP AS
    SELECT row_number() OVER (ORDER BY w.id) AS n, w.id AS workspace_id, w.tenant_id, l.id AS library_id,
           p.id AS profile_id, CAST(NULL AS uuid[]) AS people
    FROM workspaces w JOIN libraries l ON l.workspace_id = w.id JOIN storage_profiles p ON p.workspace_id = w.id
    WHERE w.tenant_id = :tenant
    """,
    """
    INSERT INTO workspace_memberships (id, created_at, tenant_id, workspace_id, user_id, role)
    SELECT DISTINCT ON (p.workspace_id, u.user_id) uuidv7(), now(), :tenant, p.workspace_id, u.user_id,
           CASE WHEN u.n % 5 = 0 THEN 'viewer' ELSE 'editor' END
    FROM (SELECT user_id, row_number() OVER (ORDER BY user_id) AS n FROM tenant_memberships
          WHERE tenant_id = :tenant) u
    JOIN load_workspaces p ON p.n = 1 + u.n * 7919 % :workspaces OR u.n % 3 = 0 AND p.n = 1 + u.n * 104729 % :workspaces
    ON CONFLICT (workspace_id, user_id) DO NOTHING
    """,
    """
    UPDATE load_workspaces p SET people = m.people
    FROM (SELECT workspace_id, array_agg(user_id ORDER BY id) AS people FROM workspace_memberships
          WHERE tenant_id = :tenant AND role <> 'viewer' GROUP BY workspace_id) m
    WHERE m.workspace_id = p.workspace_id
    """,
    "ANALYZE load_workspaces",
)

# The files n to m. The square of a random number makes the first workspaces the largest. In each, one file in twenty is
# one of 50 that were uploaded again and again.
CLEAR = "DROP TABLE IF EXISTS load_batch"
BATCH = """
    CREATE TEMP TABLE load_batch ON COMMIT DROP AS
    WITH chances AS MATERIALIZED (
        SELECT n, random() AS r1, random() AS r2, random() AS r3, random() AS r4, random() AS r5, random() AS r6,
               (:days * (1 - n::float / CAST(:of AS integer))) * interval '1 day' AS ago
        FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) n
    ), placed AS (
        SELECT c.*, 1 + floor((SELECT count(*) FROM load_workspaces) * r1 * r1)::int AS place, r5 < 0.05 AS again,
               CASE WHEN :photos OR r2 < 0.60 THEN 1 WHEN r2 < 0.85 THEN 2 WHEN r2 < 0.90 THEN 3 WHEN r2 < 0.96 THEN 4
                    ELSE 5 END AS k,
               CASE WHEN :photos OR r4 < 0.962 THEN 'available' WHEN r4 < 0.990 THEN 'deleted'
                    WHEN r4 < 0.992 THEN 'quarantined' ELSE 'failed' END AS state
        FROM chances c
    )
    SELECT p.workspace_id, p.tenant_id, p.library_id, p.profile_id,
           p.people[1 + floor(c.r6 * cardinality(p.people))::int] AS person,
           c.n, c.place, c.k, c.state, c.again, c.r3, c.r6, c.ago, uuidv7(-c.ago) AS id,
           uuidv7(-c.ago - interval '1 minute') AS upload_id, now() - c.ago AS made_at,
           CASE WHEN c.again THEN 1 << (21 + c.n % 50 % 3)
                ELSE ((ARRAY[300000, 20000, 20000000, 1000000, 5000])[c.k]
                      * power((ARRAY[40, 1000, 25, 100, 100])[c.k], c.r3))::bigint END AS bytes,
           (ARRAY['photo','document','video','archive','vector'])[c.k] AS kind,
           (ARRAY['image/jpeg','application/pdf','video/mp4','application/zip','image/svg+xml'])[c.k] AS mime,
           (ARRAY['IMG_','Report ','Take ','Handover ','Logo '])[c.k] || c.n
               || (ARRAY['.jpg','.pdf','.mp4','.zip','.svg'])[c.k] AS name
    FROM placed c JOIN load_workspaces p ON p.n = c.place
"""

ASSETS = """
    INSERT INTO assets (id, created_at, tenant_id, workspace_id, library_id, profile_id, upload_id, created_by,
        file_name, kind, mime_type, size_bytes, sha256, staged_etag, object_key, charged_bytes, state, state_before,
        reason_code, reason_detail, scan_result, scan_signature, scan_engine, scan_database, scan_reason, found_type,
        previews, placeholder, width, height, facts, last_opened_at, quarantined_at, deleted_at, deleted_by,
        purge_after)
    SELECT b.id, made_at, tenant_id, workspace_id, library_id, profile_id, upload_id, person, name, kind, mime, bytes,
        encode(sha256(convert_to(place || CASE WHEN again THEN ':' || n % 50 ELSE '-' || n END, 'UTF8')), 'hex'),
        'etag',
        CASE b.state WHEN 'failed' THEN NULL
            WHEN 'quarantined' THEN 'workspaces/' || workspace_id || '/quarantine/' || b.id || '/' || name
            ELSE 'workspaces/' || workspace_id || '/assets/' || b.id || '/original/5eed-' || name END,
        CASE b.state WHEN 'failed' THEN 0 ELSE bytes END, b.state,
        CASE b.state WHEN 'deleted' THEN 'available' END,
        CASE b.state WHEN 'failed' THEN 'content_mismatch'
            WHEN 'quarantined' THEN CASE WHEN n % 4 = 0 THEN 'encrypted' ELSE 'infected' END END,
        CASE b.state WHEN 'failed' THEN 'Not what its name says.'
            WHEN 'quarantined' THEN 'This file is in quarantine.' END,
        CASE WHEN b.state = 'quarantined' AND n % 4 <> 0 THEN 'infected' WHEN b.state = 'quarantined' THEN 'not_scanned'
            ELSE 'clean' END,
        CASE WHEN b.state = 'quarantined' AND n % 4 <> 0 THEN 'Win.Test.Load-' || n % 12 END, 'ClamAV 1.4.6',
        'ClamAV 1.4.6/27817/Mon Nov 23 10:24:00 2026',
        CASE WHEN b.state = 'quarantined' AND n % 4 = 0 THEN 'encrypted' END, mime,
        CASE WHEN k = 1 AND b.state = 'available' THEN 'ready' ELSE 'none' END,
        CASE k WHEN 1 THEN '#' || lpad(to_hex((r3 * 16777215)::int), 6, '0') END,
        CASE k WHEN 1 THEN 4000 END, CASE k WHEN 1 THEN 3000 END,
        CASE k WHEN 1 THEN '{"format": "JPEG", "width": 4000, "height": 3000}'::jsonb ELSE '{}'::jsonb END,
        CASE WHEN r6 < 0.3 THEN now() - ago * r3 END,
        CASE b.state WHEN 'quarantined' THEN now() - ago * 0.0575 END,
        CASE b.state WHEN 'deleted' THEN now() - ago * 0.24 END, CASE b.state WHEN 'deleted' THEN person END,
        CASE b.state WHEN 'deleted' THEN now() - ago * 0.24 + interval '30 days'
            WHEN 'quarantined' THEN now() - ago * 0.0575 + interval '7 days' END
    FROM load_batch b
"""

# What the pipeline writes beside the files of the last batch: the upload where somebody may still ask for it, each
# byte's way through the ledger, and who did it.
LEDGER = (
    """
    INSERT INTO uploads (id, created_at, tenant_id, workspace_id, profile_id, library_id, user_id, asset_id, file_name,
        kind, declared_type, signed_type, size_bytes, method, reserved_bytes, state, reason_code, expires_at,
        form_expires_at, cleared_at)
    SELECT upload_id, made_at - interval '1 minute', tenant_id, workspace_id, profile_id, library_id, person, id, name,
        kind, mime, mime, bytes, 'POST', 0, CASE state WHEN 'failed' THEN 'failed' ELSE 'committed' END,
        CASE state WHEN 'failed' THEN 'content_mismatch' END, made_at + interval '1 hour', made_at + interval '1 hour',
        made_at + interval '2 hours'
    FROM load_batch WHERE state = 'quarantined' OR ago < interval '14 days'
    """,
    """
    INSERT INTO quota_ledger (id, created_at, tenant_id, workspace_id, entry, subject_id, used_delta, reserved_delta)
    SELECT uuidv7(-b.ago - e.before), b.made_at - e.before, b.tenant_id, b.workspace_id, e.entry, b.upload_id,
           b.bytes * e.used, b.bytes * e.reserved
    FROM load_batch b
    CROSS JOIN (VALUES ('reserve', 0, 1, interval '1 minute'), ('settle', 1, -1, interval '0'))
        e (entry, used, reserved, before)
    WHERE b.state <> 'failed'
    """,
    """
    INSERT INTO audit_events (id, created_at, tenant_id, workspace_id, actor_id, action, target_id, facts)
    SELECT uuidv7(-ago), made_at, tenant_id, workspace_id, person, 'upload.commit', upload_id, '{}'::jsonb
    FROM load_batch
    UNION ALL
    SELECT uuidv7(-ago), made_at, tenant_id, workspace_id, NULL, 'asset.' || state, id, '{}'
    FROM load_batch WHERE state IN ('quarantined', 'failed')
    """,
)

_DAILY = """
    SELECT workspace_id, made_on AS day, sum(bytes) AS bytes, sum(files) AS files
    FROM (
        SELECT workspace_id, CAST(created_at AT TIME ZONE 'UTC' AS date) AS made_on, sum(charged_bytes) AS bytes,
               count(*) AS files
        FROM assets WHERE tenant_id = :tenant AND charged_bytes > 0 GROUP BY 1, 2
        UNION ALL
        SELECT w.id, CAST(now() AT TIME ZONE 'UTC' AS date) - d, 0, 0
        FROM workspaces w CROSS JOIN generate_series(0, :days) d WHERE w.tenant_id = :tenant
    ) each GROUP BY 1, 2
"""

# A workspace in five has no limit of its own, the others are 35 to 104 % full; all together have a limit for a while.
COUNTERS = (
    """
    INSERT INTO tasks (id, created_at, kind, lane, target_id, tenant_id, workspace_id, due_at, attempts)
    SELECT gen_random_uuid(), now(), 'purge', 'upkeep', id, tenant_id, workspace_id, purge_after, 0 FROM assets
    WHERE tenant_id = :tenant AND purge_after IS NOT NULL ON CONFLICT DO NOTHING
    """,
    """
    UPDATE workspace_quotas q SET used_bytes = a.bytes, used_files = a.files,
        limit_bytes = CASE p.n % 5 WHEN 0 THEN NULL ELSE (a.bytes / (0.35 + 0.03 * (p.n % 24)))::bigint END
    FROM (SELECT workspace_id, sum(charged_bytes) AS bytes, count(*) AS files FROM assets
          WHERE tenant_id = :tenant AND charged_bytes > 0 GROUP BY workspace_id) a
    JOIN load_workspaces p ON p.workspace_id = a.workspace_id
    WHERE q.workspace_id = a.workspace_id
    """,
    """
    UPDATE tenant_quotas t SET used_bytes = q.bytes, used_files = q.files, override_bytes = (q.bytes * 1.12)::bigint,
        override_until = now() + interval '60 days'
    FROM (SELECT sum(used_bytes) AS bytes, sum(used_files) AS files FROM workspace_quotas WHERE tenant_id = :tenant) q
    WHERE t.tenant_id = :tenant
    """,
    f"""
    INSERT INTO usage_snapshots (workspace_id, day, tenant_id, used_bytes, used_files)
    SELECT workspace_id, day, :tenant, sum(bytes) OVER so_far, sum(files) OVER so_far FROM ({_DAILY}) daily
    WINDOW so_far AS (PARTITION BY workspace_id ORDER BY day)
    ON CONFLICT (workspace_id, day) DO UPDATE SET used_bytes = excluded.used_bytes, used_files = excluded.used_files
    """,  # noqa: S608  constants of our own
    """
    INSERT INTO tenant_snapshots (tenant_id, day, used_bytes, used_files, limit_bytes)
    SELECT tenant_id, day, sum(used_bytes), sum(used_files), NULL
    FROM usage_snapshots WHERE tenant_id = :tenant GROUP BY tenant_id, day
    ON CONFLICT (tenant_id, day) DO UPDATE SET used_bytes = excluded.used_bytes, used_files = excluded.used_files
    """,
)

VARIANTS = """
    INSERT INTO variants (id, created_at, tenant_id, workspace_id, asset_id, name, object_key, mime_type, size_bytes,
        width, height)
    SELECT gen_random_uuid(), now(), a.tenant_id, a.workspace_id, a.id, v.name,
        'workspaces/' || a.workspace_id || '/assets/' || a.id || '/' || v.name || '-' || md5(a.id::text) || '.webp',
        'image/webp', v.longest * 10, v.longest, v.longest * 3 / 4
    FROM (SELECT * FROM assets WHERE tenant_id = :tenant AND previews = 'ready' ORDER BY id DESC LIMIT :newest) a
    CROSS JOIN (VALUES ('thumb', 150), ('small', 300), ('medium', 600), ('large', 1200), ('web', 1920))
        v (name, longest)
    ON CONFLICT (asset_id, name) DO NOTHING
"""
