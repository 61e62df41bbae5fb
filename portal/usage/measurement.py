"""What a workspace holds, counted by part, kind, person and folder: never by a page, now and then by a periodic task.

A workspace is measured a minute after its counters have moved, and once an hour otherwise; one that takes long is
measured less often, so that measuring takes at most a hundredth of the time. The tables of assets, uploads and links
are named here in SQL only: their rooms stand above this one.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import text

from portal.database import db, transaction
from portal.texts import Text
from portal.usage.models import Part

FIRST = 20  # folders, files and duplicates that are kept by size
LOOK_BACK = timedelta(days=30)  # at downloads
BATCH = 500
STANDARD = "STANDARD"  # S3's own name of the class in which objects are put

# What is in the trash or quarantined counts like every original. A file that is being verified is in staging: its
# upload says how much. Derived files are shown, not counted.
_PARTS = f"""
    SELECT CASE a.state WHEN 'deleted' THEN '{Part.TRASH}' WHEN 'quarantined' THEN '{Part.QUARANTINE}'
                        ELSE '{Part.ORIGINAL}' END AS part,
           a.kind, a.profile_id, '{STANDARD}' AS storage_class, sum(a.size_bytes) AS bytes, count(*) AS files
    FROM assets a WHERE a.workspace_id = :workspace AND (a.state NOT IN ('processing', 'failed') OR a.charged_bytes > 0)
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT '{Part.DERIVED}', a.kind, a.profile_id, '{STANDARD}', sum(v.size_bytes), count(*)
    FROM assets a JOIN variants v ON v.asset_id = a.id WHERE a.workspace_id = :workspace GROUP BY 2, 3
    UNION ALL
    SELECT '{Part.STAGING}', u.kind, u.profile_id, '{STANDARD}', sum(u.reserved_bytes), count(*)
    FROM uploads u WHERE u.workspace_id = :workspace AND u.reserved_bytes > 0 GROUP BY 2, 3
"""  # noqa: S608  constants of our own


_FORGET = tuple(
    text(f"DELETE FROM {table} WHERE workspace_id = :workspace")  # noqa: S608
    for table in ("usage_parts", "usage_people")
)
_WRITE_PARTS = text(f"""
    INSERT INTO usage_parts (workspace_id, tenant_id, part, kind, profile_id, storage_class, bytes, files)
    SELECT :workspace, :tenant, * FROM ({_PARTS}) p
""")  # noqa: S608
_WRITE_PEOPLE = text("""
    INSERT INTO usage_people (workspace_id, tenant_id, user_id, bytes, files)
    SELECT :workspace, :tenant, created_by, sum(charged_bytes), count(*)
    FROM assets WHERE workspace_id = :workspace AND charged_bytes > 0 GROUP BY created_by
""")
_FOLDERS = text("""
    SELECT s.library_id, s.folder_id, l.name AS library, f.name AS folder, s.bytes, s.files
    FROM (SELECT library_id, folder_id, sum(size_bytes) AS bytes, count(*) AS files FROM assets
          WHERE workspace_id = :workspace AND state NOT IN ('deleted', 'processing', 'failed')
          GROUP BY library_id, folder_id ORDER BY bytes DESC LIMIT :first) s
    JOIN libraries l ON l.id = s.library_id LEFT JOIN folders f ON f.id = s.folder_id ORDER BY s.bytes DESC
""")
_LARGEST = text("""
    SELECT id, kind, size_bytes AS bytes, state FROM assets
    WHERE workspace_id = :workspace AND charged_bytes > 0 ORDER BY size_bytes DESC, id LIMIT :first
""")
_DUPLICATES = text("""
    SELECT sha256, kind, files, bytes, sum(files - 1) OVER () AS all_files, sum(bytes) OVER () AS all_bytes FROM (
        SELECT sha256, min(kind) AS kind, count(*) AS files, sum(size_bytes) - max(size_bytes) AS bytes FROM assets
        WHERE workspace_id = :workspace AND state = 'available' AND sha256 IS NOT NULL
        GROUP BY sha256 HAVING count(*) > 1) d
    ORDER BY bytes DESC, sha256 LIMIT :first
""")
_DOWNLOADS = text("""
    SELECT count(*) AS links, coalesce(sum(size_bytes), 0) AS bytes FROM issued_links
    WHERE workspace_id = :workspace AND created_at >= now() - :back
""")
_WRITE = text("""
    INSERT INTO workspace_usage (workspace_id, tenant_id, as_of, duration_ms, folders, largest, duplicates,
                                 duplicate_files, duplicate_bytes, downloads, download_bytes)
    VALUES (:workspace, :tenant, now(), :took, :folders, :largest, :duplicates,
            :duplicate_files, :duplicate_bytes, :downloads, :download_bytes)
    ON CONFLICT (workspace_id) DO UPDATE SET
        as_of = excluded.as_of, duration_ms = excluded.duration_ms, folders = excluded.folders,
        largest = excluded.largest, duplicates = excluded.duplicates, duplicate_files = excluded.duplicate_files,
        duplicate_bytes = excluded.duplicate_bytes, downloads = excluded.downloads,
        download_bytes = excluded.download_bytes
""")
_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_DUE = text("SELECT tenant_id, workspace_id FROM due_measurements(:batch)")


def measure_due() -> Text:
    """Measure what is due; a periodic task."""
    with transaction():
        due = db.session.execute(_DUE, {"batch": BATCH}).all()
    for each in due:
        measure(each.tenant_id, each.workspace_id)
    return Text("Workspaces measured: %(count)s.", count=len(due))


def measure(tenant_id: UUID, workspace_id: UUID) -> None:
    """Count what a workspace holds now, in one transaction of its own."""
    began, place = time.monotonic(), {"tenant": tenant_id, "workspace": workspace_id}
    with transaction(tenant_id):
        db.session.execute(_ALONE, {"name": f"measure {workspace_id}"})  # of two that measure at once the second waits
        for statement in _FORGET:
            db.session.execute(statement, {"workspace": workspace_id})
        db.session.execute(_WRITE_PARTS, place)
        db.session.execute(_WRITE_PEOPLE, place)
        values = _listed(workspace_id)
        db.session.execute(_WRITE, {**place, **values, "took": round((time.monotonic() - began) * 1000)})


def _listed(workspace_id: UUID) -> dict[str, Any]:
    few = {"workspace": workspace_id, "first": FIRST}
    duplicates = db.session.execute(_DUPLICATES, few).all()
    links = db.session.execute(_DOWNLOADS, {"workspace": workspace_id, "back": LOOK_BACK}).one()
    return {
        "folders": Jsonb([_plain(row) for row in db.session.execute(_FOLDERS, few)]),
        "largest": Jsonb([_plain(row) for row in db.session.execute(_LARGEST, few)]),
        "duplicates": Jsonb([_plain(row, "sha256", "kind", "files", "bytes") for row in duplicates]),
        "duplicate_files": duplicates[0].all_files if duplicates else 0,
        "duplicate_bytes": duplicates[0].all_bytes if duplicates else 0,
        "downloads": links.links,
        "download_bytes": links.bytes,
    }


def _plain(row: Any, *names: str) -> dict[str, Any]:
    """A row as JSON holds it: ids as text, sums as whole numbers."""
    wanted = {name: getattr(row, name) for name in names or row._fields}
    return {
        name: str(value) if isinstance(value, UUID) else value if isinstance(value, str | None) else int(value)
        for name, value in wanted.items()
    }
