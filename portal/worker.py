"""The worker: takes what the doorbell rang, runs nothing that the catalogue does not name.

Jobs run in the worker's own process, so that connections and clients stay warm; what is dangerous (decoding pictures)
runs in child processes of its own. A worker that is killed loses nothing: leases end, the sweep rings again.
"""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any

import redis
from flask import Flask
from rq import Queue, SimpleWorker
from rq.exceptions import DeserializationError
from rq.job import Job
from rq.serializers import JSONSerializer

from portal import queue
from portal.app import create_app
from portal.database import db
from portal.settings import Settings, ending_in_words
from portal.web import logs

log = logging.getLogger(__name__)

# Seconds after which a silent worker counts as gone; only RQ's own lists depend on it, never our rows.
WORKER_TTL = 30


class CatalogueJob(Job):
    """RQ asks a job for functions in more places than one, the clearing up after dead workers among them.

    Here it gets none but those of the catalogue, and no address to call.
    """

    @property
    def func(self) -> Any:
        """The function of the catalogue. Raises ``LookupError`` for any other."""
        if not is_ours(self):
            raise LookupError("a job that is not in the catalogue")
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
    """RQ's worker with a gate: RQ would import and call any dotted path that it finds in Valkey."""

    job_class = CatalogueJob
    app: Flask

    def perform_job(self, job: Job, *arguments: Any, **options: Any) -> bool:
        """Run one job inside an application context; a job that is not ours is dropped and reported."""
        if not is_ours(job):
            log.error("refused a job that is not in the catalogue: %s", job.id)
            job.delete()
            return False
        with self.app.app_context(), logs.bound(job=str(job.func_name).rpartition(".")[2], target=job.args[2]):
            return bool(super().perform_job(job, *arguments, **options))


def is_ours(job: Job) -> bool:
    """A path of the catalogue, three ids, and no callbacks or webhooks: those could name any function or address."""
    extras = (job._success_callback_name, job._failure_callback_name, job._stopped_callback_name, job.webhooks)
    try:
        name, arguments, options = job.func_name, job.args, job.kwargs
    except DeserializationError:
        return False
    listed = list(arguments) if isinstance(arguments, (list, tuple)) else []
    three_ids = len(listed) == 3 and all(isinstance(argument, str) for argument in listed)
    known = isinstance(name, str) and name in queue.PATHS and not job.instance
    return known and three_ids and not options and not any(extras)


def main() -> None:
    """Work until told to stop (SIGTERM: after the present job)."""
    with ending_in_words():
        settings = Settings.from_environ()
        logs.configure(settings.log_format)
        app = create_app(settings)
    with app.app_context():
        db.engine.dispose()
    try:
        _work(app, settings)
    except redis.RedisError as error:
        # Whoever supervises starts it again; until then the rows wait, and nothing is lost.
        log.error("Valkey does not answer: %s", type(error).__name__)
        sys.exit(1)


def _work(app: Flask, settings: Settings) -> None:
    connection = queue.connect_waiting(settings.redis_url)
    make: Any = partial(Queue, connection=connection, serializer=JSONSerializer, job_class=CatalogueJob)
    queues = [make(name) for name in queue.QUEUES]
    worker = StowageWorker(
        queues, connection=connection, serializer=JSONSerializer, job_class=CatalogueJob, worker_ttl=WORKER_TTL
    )
    worker.app = app
    worker.work(with_scheduler=False, logging_level="WARNING")


if __name__ == "__main__":
    main()
