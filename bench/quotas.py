"""The race for the last byte: 16 clients, one byte left, 200 rounds; the peer sums what is there, then inserts.

Half of the rounds are for the last byte of one workspace, half for the last byte of a tenant in four workspaces.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import create_engine, make_url, text

from portal.database import db, enter, new_id, schema, transaction
from portal.errors import Invalid
from portal.quotas import service as quotas
from portal.settings import Settings
from portal.tenancy.models import Tenant, Workspace
from tests.support.engines import start_engines

CLIENTS, ROUNDS, LIMIT = 16, 200, 1000
_PEER_TABLE = "CREATE TABLE peer_files (workspace_id uuid NOT NULL, tenant_id uuid NOT NULL, size bigint NOT NULL)"
_PEER_SUM = "SELECT coalesce(sum(size), 0) FROM peer_files WHERE {} = :place"
_PEER_INSERT = "INSERT INTO peer_files VALUES (:workspace, :tenant, 1)"


@dataclass
class Race:
    """One tenant, its workspaces, and how many of the rounds gave the last byte to more than one or to none."""

    tenant: UUID
    workspaces: list[UUID]
    shared: bool  # the tenant's byte, not a workspace's
    oversold: int = 0
    lost: int = 0
    seconds: list[float] = field(default_factory=list)


def run() -> list[dict[str, Any]]:
    """Rows for the table: rounds that were oversold, and the time of one attempt."""
    with _app() as app:
        ours = [_race(app, shared, _reserve) for shared in (False, True)]
        peer = [_race(app, shared, _check_then_insert) for shared in (False, True)]
    work = f"quota race: {CLIENTS} clients at the last byte, {ROUNDS} rounds"
    wrong = [sum(race.oversold + race.lost for race in races) for races in (ours, peer)]
    times = [sorted(second for race in races for second in race.seconds) for races in (ours, peer)]
    medians = [round(each[len(each) // 2] * 1000, 2) for each in times]
    return [
        {
            "work": work,
            "measure": "rounds oversold or lost",
            "ours": wrong[0],
            "peer": f"{wrong[1]} (check, then insert)",
            "ratio": None,
            "target": "0",
        },
        {
            "work": work,
            "measure": "median of one attempt in the race, ms",
            "ours": medians[0],
            "peer": medians[1],
            "ratio": round(medians[0] / medians[1], 2),
            "target": None,
        },
    ]


def _race(app: Flask, shared: bool, attempt: Callable[[Race, UUID], bool]) -> Race:
    with app.app_context():
        race = _open(shared)
    won: list[int] = []
    start = threading.Barrier(CLIENTS)

    def judge() -> None:
        with app.app_context():
            race.oversold += len(won) > 1
            race.lost += not won
            _give_back(race, [race.workspaces[number % len(race.workspaces)] for number in won])
        won.clear()

    end = threading.Barrier(CLIENTS, action=judge)

    def client(number: int) -> None:
        workspace = race.workspaces[number % len(race.workspaces)]
        with app.app_context():
            for _ in range(ROUNDS // 2):
                start.wait()
                began = time.perf_counter()
                if attempt(race, workspace):
                    won.append(number)
                race.seconds.append(time.perf_counter() - began)
                end.wait()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))
    return race


def _reserve(race: Race, workspace: UUID) -> bool:
    try:
        with transaction(race.tenant):
            quotas.reserve(race.tenant, workspace, new_id(), 1)
    except Invalid:
        return False
    return True


def _check_then_insert(race: Race, workspace: UUID) -> bool:
    column, place = ("tenant_id", race.tenant) if race.shared else ("workspace_id", workspace)
    with transaction(race.tenant) as session:
        held: int = session.execute(text(_PEER_SUM.format(column)), {"place": place}).scalar_one()
        if held + 1 > LIMIT:
            return False
        session.execute(text(_PEER_INSERT), {"workspace": workspace, "tenant": race.tenant})
    return True


def _open(shared: bool) -> Race:
    """One byte is left, for us and for the peer."""
    race = Race(new_id(), [new_id() for _ in range(4 if shared else 1)], shared)
    with transaction(race.tenant) as session:
        session.add(Tenant(id=race.tenant, slug=f"t-{race.tenant.hex[-12:]}", name="Race", plan="pro"))
        session.flush()
        quotas.open_tenant(race.tenant, LIMIT if shared else None)
        for number, workspace in enumerate(race.workspaces):
            session.add(Workspace(id=workspace, tenant_id=race.tenant, slug=f"w{number}", name="Race"))
            session.flush()
            quotas.open_workspace(race.tenant, workspace, None if shared else LIMIT)
        session.flush()
        quotas.reserve(race.tenant, race.workspaces[0], new_id(), LIMIT - 1)
        session.execute(
            text("INSERT INTO peer_files SELECT :workspace, :tenant, 1 FROM generate_series(1, :size)"),
            {"workspace": race.workspaces[0], "tenant": race.tenant, "size": LIMIT - 1},
        )
    return race


def _give_back(race: Race, workspaces: list[UUID]) -> None:
    """One byte is left again; our counters say how many were given."""
    enter(race.tenant)
    taken = quotas.tenant_status(race.tenant).reserved_bytes - (LIMIT - 1)
    for workspace in workspaces[:taken]:
        with transaction(race.tenant):
            quotas.release(race.tenant, workspace, new_id(), 1)
    with transaction(race.tenant) as session:
        session.execute(
            text(
                "DELETE FROM peer_files WHERE ctid IN (SELECT ctid FROM peer_files WHERE tenant_id = :t OFFSET :keep)"
            ),
            {"t": race.tenant, "keep": LIMIT - 1},
        )


@contextmanager
def _app() -> Iterator[Flask]:
    """A private database and a bare application."""
    engines = start_engines()
    try:
        app = _bare_app(engines.settings())
        yield app
        with app.app_context():
            db.engine.dispose()
    finally:
        engines.stop()


def _bare_app(settings: Settings) -> Flask:
    schema.upgrade(settings)
    app = Flask(__name__)
    options = {"pool_size": CLIENTS + 1}
    app.config.update(SQLALCHEMY_DATABASE_URI=settings.database_url, SQLALCHEMY_ENGINE_OPTIONS=options)
    app.extensions["portal.settings"] = settings
    db.init_app(app)
    owner = create_engine(settings.migration_database_url or "")
    with owner.begin() as connection:
        connection.execute(text(_PEER_TABLE))
        role = owner.dialect.identifier_preparer.quote(make_url(settings.database_url).username or "")
        connection.execute(text(f"GRANT SELECT, INSERT, DELETE ON peer_files TO {role}"))
    owner.dispose()
    return app


if __name__ == "__main__":
    for row in run():
        print(row)
