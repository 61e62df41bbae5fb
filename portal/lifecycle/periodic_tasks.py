"""Daily and weekly work. ``PERIODIC_TASKS`` is the whole list: what is done, and how often.

The scheduler runs what is due, one after another, in a thread of its own, so that a long one delays no sweep. No
transaction is open while one runs, only a lease: one that was killed is still due, and runs again from its
beginning. So each of them must be safe to run twice. One that fails is tried again in an hour.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
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
from portal.lifecycle.models import PeriodicTaskRun
from portal.mail import service as mail
from portal.quarantine import daily_summary
from portal.usage import measurement, snapshots
from portal.webhooks import dispatch

log = logging.getLogger(__name__)

RETRY = timedelta(hours=1)
LONGEST_WORDS = 2000
NAMES = UUID("0c1f0f4a-6f0e-4e0d-9a53-7d6f0f9b6f01")  # of ours: a task's target is a UUID, made from a name here
SWEEP = "sweep"  # the scheduler's own pass, kept beside the periodic tasks


@dataclass(frozen=True)
class PeriodicTask:
    """``run`` does it and says in one line what it did; a ``Problem`` says why it could not, any other error is logged.

    It is called inside the application, in no tenant, and opens its own transactions.
    """

    every: timedelta
    run: Callable[[], str]


@dataclass(frozen=True)
class Outcome:
    """How one run went."""

    name: str
    ok: bool
    said: str


def examine() -> str:
    """Look at every part as ``portal doctor`` does. Raises ``Problem`` when one is broken."""
    from portal.lifecycle import doctor

    findings = doctor.examine()
    broken = [f"{finding.name}: {finding.detail}" for finding in findings if finding.ok is False]
    if broken:
        raise Problem(" ".join(broken))
    warnings = [f" {finding.name}: {finding.detail}" for finding in findings if finding.ok is None]
    return f"{len(findings)} parts answer.{''.join(warnings)}"


def forget_events() -> str:
    """Remove events and e-mails that were kept for 90 days."""
    return f"{events.forget()} events and {mail.forget()} e-mails, older than 90 days, were removed."


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


def run_due(stop: Callable[[], bool] = lambda: False) -> list[Outcome]:
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


def run(name: str) -> Outcome:
    """Run one now, due or not. Raises ``NotFound`` for a name that is none, ``Conflict`` while it runs elsewhere."""
    task = PERIODIC_TASKS.get(name)
    if task is None:
        names = ", ".join(sorted(PERIODIC_TASKS))
        raise NotFound(_("There is no periodic task “%(name)s”. These exist: %(names)s.", name=name, names=names))
    with tasks.exclusive("periodic", uuid5(NAMES, name)) as lease:
        if lease is None:
            raise Conflict(_("The periodic task %(name)s is running already.", name=name))
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


def note_sweep(started: datetime, said: str) -> None:
    """Write down that the scheduler has made its pass."""
    _finish(Outcome(SWEEP, ok=True, said=said), started, timedelta())


@dataclass(frozen=True)
class Status:
    """One periodic task as it is: ``state`` is ``ok``, ``failed``, ``running`` or ``waiting`` (it never ran)."""

    name: str
    state: str
    said: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next_due_at: datetime | None = None
    failures: int = 0


def statuses(*names: str) -> list[Status]:
    """Every periodic task, or those of these names, as the table has it."""
    runs = {each.name: each for each in db.session.scalars(select(PeriodicTaskRun))}
    return [_status(name, runs.get(name)) for name in names or sorted(PERIODIC_TASKS)]


def _status(name: str, run: PeriodicTaskRun | None) -> Status:
    if run is None:
        return Status(name, "waiting", "It has not run yet.")
    running = run.finished_at is None or run.finished_at < run.started_at
    state = "running" if running else "ok" if run.ok else "failed"
    return Status(name, state, run.message, run.started_at, run.finished_at, run.next_due_at, run.failures)


def _due() -> list[str]:
    with transaction():
        later = set(
            db.session.scalars(select(PeriodicTaskRun.name).where(PeriodicTaskRun.next_due_at > database.now()))
        )
    return [name for name in PERIODIC_TASKS if name not in later]


def _attempt(name: str, task: PeriodicTask) -> Outcome:
    leave()
    try:
        return Outcome(name, ok=True, said=task.run())
    except Problem as problem:
        log.warning("the periodic task %s could not be done: %s", name, problem.detail)
        return Outcome(name, ok=False, said=problem.detail)
    except Exception as error:
        if database.is_unavailable(error):
            raise  # nothing can be written down, and it is due still
        log.exception("the periodic task %s failed", name)
        return Outcome(name, ok=False, said="It failed for a reason that nobody foresaw: the log says more.")
    finally:
        leave()


def _begin(name: str, started: datetime) -> None:
    values = {"started_at": started, "message": "", "failures": 0, "next_due_at": started}
    statement = insert(PeriodicTaskRun).values(name=name, **values)
    with transaction():
        db.session.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"started_at": started}))


def _finish(outcome: Outcome, started: datetime, until_next: timedelta) -> None:
    values = {
        "started_at": started,
        "finished_at": database.now(),
        "ok": outcome.ok,
        "message": outcome.said[:LONGEST_WORDS],
        "failures": 0 if outcome.ok else 1,
        "next_due_at": started + until_next,
    }
    changed = values | {"failures": 0 if outcome.ok else PeriodicTaskRun.failures + 1}
    statement = insert(PeriodicTaskRun).values(name=outcome.name, **values)
    with transaction():
        db.session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))
