"""The worker: does the jobs of its queues in turn, and runs nothing that ``portal.queue.JOBS`` does not name.

    python -m portal.worker [QUEUE …]      # all of them, or those of PORTAL_WORKER_QUEUES, when none is named

Jobs run in the worker's own process, so that connections and clients stay warm; what is dangerous (decoding pictures)
runs in child processes of its own. A worker that is killed loses nothing: leases end, rows are enqueued again.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import redis
from flask import Flask
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import DequeueStrategy
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from portal import queue, tasks
from portal.app import create_app
from portal.database import db, leave
from portal.settings import Settings, SettingsError, exit_with_message
from portal.web import logs

log = logging.getLogger(__name__)

# Seconds after which a silent worker counts as gone; only RQ's own lists depend on it, never our rows.
WORKER_TTL = 30
IDLE_SECONDS = 5  # between two queries of what is due, while there is nothing to do
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds between two attempts to reach the database


class RegisteredJob(Job):
    """RQ resolves a job's function in several places, also when it cleans up after dead workers.

    Here it gets none but those that are registered, and no address to call.
    """

    @property
    def func(self) -> Any:
        """The registered function. Raises ``LookupError`` for any other."""
        if not is_registered(self):
            raise LookupError("a job that is not registered")
        return super().func

    @property
    def success_callback(self) -> None:
        """None, whatever Valkey says."""

    @property
    def failure_callback(self) -> None:
        """None, whatever Valkey says."""

    @property
    def stopped_callback(self) -> None:
        """None, whatever Valkey says."""

    def send_webhooks(self, status: Any, **_unused: Any) -> None:
        """To nobody."""


class StowageWorker(SimpleWorker):
    """RQ's worker with a check: RQ would import and call any dotted path that it finds in Valkey."""

    job_class = RegisteredJob
    app: Flask

    def dequeue_job_and_maintain_ttl(self, timeout: int | None, max_idle_time: int | None = None) -> Any:
        """The next job, once the database answers: without it every job would fail, and be lost from the queue.

        An entry that can't be read is dropped: RQ's own loop would end the worker.
        """
        while True:
            self._wait_for_database()
            self._enqueue_due()
            try:
                found = super().dequeue_job_and_maintain_ttl(timeout, max_idle_time or IDLE_SECONDS)
            except (redis.ConnectionError, redis.TimeoutError, StopRequested):
                raise
            except Exception as error:
                log.error("dropped an entry of the queue that can't be read: %s", type(error).__name__)
                self._drop(getattr(error, "job_id", None))
                continue
            if found is not None or max_idle_time is not None:
                return found

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Do it. What RQ can't book is dropped, and does not end the worker."""
        try:
            super().execute_job(job, queue)
        except (redis.ConnectionError, redis.TimeoutError, StopRequested):
            raise
        except Exception:
            log.exception("dropped the job %s", job.id)
            self._drop(job.id)

    def perform_job(self, job: Job, *arguments: Any, **options: Any) -> bool:
        """Run one job inside an application context; a job that is not ours is dropped and reported.

        So is one of a release that named its functions differently: its row is enqueued again under the new name.
        """
        if not is_registered(job):
            log.error("refused a job that is not registered: %s", job.id)
            job.delete()
            return False
        with self.app.app_context(), logs.bound(job=str(job.func_name).rpartition(".")[2], target=job.args[2]):
            return bool(super().perform_job(job, *arguments, **options))

    def _wait_for_database(self) -> None:
        pause = FIRST_PAUSE
        while True:
            with self.app.app_context():
                try:
                    db.session.execute(select(1))
                    return
                except SQLAlchemyError as error:
                    log.warning("no job is taken, the database does not answer: %s", type(error).__name__)
                finally:
                    leave()
            time.sleep(pause)
            self.heartbeat()
            pause = min(pause * 2, LONGEST_PAUSE)

    def _enqueue_due(self) -> None:
        """A worker that has nothing to do need not wait for the scheduler's next look at what is due."""
        if any(each.count for each in self.queues):
            return
        with self.app.app_context():
            try:
                tasks.enqueue_due()
            except SQLAlchemyError as error:
                log.warning("could not read what is due: %s", type(error).__name__)
            finally:
                leave()

    def _drop(self, job_id: str | None) -> None:
        if job_id is None:
            time.sleep(FIRST_PAUSE)  # a list that is none stays what it is: no reason to spin
        else:
            self.connection.delete(self.job_class.key_for(job_id))


def is_registered(job: Job) -> bool:
    """A path of ``JOBS``, three ids, and no callbacks or webhooks: those could name any function or address."""
    try:
        extras = (job._success_callback_name, job._failure_callback_name, job._stopped_callback_name, job.webhooks)
        name, arguments, options = job.func_name, job.args, job.kwargs
    except Exception:  # whatever bytes stand there: what can't be read is not ours
        return False
    listed = list(arguments) if isinstance(arguments, (list, tuple)) else []
    three_ids = len(listed) == 3 and all(isinstance(argument, str) for argument in listed)
    known = isinstance(name, str) and name in queue.PATHS and not job.instance
    return known and three_ids and not options and not any(extras)


def main(names: Sequence[str] = ()) -> None:
    """Work on these queues until stopped (SIGTERM: after the current job)."""
    with exit_with_message():
        settings = Settings.from_environ()
        logs.configure(settings.log_format)
        lanes = _lanes(names or settings.worker_queues)
        app = create_app(settings)
    with app.app_context():
        db.engine.dispose()
    try:
        _work(app, settings, lanes)
    except redis.RedisError as error:
        # Whoever supervises starts it again; until then the rows wait, and nothing is lost.
        log.error("Valkey does not answer: %s", type(error).__name__)
        sys.exit(1)


def _lanes(names: Sequence[str]) -> tuple[str, ...]:
    try:
        return queue.known_lanes(names)
    except ValueError as error:
        raise SettingsError([str(error)]) from None


def _work(app: Flask, settings: Settings, lanes: Sequence[str]) -> None:
    connection = queue.connect_waiting(settings.redis_url)
    make: Any = partial(Queue, connection=connection, serializer=JSONSerializer, job_class=RegisteredJob)
    worker = StowageWorker(
        [make(name) for name in lanes],
        connection=connection,
        serializer=JSONSerializer,
        job_class=RegisteredJob,
        worker_ttl=WORKER_TTL,
    )
    worker.app = app
    # In turn: an import of ten thousand files must not keep mail and purges waiting until its end.
    worker.work(with_scheduler=False, logging_level="WARNING", dequeue_strategy=DequeueStrategy.ROUND_ROBIN)


if __name__ == "__main__":
    main(sys.argv[1:])
