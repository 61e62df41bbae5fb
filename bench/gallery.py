"""The gallery of a workspace with 1,000 and with 1,000,000 files, against a trivial Flask page of 50 rows.

Somebody who is logged in looks at the newest 50, each with its thumbnail: the same page again and again, as the people
of a workspace do ("grid", "list"), and page after page that nobody has looked at yet ("grid, new to everybody").
"""

from __future__ import annotations

import base64
import json
import statistics
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, create_engine, make_url, text

from bench import peer
from bench.house import House, house
from bench.load import fire, get
from bench.served import PORTAL, Running, served

ROUNDS, SECONDS = 8, 0.8  # short turns, so that whatever else the machine does is in both
SIZES = (1_000, 1_000_000)
UNSEEN = 1_000  # pages for the walk, so many that no process still holds one when its turn comes again
WORK = "gallery page of 50 rows, {:,} files"

# Ids in the order of time, as the application makes them. Each file has what the pipeline leaves behind.
_ASSETS = """
INSERT INTO assets (id, created_at, tenant_id, workspace_id, library_id, profile_id, upload_id, created_by, file_name,
    kind, mime_type, size_bytes, sha256, staged_etag, object_key, charged_bytes, state, scan_result, scan_engine,
    previews, placeholder, width, height, facts, attempts)
SELECT made.id, now(), w.tenant_id, w.id, l.id, p.id, gen_random_uuid(), :person, 'IMG_' || n || '.jpg',
    'photo', 'image/jpeg', 4000000 + n, repeat('ab', 32), 'etag',
    'workspaces/' || w.id || '/assets/' || made.id || '/original/5eed-IMG_' || n || '.jpg', 4000000 + n, 'available',
    'clean', 'ClamAV 1.4.6', 'ready', '#336699', 4000, 3000, '{"format": "JPEG", "width": 4000, "height": 3000}', 1
FROM (SELECT n, uuidv7() AS id FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) n) made
CROSS JOIN workspaces w
JOIN libraries l ON l.workspace_id = w.id
JOIN storage_profiles p ON p.workspace_id = w.id
WHERE w.id = :workspace
"""
# The newest 60,000 files have theirs: as many as any page of this benchmark shows.
_VARIANTS = """
INSERT INTO variants (id, created_at, tenant_id, workspace_id, asset_id, name, object_key, mime_type, size_bytes, width,
    height)
SELECT gen_random_uuid(), now(), a.tenant_id, a.workspace_id, a.id, v.name,
    'workspaces/' || a.workspace_id || '/assets/' || a.id || '/' || v.name || '-' || md5(a.id::text) || '.webp',
    'image/webp', v.longest * 10, v.longest, v.longest * 3 / 4
FROM (SELECT * FROM assets WHERE workspace_id = :workspace ORDER BY id DESC LIMIT 60000) a
CROSS JOIN (VALUES ('thumb', 150), ('small', 300), ('medium', 600), ('large', 1200), ('web', 1920)) v (name, longest)
ON CONFLICT (asset_id, name) DO NOTHING
"""


def run() -> list[dict[str, Any]]:
    """Rows for the table: requests per second at both sizes, and how the time of one request grew."""
    with house() as here:
        small = _measure(here, SIZES[0])
        large = _measure(here, SIZES[1])
    rows = [
        _row(size, name, *rates) for size, found in zip(SIZES, (small, large), strict=True) for name, rates in found
    ]
    grown = {name: (theirs / ours) for name, (ours, theirs) in small}
    for name, (ours, theirs) in large:
        if name in grown:  # in units of the peer's page, because the machine was not the same for both
            rows.append(_growth(name, theirs / ours, grown[name]))
    return rows


def _measure(here: House, files: int) -> list[tuple[str, tuple[float, float]]]:
    """Requests per second of ours and of the peer, for each kind of page."""
    _fill(here, files)
    path, cookie = here.cast.page("files"), _cookie(here)
    pages = {
        "grid": [get(path, here.host, Cookie=f"{cookie}; stowage_view=grid")],
        "list": [get(path, here.host, Cookie=f"{cookie}; stowage_view=list")],
    }
    if files == SIZES[-1]:
        addresses = [f"{path}?cursor={cursor}" for cursor in _cursors(here)]
        pages["grid, new to everybody"] = [get(address, here.host, Cookie=cookie) for address in addresses]
    with (
        served(PORTAL, here.environment, here.folder, here.port) as portal,
        served(peer.APPLICATION, here.environment, here.folder) as bare,
    ):
        return [(name, _take_turns(portal, bare, requests)) for name, requests in pages.items()]


def _take_turns(portal: Running, bare: Running, requests: list[bytes]) -> tuple[float, float]:
    rows = [get("/rows", "localhost")]
    if len(requests) == 1:
        fire(portal.port, requests, 3)  # warm
    fire(bare.port, rows, 1)
    ours, theirs = [], []
    for number in range(ROUNDS):
        part = len(requests) // ROUNDS
        ours.append(fire(portal.port, requests[number * part : (number + 1) * part] or requests, SECONDS))
        theirs.append(fire(bare.port, rows, SECONDS))
    return statistics.median(ours), statistics.median(theirs)


def _fill(here: House, files: int) -> None:
    """Bring the workspace to ``files`` files. Foreign keys are not checked, the index of names is made afterwards."""
    values = {"workspace": here.cast.press.id, "person": here.cast.alice.id}
    engine = _superuser(here)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        index = connection.scalar(text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_assets_name'"))
        if index:
            connection.execute(text("DROP INDEX ix_assets_name"))
        present = connection.scalar(text("SELECT count(*) FROM assets"))
        connection.execute(text(_ASSETS), {**values, "first": (present or 0) + 1, "last": files})
        connection.execute(text(_VARIANTS), values)
        if index:
            connection.execute(text(index))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE assets, variants"))
    engine.dispose()


def _superuser(here: House) -> Engine:
    url = make_url(here.settings.database_url)
    return create_engine(url.set(username="postgres", password=here.engines.postgres.secrets.database_superuser))


def _cursors(here: House) -> list[str]:
    """The cursors of pages all over the newest 50,000 files."""
    engine = _superuser(here)
    statement = "SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id DESC) n FROM assets) a WHERE n % 50 = 0"
    with engine.connect() as connection:
        found: list[UUID] = list(connection.scalars(text(f"{statement} ORDER BY n LIMIT {UNSEEN}")))
    engine.dispose()
    return [base64.urlsafe_b64encode(json.dumps([str(each)]).encode()).rstrip(b"=").decode() for each in found]


def _cookie(here: House) -> str:
    """The cookies of a browser in which alice is logged in and has seen the page once."""
    browser = here.cast.alice.browser
    answer = browser.get(here.cast.page("files"))
    assert answer.status_code == 200, answer.status
    return "; ".join(f"{cookie.key}={cookie.value}" for cookie in (browser._cookies or {}).values())


def _row(files: int, name: str, ours: float, theirs: float) -> dict[str, Any]:
    return {
        "work": WORK.format(files),
        "measure": f"requests per second, {name}; peer: a trivial Flask page of 50 rows",
        "ours": round(ours),
        "peer": round(theirs),
        "ratio": round(ours / theirs, 2),
        "target": None if "new" in name else "≥ 0.6",
    }


def _growth(name: str, large: float, small: float) -> dict[str, Any]:
    return {
        "work": "gallery page of 50 rows, a million files against a thousand",
        "measure": f"time of one request, {name}, in pages of the peer",
        "ours": round(large, 2),
        "peer": round(small, 2),
        "ratio": round(large / small, 2),
        "target": "≤ 1.2",
    }
