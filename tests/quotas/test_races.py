"""Many at once, and a process that dies: nothing is oversold, nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from typing import Any

import psycopg
from flask import Flask

from portal.database import db, leave, new_id, transaction
from portal.errors import Invalid
from portal.quotas import service as quotas
from portal.web import languages
from tests.support.quotas import Place, at_once, open_place

CLIENTS = 16


def test_sixteen_clients_at_the_last_byte_of_a_workspace_get_exactly_one(in_app: Flask) -> None:
    place = open_place(1000, tenant_limit=5000)
    place.hold(999)
    results = at_once(in_app, CLIENTS, lambda _: _try(place, 1))
    assert sorted(result.scope if result else "" for result in results) == [""] + ["workspace"] * 15
    assert place.counters() == place.tenant_counters() == (999, 1)


def test_sixteen_clients_in_four_workspaces_at_the_last_byte_of_the_tenant_get_exactly_one(in_app: Flask) -> None:
    place = open_place(None, None, 2000, 2000, tenant_limit=1000)
    place.hold(999)
    results = at_once(in_app, CLIENTS, lambda number: _try(place, 1, number % 4))
    assert sorted(result.scope if result else "" for result in results) == [""] + ["tenant"] * 15
    assert place.tenant_counters() == (999, 1)
    assert sum(sum(place.counters(each)) for each in place.workspaces) == 1000


def test_in_a_crowd_no_instant_is_oversold_and_the_ledger_explains_every_byte(in_app: Flask) -> None:
    place = open_place(700, 700, tenant_limit=1000)
    watch = _Watch(in_app, place)
    with watch:
        at_once(in_app, CLIENTS, lambda number: _work(place, number))
    assert watch.looks > 0
    assert watch.oversold == []
    used = sum(each[1] for each in place.ledger())
    reserved = sum(each[2] for each in place.ledger())
    assert place.tenant_counters() == (used, reserved) == (used, 0)
    assert sum(place.counters(each)[0] for each in place.workspaces) == used


def test_sixty_four_clients_never_hold_more_than_either_limit_at_any_instant(in_app: Flask) -> None:
    place = open_place(7_000, 9_000, tenant_limit=10_000)
    crowd = _crowd(in_app, 64)
    watch = _Watch(in_app, place, limits=(7_000, 9_000), whole=10_000)
    with watch:
        at_once(crowd, 64, lambda number: _work(place, number, rounds=6, largest=2_000))
    with crowd.app_context():
        db.engine.dispose()
    assert watch.looks > 10
    assert watch.highest > 5_000  # it was full enough for the limits to matter
    assert watch.oversold == []
    used = sum(each[1] for each in place.ledger())
    assert place.tenant_counters() == (used, 0)
    assert sum(place.counters(each)[0] for each in place.workspaces) == used


def test_the_workspace_is_locked_before_the_tenant(in_app: Flask) -> None:
    """Whoever waits for the tenant's row holds the workspace's already, and the other way round never."""
    place = open_place(1000, tenant_limit=1000)
    workspace = ("workspace_quotas", "workspace_id", place.workspace)
    tenant = ("tenant_quotas", "tenant_id", place.tenant)
    assert _is_locked_while_waiting(in_app, place, held=tenant, asked=workspace)
    assert not _is_locked_while_waiting(in_app, place, held=workspace, asked=tenant)


def test_a_process_killed_in_the_middle_leaves_nothing_behind(in_app: Flask) -> None:
    place = open_place(1000, tenant_limit=1000)
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(place.tenant), str(place.workspace)],
        env={**os.environ, "URL": in_app.config["SQLALCHEMY_DATABASE_URI"]},
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"reserved\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    place.reserve(1000)  # waits until the database has noticed the death; then all the room is there
    assert place.counters() == place.tenant_counters() == (0, 1000)
    assert place.ledger() == [("reserve", 0, 1000)]


_CHILD = """
import os, sys, time
from uuid import UUID
from flask import Flask
from portal.database import db, new_id, transaction
from portal.quotas import service
from portal.web import languages
app = Flask("child")
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["URL"]
db.init_app(app)
languages.install(app, languages.CATALOGUES)
tenant, workspace = map(UUID, sys.argv[1:])
with app.app_context(), transaction(tenant):
    service.reserve(tenant, workspace, new_id(), 900)
    print("reserved", flush=True)
    time.sleep(60)
