"""What a workspace holds, counted by part, kind, person and folder: never by a page, now and then by a periodic task.

A workspace is measured a minute after its counters have moved, and once an hour otherwise; one that takes long is
measured less often, so that measuring takes at most a hundredth of the time. Packages that own the rows sum them up:
``assets.totals``, ``uploads.reserved``, and delivery, which stands above this package and is registered in ``app``.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from flask import Flask, current_app
from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects import postgresql

from portal.assets import totals
from portal.assets.models import AssetState
from portal.database import db, lock_until_commit, transaction
from portal.texts import Text
from portal.uploads import reserved
from portal.usage.models import Part, UsagePart, UsagePerson, WorkspaceUsage

FIRST = 20  # folders, files and duplicates that are stored, by size
LOOK_BACK = timedelta(days=30)  # at downloads
BATCH = 500
STANDARD = "STANDARD"  # S3's own name of the class in which objects are put

# What is in the trash or quarantined counts like every original.
_PART_OF_STATE = {AssetState.DELETED: Part.TRASH, AssetState.QUARANTINED: Part.QUARANTINE}


class IssuedLinks(NamedTuple):
    """How many download links were issued, and the bytes of their files."""

    links: int
    bytes: int


# A workspace and a span of time, up to now.
CountLinks = Callable[[UUID, timedelta], IssuedLinks]


def register(app: Flask, count_links: CountLinks) -> None:
    """Set how download links are counted; once, by the composition root."""
    app.extensions["portal.count_links"] = count_links


def measure_due() -> Text:
    """Measure what is due; a periodic task."""
    # Row-level security shows one tenant's rows: a function with the owner's rights answers the ids.
    due = func.due_measurements(BATCH).table_valued("tenant_id", "workspace_id")
    with transaction():
        rows = db.session.execute(select(due)).all()
    for each in rows:
        measure(each.tenant_id, each.workspace_id)
    return Text("Workspaces measured: %(count)s.", count=len(rows))


def measure(tenant_id: UUID, workspace_id: UUID) -> None:
    """Count what a workspace holds now, in one transaction of its own."""
    began = time.monotonic()
    with transaction(tenant_id) as session:
        lock_until_commit(f"measure {workspace_id}")  # of two that measure at once the second waits
        _write_parts(tenant_id, workspace_id)
        # Deleted and inserted, not updated: who has no file any more has no row either.
        session.execute(delete(UsagePerson).where(UsagePerson.workspace_id == workspace_id))
        people = [
            {"tenant_id": tenant_id, "workspace_id": workspace_id, **row._mapping}
            for row in totals.people(workspace_id)
        ]
        if people:
            session.execute(insert(UsagePerson), people)
        values = _measured(workspace_id) | {"duration_ms": round((time.monotonic() - began) * 1000)}
        new = postgresql.insert(WorkspaceUsage).values(workspace_id=workspace_id, tenant_id=tenant_id, **values)
        session.execute(new.on_conflict_do_update(index_elements=["workspace_id"], set_=values))


def _write_parts(tenant_id: UUID, workspace_id: UUID) -> None:
    """Replace the rows of the workspace's parts."""
    # A file that is being verified is in staging: its upload says how much. Derived files are shown, not counted.
    found = [
        *((_PART_OF_STATE.get(row.state, Part.ORIGINAL), row) for row in totals.originals(workspace_id)),
        *((Part.DERIVED, row) for row in totals.derived(workspace_id)),
        *((Part.STAGING, row) for row in reserved.by_kind(workspace_id)),
    ]
    sizes: defaultdict[tuple[Part, str, UUID], int] = defaultdict(int)
    counts: defaultdict[tuple[Part, str, UUID], int] = defaultdict(int)
    for part, row in found:
        sizes[part, row.kind, row.profile_id] += row.bytes
        counts[part, row.kind, row.profile_id] += row.files
    db.session.execute(delete(UsagePart).where(UsagePart.workspace_id == workspace_id))
    rows = [
        {
            "tenant_id": tenant_id,
            "workspace_id": workspace_id,
            "part": part,
            "kind": kind,
            "profile_id": profile_id,
            "storage_class": STANDARD,
            "bytes": size,
            "files": counts[part, kind, profile_id],
        }
        for (part, kind, profile_id), size in sizes.items()
    ]
    if rows:
        db.session.execute(insert(UsagePart), rows)


def _measured(workspace_id: UUID) -> dict[str, Any]:
    """The columns of ``WorkspaceUsage``, but for how long it took."""
    count_links: CountLinks = current_app.extensions["portal.count_links"]
    duplicates = totals.duplicates(workspace_id, FIRST)
    downloads = count_links(workspace_id, LOOK_BACK)
    return {
        "as_of": func.now(),
        "folders": _as_json(totals.largest_folders(workspace_id, FIRST)),
        "largest": _as_json(totals.largest_files(workspace_id, FIRST)),
        "duplicates": _as_json(duplicates, ("sha256", "kind", "files", "bytes")),
        "duplicate_files": duplicates[0].all_files if duplicates else 0,
        "duplicate_bytes": duplicates[0].all_bytes if duplicates else 0,
        "downloads": downloads.links,
        "download_bytes": downloads.bytes,
    }


def _as_json(rows: Sequence[Any], names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows (of these columns; without names of all) with ids as text."""
    return [
        {
            name: str(value) if isinstance(value, UUID) else value
            for name, value in row._mapping.items()
            if not names or name in names
        }
        for row in rows
    ]
