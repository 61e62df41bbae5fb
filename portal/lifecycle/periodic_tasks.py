"""Hourly and daily work. ``PERIODIC_TASKS`` lists all of it: what is done, and how often.

The scheduler runs what is due, one after another, in a thread of its own, so that a long task delays no sweep. A task
has a lease while it runs, and no open transaction: one that was killed is still due and runs again from its start. So
each of them must be safe to run twice. One that fails is tried again in an hour.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from flask_babel import gettext as _
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from portal import database, tasks
from portal.assets import full_scans
from portal.database import db, leave, transaction
from portal.errors import Conflict, NotFound, Problem
from portal.events import service as events
from portal.identity import sessions
from portal.lifecycle import recount
from portal.lifecycle.failure import TaskFailed
from portal.lifecycle.models import PeriodicTaskRun
from portal.mail import service as mail
from portal.quarantine import daily_summary
from portal.texts import Text
from portal.usage import measurement, snapshots
from portal.webhooks import dispatch

log = logging.getLogger(__name__)

RETRY = timedelta(hours=1)
LONGEST_RESULT = 2000  # characters
# The target of a task is a UUID. Those of periodic tasks are derived from their names in this namespace.
NAMESPACE = UUID("0c1f0f4a-6f0e-4e0d-9a53-7d6f0f9b6f01")
SWEEP = "sweep"  # the scheduler's own pass, recorded beside the periodic tasks


@dataclass(frozen=True)
class PeriodicTask:
    """``run`` does the work and returns a sentence about it. A ``Problem`` it raises is shown, other errors are logged.

    It is called inside the application, in no tenant, and opens its own transactions.
    """

    every: timedelta
    run: Callable[[], Text]


@dataclass(frozen=True)
class RunResult:
    """The result of one run."""

    name: str
    ok: bool
    result: Text


def examine() -> Text:
    """Check every part as ``portal doctor`` does. Raises ``TaskFailed`` when one is broken."""
    from portal.lifecycle import doctor

    findings = doctor.examine()
    broken = [each.sentence for each in findings if each.ok is False]
    if broken:
        raise TaskFailed(Text.join(*broken))
    warnings = [each.sentence for each in findings if each.ok is None]
    return Text.join(Text("%(count)s parts answer.", count=len(findings)), *warnings)


def forget_events() -> Text:
    """Delete events and e-mails that are older than 90 days."""
    return Text(
        "Deleted, because they were older than 90 days: %(events)s events and %(emails)s e-mails.",
        events=events.forget(),
        emails=mail.forget(),
    )


PERIODIC_TASKS: dict[str, PeriodicTask] = {
    "signatures": PeriodicTask(timedelta(hours=1), full_scans.start_after_updates),
    "doctor": PeriodicTask(timedelta(hours=6), examine),
    "forget_events": PeriodicTask(timedelta(days=1), forget_events),
    "forget_webhooks": PeriodicTask(timedelta(days=1), dispatch.forget),
    "forget_sessions": PeriodicTask(timedelta(days=1), sessions.forget),
    "measure": PeriodicTask(timedelta(minutes=1), measurement.measure_due),
    "snapshots": PeriodicTask(timedelta(hours=1), snapshots.take),
    "recount": PeriodicTask(timedelta(days=1), recount.recount_all),
    "quarantine_digest": PeriodicTask(timedelta(days=1), daily_summary.run),
}


def run_due(stop: Callable[[], bool] = lambda: False) -> list[RunResult]:
    """Run what is due, one after another, until ``stop`` says so."""
    done = []
    for name in _due():
        if stop():
            break
        try:
            done.append(run(name))
        except Conflict:
            log.info("the periodic task %s is run by hand", name)
    return done


def run(name: str) -> RunResult:
    """Run one now, due or not. Raises ``NotFound`` for an unknown name, ``Conflict`` while it runs elsewhere."""
    task = PERIODIC_TASKS.get(name)
    if task is None:
        names = ", ".join(sorted(PERIODIC_TASKS))
        raise NotFound(_("There is no periodic task “%(name)s”. There are: %(names)s.", name=name, names=names))
    with tasks.exclusive("periodic", uuid5(NAMESPACE, name)) as lease:
        if lease is None:
            raise Conflict(_("The periodic task “%(name)s” is already running.", name=name))
        started = database.now()
        _begin(name, started)
        outcome = _attempt(name, task)
        _finish(outcome, started, task.every if outcome.ok else min(RETRY, task.every))
        return outcome


def request(name: str) -> None:
    """Make one due now, so that the scheduler runs it within seconds. Raises ``NotFound``."""
    if name not in PERIODIC_TASKS:
        raise NotFound(_("There is no periodic task “%(name)s”.", name=name))
    with transaction():
        db.session.execute(
            update(PeriodicTaskRun).where(PeriodicTaskRun.name == name).values(next_due_at=database.now())
        )


def record_sweep(started: datetime, done: Counter[str]) -> None:
    """Record a pass of the scheduler, with how many tasks of each kind it did or enqueued."""
    counts = ", ".join(f"{kind} {count}" for kind, count in sorted(done.items()))
    result = Text("%(counts)s", counts=counts) if counts else Text("Nothing was due.")
    _finish(RunResult(SWEEP, ok=True, result=result), started, timedelta())


@dataclass(frozen=True)
class Status:
    """The state of one periodic task: ``ok``, ``failed``, ``running`` or ``waiting`` (it has never run)."""

    name: str
    state: str
    result: Text
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next_due_at: datetime | None = None
    failures: int = 0


def statuses(*names: str) -> list[Status]:
    """Every periodic task, or those of these names."""
    runs = {each.name: each for each in db.session.scalars(select(PeriodicTaskRun))}
    return [_status(name, runs.get(name)) for name in names or sorted(PERIODIC_TASKS)]


def _status(name: str, run: PeriodicTaskRun | None) -> Status:
    if run is None:
        return Status(name, "waiting", Text("It has not run yet."))
    # A run that was killed never finished; until it is tried again it can't be told from one that is running.
    running = run.finished_at is None or run.finished_at < run.started_at
    state = "running" if running else "ok" if run.ok else "failed"
    return Status(name, state, run.message, run.started_at, run.finished_at, run.next_due_at, run.failures)


def _due() -> list[str]:
    with transaction():
        later = set(
            db.session.scalars(select(PeriodicTaskRun.name).where(PeriodicTaskRun.next_due_at > database.now()))
        )
    return [name for name in PERIODIC_TASKS if name not in later]


def _attempt(name: str, task: PeriodicTask) -> RunResult:
    leave()
    try:
        return RunResult(name, ok=True, result=task.run())
    except Problem as problem:
        log.warning("the periodic task %s could not be done: %s", name, problem.detail)
        result = problem.result if isinstance(problem, TaskFailed) else Text.load(problem.detail)
        return RunResult(name, ok=False, result=result)
    except Exception as error:
        if database.is_unavailable(error):
            raise  # nothing can be recorded, and the task is still due
        log.exception("the periodic task %s failed", name)
        return RunResult(
            name, ok=False, result=Text("It failed with an unexpected error. See the log of the scheduler.")
        )
    finally:
        leave()


def _begin(name: str, started: datetime) -> None:
    run = PeriodicTaskRun
    values = {run.name: name, run.started_at: started, run.message: Text(""), run.failures: 0, run.next_due_at: started}
    # A row that exists keeps its result, so that the page shows the last one while this run is going on.
    statement = insert(run).values(values)
    with transaction():
        db.session.execute(statement.on_conflict_do_update(index_elements=["name"], set_={run.started_at: started}))


def _finish(outcome: RunResult, started: datetime, until_next: timedelta) -> None:
    run = PeriodicTaskRun
    values: dict[Any, Any] = {
        run.started_at: started,
        run.finished_at: database.now(),
        run.ok: outcome.ok,
        run.message: _shortened(outcome.result),
        run.next_due_at: started + until_next,
    }
    first = {run.name: outcome.name, run.failures: 0 if outcome.ok else 1}
    again = {run.failures: 0 if outcome.ok else run.failures + 1}
    statement = insert(run).values(values | first)
    with transaction():
        db.session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values | again))


def _shortened(result: Text) -> Text:
    """A long result is cut, and then it is English: the middle of its values can't be translated."""
    return result if len(result.stored) <= LONGEST_RESULT else Text.load(result.english[:LONGEST_RESULT])
