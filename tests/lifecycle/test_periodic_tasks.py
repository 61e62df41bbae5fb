"""Periodic tasks run when they are due, one process at a time, and again after any failure."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from portal import scheduler
from portal.database import leave
from portal.errors import Conflict, NotFound, Unavailable
from portal.lifecycle import periodic_tasks
from portal.lifecycle.periodic_tasks import PeriodicTask
from portal.texts import Text
from tests.support.client import Site, served
from tests.support.deployment import eventually
from tests.support.engines import TestEngines
from tests.support.processes import Process, _environment, own_settings

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def site(engines: TestEngines) -> Iterator[Site]:
    """A portal of its own: periodic tasks belong to the whole installation."""
    yield from served(own_settings(engines, "periodic", queue=7))


@pytest.fixture(autouse=True)
def app_context(site: Site) -> Iterator[None]:
    """Inside the application, with no run recorded."""
    site.sql("DELETE FROM periodic_task_runs")
    with site.app.app_context():
        yield


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two periodic tasks, and the names of those that have run."""
    done: list[str] = []

    def write(name: str) -> Text:
        done.append(name)
        return Text("Done.")

    only = {
        "daily": PeriodicTask(timedelta(days=1), lambda: write("daily")),
        "hourly": PeriodicTask(HOUR, lambda: write("hourly")),
    }
    monkeypatch.setattr(periodic_tasks, "PERIODIC_TASKS", only)
    return done


def let_pass(site: Site, span: str) -> None:
    site.sql(f"UPDATE periodic_task_runs SET next_due_at = next_due_at - interval '{span}'")


def test_each_runs_at_once_and_then_at_its_interval(site: Site, runs: list[str]) -> None:
    assert [outcome.ok for outcome in periodic_tasks.run_due()] == [True, True]
    assert periodic_tasks.run_due() == []
    let_pass(site, "61 minutes")
    assert [outcome.name for outcome in periodic_tasks.run_due()] == ["hourly"]
    let_pass(site, "1 day")
    assert len(periodic_tasks.run_due()) == 2
    assert runs == ["daily", "hourly", "hourly", "daily", "hourly"]


def test_one_that_fails_is_shown_and_tried_again_in_an_hour(
    site: Site, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Text:
        raise Unavailable("The store does not answer.")

    def crash() -> Text:
        raise ZeroDivisionError("secret")

    day = timedelta(days=1)
    monkeypatch.setitem(periodic_tasks.PERIODIC_TASKS, "daily", PeriodicTask(day, fail))
    monkeypatch.setitem(periodic_tasks.PERIODIC_TASKS, "crash", PeriodicTask(day, crash))
    assert [(outcome.name, outcome.ok) for outcome in periodic_tasks.run_due()] == [
        ("daily", False),
        ("hourly", True),  # a failure stops no other task
        ("crash", False),
    ]
    statuses = {each.name: each for each in periodic_tasks.statuses()}
    assert (statuses["daily"].state, statuses["daily"].result) == ("failed", Text("The store does not answer."))
    assert "secret" not in statuses["crash"].result.english
    let_pass(site, "61 minutes")
    periodic_tasks.run_due()
    status = next(each for each in periodic_tasks.statuses() if each.name == "daily")
    assert status.failures == 2
    monkeypatch.setitem(periodic_tasks.PERIODIC_TASKS, "daily", PeriodicTask(day, lambda: Text("Done.")))
    let_pass(site, "61 minutes")
    periodic_tasks.run_due()
    status = next(each for each in periodic_tasks.statuses() if each.name == "daily")
    assert (status.state, status.failures, status.result) == ("ok", 0, Text("Done."))


SLEEPER = """
import time
from datetime import timedelta
from portal.app import create_app
from portal.lifecycle import periodic_tasks
from portal.settings import Settings
periodic_tasks.PERIODIC_TASKS["hourly"] = periodic_tasks.PeriodicTask(timedelta(hours=1), lambda: time.sleep(600))
with create_app(Settings.from_environ()).app_context():
    periodic_tasks.run("hourly")
"""


def test_one_whose_process_was_killed_runs_again(site: Site, runs: list[str], tmp_path: Path) -> None:
    process = Process("sleeper", [sys.executable, "-c", SLEEPER], _environment(site.settings, tmp_path), tmp_path)
    process.start()
    try:
        eventually(lambda: site.sql("SELECT 1 FROM periodic_task_runs WHERE name = 'hourly'"))
        assert {each.name: each.state for each in periodic_tasks.statuses()}["hourly"] == "running"
        periodic_tasks.run_due()
        assert runs == ["daily"], process.words()  # another process is running the hourly one
    finally:
        process.kill()
    leave()
    site.sql("UPDATE tasks SET lease_until = now() - interval '1 second' WHERE kind = 'periodic'")

    def is_free() -> bool:
        periodic_tasks.run_due()
        return "hourly" in runs

    eventually(is_free)
    assert {each.name: each.state for each in periodic_tasks.statuses()}["hourly"] == "ok"


def test_the_same_task_never_runs_twice_at_once(site: Site, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()

    def wait() -> Text:
        started.set()
        assert go_on.wait(30)
        return Text("Done.")

    monkeypatch.setitem(periodic_tasks.PERIODIC_TASKS, "hourly", PeriodicTask(HOUR, wait))

    def run_hourly() -> None:
        with site.app.app_context():
            periodic_tasks.run("hourly")

    thread = threading.Thread(target=run_hourly)
    thread.start()
    assert started.wait(30)
    transactions = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = 'periodic' AND xact_start IS NOT NULL AND pid <> %s"
    )
    assert site.sql(transactions, 0) == [(1,)]  # the one of this query
    with pytest.raises(Conflict):
        periodic_tasks.run("hourly")
    assert [outcome.name for outcome in periodic_tasks.run_due()] == ["daily"]
    go_on.set()
    thread.join()
    assert periodic_tasks.run("daily").ok


def test_an_unknown_name_is_refused_with_the_known_ones(runs: list[str]) -> None:
    with pytest.raises(NotFound, match="hourly"):
        periodic_tasks.run("hurly")


def test_the_scheduler_runs_them_beside_sweeps(site: Site, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setitem(periodic_tasks.PERIODIC_TASKS, "daily", PeriodicTask(HOUR, lambda: Text(str(never.wait(30)))))
    monkeypatch.setattr(scheduler, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(scheduler, "DUE_SECONDS", 0.05)
    stop = threading.Event()
    before = set(threading.enumerate())

    def run_scheduler() -> None:
        with site.app.app_context():
            scheduler.run(site.app, stop, threading.Event())

    thread = threading.Thread(target=run_scheduler)
    thread.start()
    first = eventually(lambda: site.sql("SELECT finished_at FROM periodic_task_runs WHERE name = 'sweep'"))
    eventually(lambda: site.sql("SELECT finished_at FROM periodic_task_runs WHERE name = 'sweep'") != first)
    never.set()
    eventually(lambda: runs == ["hourly"])
    stop.set()
    thread.join()
    for each in set(threading.enumerate()) - before:
        each.join(30)


def test_the_doctor_is_a_periodic_task(site: Site) -> None:
    assert "parts answer." in periodic_tasks.run("doctor").result.english
