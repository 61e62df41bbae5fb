"""The scheduler: one process of its own that looks every second at what is due. It needs no Valkey.

What only needs the database it does by itself; the rest it enqueues. A second thread runs the periodic tasks, which
may take their time. Of several schedulers one works, the others wait for its lease, which is a row: a lock of the
session would be lost, or kept too long, by a pooler that shares connections (PgBouncer).
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from datetime import timedelta

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from portal import tasks
from portal.app import create_app
from portal.database import leave, now
from portal.lifecycle import periodic_tasks, sweep
from portal.settings import Settings, exit_with_message
from portal.web import logs

log = logging.getLogger(__name__)

DUE_SECONDS = 1.0  # between two queries of what is due
SWEEP_SECONDS = 10.0  # between two passes over everything
LEASE = timedelta(seconds=15)  # so long nothing is done when the scheduler was killed


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with exit_with_message():
        settings = Settings.from_environ()
        logs.configure(settings.log_format)
        app = create_app(settings)
    with app.app_context():
        while not stop.is_set():
            try:
                with tasks.exclusive("scheduler", tasks.NOWHERE, lasts=LEASE) as lease:
                    if lease is not None:
                        run(app, stop, lease.lost)
            except SQLAlchemyError as error:
                log.warning("the scheduler lost the database: %s", type(error).__name__)
                leave()
            except Exception:  # one pass that went wrong must not end all that come after it
                log.exception("the scheduler failed")
                leave()
            stop.wait(DUE_SECONDS)


def run(app: Flask, stop: threading.Event, lost: threading.Event) -> None:
    """Sweep, and run periodic tasks, until it is stopped, or another scheduler has the lease.

    Periodic tasks end with the process, done or not: they are safe to repeat.
    """
    over = threading.Event()
    threading.Thread(target=_run_periodic_tasks, args=(app, over), name="periodic-tasks", daemon=True).start()
    swept_at = float("-inf")
    try:
        while not stop.is_set() and not lost.is_set():
            if time.monotonic() - swept_at >= SWEEP_SECONDS:
                swept_at, began = time.monotonic(), now()
                done = sweep.run()
                periodic_tasks.record_sweep(began, done)
            else:
                sweep.run_due()
            leave()
            stop.wait(DUE_SECONDS)
    finally:
        over.set()


def _run_periodic_tasks(app: Flask, over: threading.Event) -> None:
    with app.app_context():
        while not over.is_set():
            try:
                periodic_tasks.run_due(over.is_set)
            except SQLAlchemyError as error:
                log.warning("the periodic tasks lost the database: %s", type(error).__name__)
            except Exception:
                log.exception("the periodic tasks failed")
            leave()
            over.wait(SWEEP_SECONDS)


if __name__ == "__main__":
    main()
