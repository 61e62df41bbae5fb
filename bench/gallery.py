"""The gallery of a workspace with 1,000 and with 1,000,000 files, against a trivial Flask page of 50 rows.

Somebody who is logged in walks through the newest files, 50 with their pictures a page. No page comes twice before all
were shown, and no rendered part is cached anywhere: every card is new. Ours and the peer's are compressed alike.
"""

from __future__ import annotations

import base64
import json
import statistics
from typing import Any
from uuid import UUID

from sqlalchemy import text

from bench import peer
from bench.deployment import Deployment, deployed
from bench.load import fire, get, warm
from bench.served import PORTAL, Running, served
from portal.admin import load_data, load_data_sql

ROUNDS, SECONDS = 8, 0.8  # short turns, so that whatever else the machine does is in both
SIZES = (1_000, 1_000_000)
BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd"}  # what browsers send
PAGES = 1_000  # of the walk, at most
WORK = "gallery page of 50 cards, {:,} files"

_PLACE = """
CREATE TEMP TABLE load_workspaces ON COMMIT DROP AS
SELECT 1 AS n, w.id AS workspace_id, w.tenant_id, l.id AS library_id, p.id AS profile_id,
       ARRAY[CAST(:person AS uuid)] AS people
FROM workspaces w JOIN libraries l ON l.workspace_id = w.id JOIN storage_profiles p ON p.workspace_id = w.id
WHERE w.id = :workspace
"""
SHOWN = 60_000  # the newest files have previews: as many as any page of this benchmark shows


def run() -> list[dict[str, Any]]:
    """Rows for the table: requests per second at both sizes, and how the time of one request grew."""
    with deployed() as here:
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


def _measure(here: Deployment, files: int) -> list[tuple[str, tuple[float, float]]]:
    """Requests per second of ours and of the peer, for each kind of page."""
    _fill(here, files)
    path, cookie = here.cast.page("files"), _cookie(here)
    addresses = [path, *(f"{path}?cursor={cursor}" for cursor in _cursors(here))]
    pages = {
        view: [get(each, here.host, Cookie=f"{cookie}; stowage_view={view}", **BROWSER) for each in addresses]
        for view in ("grid", "list")
    }
    with (
        served(PORTAL, here.environment, here.folder, here.port) as portal,
        served(peer.APPLICATION, here.environment, here.folder) as bare,
    ):
        return [(name, _take_turns(portal, bare, requests)) for name, requests in pages.items()]


def _take_turns(portal: Running, bare: Running, requests: list[bytes]) -> tuple[float, float]:
    rows = [get("/rows", "localhost", **BROWSER)]
    warm(portal.port, requests)
    warm(bare.port, rows)
    ours, theirs = [], []
    for number in range(ROUNDS):
        start = number * len(requests) // ROUNDS
        ours.append(fire(portal.port, requests[start:] + requests[:start], SECONDS))
        theirs.append(fire(bare.port, rows, SECONDS))
    return statistics.median(ours), statistics.median(theirs)


def _fill(here: Deployment, files: int) -> None:
    """Bring the workspace to ``files`` files. Foreign keys are not checked, the index of names is made afterwards."""
    values = {"workspace": here.cast.press.id, "person": here.cast.alice.id}
    engine = here.superuser()
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(_PLACE), values)
        with load_data.without_name_index(connection):
            present = connection.scalar(text("SELECT count(*) FROM assets")) or 0
            load_data.write_assets(connection, present + 1, files, of=files, days=0, photos=True)
            connection.execute(text(load_data_sql.VARIANTS), {"tenant": here.cast.acme.id, "newest": SHOWN})
    load_data.update_statistics(engine)


def _cursors(here: Deployment) -> list[str]:
    """The cursors of pages all over the newest 50,000 files."""
    engine = here.superuser()
    numbered = "SELECT id, row_number() OVER (ORDER BY id DESC) n, count(*) OVER () most FROM assets"
    statement = f"SELECT id FROM ({numbered}) a WHERE n % 50 = 0 AND n < most ORDER BY n LIMIT {PAGES}"
    with engine.connect() as connection:
        found: list[UUID] = list(connection.scalars(text(statement)))
    engine.dispose()
    return [base64.urlsafe_b64encode(json.dumps([str(each)]).encode()).rstrip(b"=").decode() for each in found]


def _cookie(here: Deployment) -> str:
    """The cookies of a browser in which alice is logged in and has seen the page once."""
    browser = here.cast.alice.browser
    answer = browser.get(here.cast.page("files"))
    assert answer.status_code == 200, answer.status
    return "; ".join(f"{cookie.key}={cookie.value}" for cookie in (browser._cookies or {}).values())


def _row(files: int, name: str, ours: float, theirs: float) -> dict[str, Any]:
    return {
        "work": WORK.format(files),
        "measure": f"requests per second, {name}, every card new, nothing rendered is cached; peer: a page of 50 rows",
        "ours": round(ours),
        "peer": round(theirs),
        "ratio": round(ours / theirs, 2),
        "target": "≥ 0.2",
    }


def _growth(name: str, large: float, small: float) -> dict[str, Any]:
    return {
        "work": "gallery page of 50 cards, a million files against a thousand",
        "measure": f"time of one request, {name}, in pages of the peer",
        "ours": round(large, 2),
        "peer": round(small, 2),
        "ratio": round(large / small, 2),
        "target": "≤ 1.2",
    }
