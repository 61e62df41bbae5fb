"""Chores run when they are due, alone, and again after whatever went wrong."""

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
from tests.support.client import Site, served
from tests.support.deployment import eventually
from tests.support.engines import TestEngines
from tests.support.processes import Process, _environment, own_settings

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def site(engines: TestEngines) -> Iterator[Site]:
    """A portal of its own: chores belong to the whole installation."""
    yield from served(own_settings(engines, "chores", queue=7))


@pytest.fixture(autouse=True)
def in_house(site: Site) -> Iterator[None]:
    """Inside the application, nothing done yet."""
    site.sql("DELETE FROM periodic_task_runs")
    with site.app.app_context():
        yield


@pytest.fixture
def diary(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two chores, and what they did."""
    done: list[str] = []

    def write(words: str) -> str:
        done.append(words)
        return words

    house = {
        "sweep the floor": PeriodicTask(timedelta(days=1), lambda: write("swept")),
        "wash up": PeriodicTask(HOUR, lambda: write("washed")),
    }
    monkeypatch.setattr(periodic_tasks, "PERIODIC_TASKS", house)
    return done


def let_pass(site: Site, span: str) -> None:
    site.sql(f"UPDATE periodic_task_runs SET next_due_at = next_due_at - interval '{span}'")


def test_each_runs_at_once_and_then_as_often_as_its_line_says(site: Site, diary: list[str]) -> None:
    assert [outcome.ok for outcome in periodic_tasks.run_due()] == [True, True]
    assert periodic_tasks.run_due() == []
    let_pass(site, "61 minutes")
    assert [outcome.name for outcome in periodic_tasks.run_due()] == ["wash up"]
    let_pass(site, "1 day")
    assert len(periodic_tasks.run_due()) == 2
    assert diary == ["swept", "washed", "washed", "swept", "washed"]


def test_one_that_fails_is_shown_and_tried_again_in_an_hour(
    site: Site, diary: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise Unavailable("The broom is away.")

    def stumble() -> str:
        raise ZeroDivisionError("secret")

    day = timedelta(days=1)
    monkeypatch.setitem(periodic_tasks.PERIODIC_TASKS, "sweep the floor", PeriodicTask(day, fail))
    monkeypatch.setitem(periodic_tasks.PERIODIC_TASKS, "stumble", PeriodicTask(day, stumble))
    assert [(outcome.name, outcome.ok) for outcome in periodic_tasks.run_due()] == [
        ("sweep the floor", False),
        ("wash up", True),  # nobody waits for another one
        ("stumble", False),
    ]
    lines = {line.name: line for line in periodic_tasks.statuses()}
    assert (lines["sweep the floor"].state, lines["sweep the floor"].said) == ("failed", "The broom is away.")
    assert "secret" not in lines["stumble"].said
    let_pass(site, "61 minutes")
    periodic_tasks.run_due()
    line = next(line for line in periodic_tasks.statuses() if line.name == "sweep the floor")
    assert line.failures == 2
    monkeypatch.setitem(periodic_tasks.PERIODIC_TASKS, "sweep the floor", PeriodicTask(day, lambda: "swept after all"))
    let_pass(site, "61 minutes")
    periodic_tasks.run_due()
    line = next(line for line in periodic_tasks.statuses() if line.name == "sweep the floor")
    assert (line.state, line.failures, line.said) == ("ok", 0, "swept after all")


SLEEPER = """
import time
from datetime import timedelta
from portal.app import create_app
from portal.lifecycle import periodic_tasks
from portal.settings import Settings
periodic_tasks.PERIODIC_TASKS["wash up"] = periodic_tasks.PeriodicTask(timedelta(hours=1), lambda: str(time.sleep(600)))
with create_app(Settings.from_environ()).app_context():
    periodic_tasks.run("wash up")
"""


def test_one_whose_process_was_killed_runs_again(site: Site, diary: list[str], tmp_path: Path) -> None:
    process = Process("sleeper", [sys.executable, "-c", SLEEPER], _environment(site.settings, tmp_path), tmp_path)
    process.start()
    try:
        eventually(lambda: site.sql("SELECT 1 FROM periodic_task_runs WHERE name = 'wash up'"))
        assert {line.name: line.state for line in periodic_tasks.statuses()}["wash up"] == "running"
        periodic_tasks.run_due()
        assert diary == ["swept"], process.words()  # the other one is at it
    finally:
        process.kill()
    leave()
    site.sql("UPDATE tasks SET lease_until = now() - interval '1 second' WHERE kind = 'periodic'")

    def is_free() -> bool:
        periodic_tasks.run_due()
        return "washed" in diary

    eventually(is_free)
    assert {line.name: line.state for line in periodic_tasks.statuses()}["wash up"] == "ok"


def test_the_same_chore_never_runs_twice_at_once(site: Site, diary: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()

    def wait() -> str:
        started.set()
        assert go_on.wait(30)
        return "waited"

    monkeypatch.setitem(periodic_tasks.PERIODIC_TASKS, "wash up", PeriodicTask(HOUR, wait))

    def by_the_clock() -> None:
        with site.app.app_context():
            periodic_tasks.run("wash up")

    clock = threading.Thread(target=by_the_clock)
    clock.start()
    assert started.wait(30)
    held = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'chores' AND xact_start IS NOT NULL AND pid <> %s"
    assert site.sql(held, 0) == [(1,)]  # the one that asks
    with pytest.raises(Conflict):
        periodic_tasks.run("wash up")
    assert [outcome.name for outcome in periodic_tasks.run_due()] == ["sweep the floor"]
    go_on.set()
    clock.join()
    assert periodic_tasks.run("sweep the floor").ok


def test_a_name_that_is_none_is_told(diary: list[str]) -> None:
    with pytest.raises(NotFound, match="wash up"):
        periodic_tasks.run("was up")


def test_the_clock_does_them_beside_its_passes(site: Site, diary: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setitem(
        periodic_tasks.PERIODIC_TASKS, "sweep the floor", PeriodicTask(HOUR, lambda: str(never.wait(30)))
    )
    monkeypatch.setattr(scheduler, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(scheduler, "DUE_SECONDS", 0.05)
    stop = threading.Event()
    before = set(threading.enumerate())

    def clock() -> None:
        with site.app.app_context():
            scheduler.run(site.app, stop, threading.Event())

    thread = threading.Thread(target=clock)
    thread.start()
    first = eventually(lambda: site.sql("SELECT finished_at FROM periodic_task_runs WHERE name = 'sweep'"))
    eventually(lambda: site.sql("SELECT finished_at FROM periodic_task_runs WHERE name = 'sweep'") != first)
    never.set()
    eventually(lambda: diary == ["washed"])
    stop.set()
    thread.join()
    for each in set(threading.enumerate()) - before:
        each.join(30)


def test_the_doctor_comes_by_itself(site: Site) -> None:
    assert "parts answer." in periodic_tasks.run("doctor").said