"""


class _Refused:
    def __init__(self, problem: Invalid) -> None:
        self.scope = problem.facts["scope"]
        assert problem.facts["shortage_bytes"] > 0


def _try(place: Place, size: int, workspace: int = 0) -> _Refused | None:
    try:
        place.reserve(size, place.workspaces[workspace])
    except Invalid as problem:
        return _Refused(problem)
    return None


def _crowd(app: Flask, clients: int) -> Flask:
    """The same database for many clients, each with a connection of its own."""
    crowd = Flask("crowd")
    crowd.config["SQLALCHEMY_DATABASE_URI"] = app.config["SQLALCHEMY_DATABASE_URI"]
    crowd.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": clients, "max_overflow": 0}
    crowd.extensions["portal.settings"] = app.extensions["portal.settings"]
    db.init_app(crowd)
    languages.install(crowd, languages.CATALOGUES)
    return crowd


def _work(place: Place, number: int, rounds: int = 30, largest: int = 400) -> None:
    dice = random.Random(number)
    workspace = place.workspaces[number % 2]
    for _ in range(rounds):
        size, subject = dice.randint(1, largest), new_id()
        try:
            with transaction(place.tenant):
                quotas.reserve(place.tenant, workspace, subject, size)
        except Invalid:
            continue
        with transaction(place.tenant):
            if dice.random() < 0.5:
                quotas.release(place.tenant, workspace, subject, size)
                continue
            quotas.settle(place.tenant, workspace, subject, size)
        if dice.random() < 0.9:
            with transaction(place.tenant):
                quotas.free(place.tenant, workspace, subject, size)


class _Watch:
    """Looks at what is committed again and again while others work."""

    def __init__(self, app: Flask, place: Place, limits: tuple[int, ...] = (700, 700), whole: int = 1000) -> None:
        self.app, self.place, self.limits, self.whole = app, place, limits, whole
        self.looks, self.highest, self.oversold = 0, 0, list[Any]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        with self.app.app_context():
            while not self._over.is_set():
                seen = [sum(self.place.counters(each)) for each in self.place.workspaces]
                total = sum(self.place.tenant_counters())
                self.looks, self.highest = self.looks + 1, max(self.highest, total)
                if any(held > limit for held, limit in zip(seen, self.limits, strict=True)) or total > self.whole:
                    self.oversold.append((seen, total))


def _is_locked_while_waiting(app: Flask, place: Place, *, held: tuple[Any, ...], asked: tuple[Any, ...]) -> bool:
    """While a reservation waits for the row ``held``: has it locked the row ``asked``?"""
    url = app.config["SQLALCHEMY_DATABASE_URI"].replace("+psycopg", "")
    lock = "SELECT FROM {} WHERE {} = '{}' FOR UPDATE".format
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = current_user"
    with (
        psycopg.connect(url) as holder,
        psycopg.connect(url) as asker,
        psycopg.connect(url, autocommit=True) as observer,
    ):
        for connection in (holder, asker):
            connection.execute("SELECT set_config('app.tenant_id', %s, true)", [str(place.tenant)])
        holder.execute(lock(*held))
        with app.app_context():
            thread = threading.Thread(target=lambda: at_once(app, 1, lambda _: place.reserve(1)))
            thread.start()
            while observer.execute(waiting).fetchone() == (0,):
                pass
            try:
                asker.execute(lock(*asked) + " NOWAIT")
                return False
            except psycopg.errors.LockNotAvailable:
                return True
            finally:
                asker.rollback()
                holder.rollback()
                thread.join()
                leave()
