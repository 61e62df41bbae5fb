"""The clock: a plain loop under a Postgres advisory lock that sweeps in its own process. It needs no Valkey.

A second thread does the chores, which may take their time, under locks of their own.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from portal.app import create_app
from portal.database import db, leave, now
from portal.lifecycle import periodic_tasks, sweep
from portal.settings import Settings, ending_in_words
from portal.web import logs

log = logging.getLogger(__name__)

TICK_SECONDS = 10
CLOCK_LOCK = 7_303_014_202  # pg_try_advisory_lock takes a bigint of our choice; one clock a database


def main() -> None:
    """Tick until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ending_in_words():
        settings = Settings.from_environ()
        logs.configure(settings.log_format)
        app = create_app(settings)
    with app.app_context():
        while not stop.is_set():
            try:
                with _only_clock() as alone:
                    if alone:
                        _tick(app, stop)
            except SQLAlchemyError as error:
                log.warning("the clock lost the database: %s", type(error).__name__)
                leave()
            except Exception:  # one pass that went wrong must not end all that come after it
                log.exception("the clock stumbled")
                leave()
            stop.wait(TICK_SECONDS)


def _tick(app: Flask, stop: threading.Event) -> None:
    """Sweep and do chores until told to stop; the chores end with the clock, done or not: they are safe to repeat."""
    over = threading.Event()
    threading.Thread(target=_do_chores, args=(app, over), name="chores", daemon=True).start()
    try:
        while not stop.is_set():
            began = now()
            done = sweep.run()
            periodic_tasks.ticked(began, _in_words(done))
            leave()
            stop.wait(TICK_SECONDS)
    finally:
        over.set()


def _do_chores(app: Flask, over: threading.Event) -> None:
    with app.app_context():
        while not over.is_set():
            try:
                periodic_tasks.run_due(over.is_set)
            except SQLAlchemyError as error:
                log.warning("the chores lost the database: %s", type(error).__name__)
            except Exception:
                log.exception("the chores stumbled")
            leave()
            over.wait(TICK_SECONDS)


def _in_words(done: Counter[str]) -> str:
    return ", ".join(f"{job} {count}" for job, count in sorted(done.items())) or "Nothing was due."


@contextmanager
def _only_clock() -> Iterator[bool]:
    """Hold the lock on a connection of its own for as long as the clock runs."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        alone = bool(connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": CLOCK_LOCK}))
        try:
            yield alone
        finally:
            if alone:
                connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": CLOCK_LOCK})


if __name__ == "__main__":
    main()
