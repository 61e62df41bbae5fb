"""Beginning an upload (who, may they, is there room, a row, a signature) against a bare Flask page with one query.

Twelve clients at once, half of them in a workspace of one tenant, half in one of another. The limits of a person are
counted as always, but raised: two people begin what thousands do in a day. What they have begun is aborted between the
turns, because a begin looks at a person's open uploads, and nobody has thousands.
"""

from __future__ import annotations

import statistics
from typing import Any

from sqlalchemy import text

from bench import peer
from bench.deployment import Deployment, deployed
from bench.load import fire, get, post, warm
from bench.served import PORTAL, served

ROUNDS, SECONDS = 12, 0.8  # short turns, so that whatever else the machine does is in both
BODY = {"file_name": "sea.jpg", "mime_type": "image/jpeg", "size_bytes": 4_000_000, "sha256": "5a" * 32}
LIMITS = {
    "PORTAL_OPEN_UPLOADS": "100000",
    "PORTAL_API_REQUESTS": "1000000",
    "PORTAL_API_TENANT_REQUESTS": "1000000",
}


def run() -> list[dict[str, Any]]:
    """One row for the table: requests per second."""
    with deployed() as here:
        ours, theirs = _take_turns(here)
    return [
        {
            "work": "begin: authorise, reserve, sign",
            "measure": "requests per second; peer: a bare Flask page with one query",
            "ours": round(ours),
            "peer": round(theirs),
            "ratio": round(ours / theirs, 2),
            "target": "≥ 0.3",
        }
    ]


def _take_turns(here: Deployment) -> tuple[float, float]:
    """Medians of both, who take turns on the same processors."""
    cast = here.cast
    begin = [
        post(cast.url("uploads", place), here.host, BODY, Authorization=f"Bearer {person.token}")
        for person, place in ((cast.alice, cast.press), (cast.mallory, cast.lair))
    ]
    line = [get("/line", here.host)]
    with (
        served(PORTAL, here.environment | LIMITS, here.folder, here.port) as portal,
        served(peer.APPLICATION, here.environment, here.folder) as bare,
    ):
        warm(portal.port, begin, expect=201)
        warm(bare.port, line)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            _abort_all(here)
            ours.append(fire(portal.port, begin, SECONDS, expect=201))
            theirs.append(fire(bare.port, line, SECONDS))
    return statistics.median(ours), statistics.median(theirs)


def _abort_all(here: Deployment) -> None:
    engine = here.superuser()
    with engine.begin() as connection:
        connection.execute(text("UPDATE uploads SET state = 'aborted' WHERE state = 'created'"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM uploads"))  # as a server does by itself, at a moment of its own choice
    engine.dispose()
