"""The portal behind HTTP in this process, on a store that takes forms and on one that does not; no worker runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
import pytest
from botocore.config import Config
from flask import Flask
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer
from werkzeug.serving import make_server

from portal import queue, tasks
from portal.database import leave
from portal.lifecycle import doctor, sweep
from portal.objectstore import keys
from portal.settings import Settings
from portal.webhooks import dispatch
from tests.support.api_client import ApiClient
from tests.support.engines import TestEngines
from tests.support.people import Cast, make_cast
from tests.support.processes import application, close, own_settings, owner_sql
from tests.support.stores.no_post_proxy import Proxy

LATER = "('expire', 'clear_staging', 'purge')"  # kinds whose time is a promise, not a pause


@dataclass
class Site:
    """An application that is served over HTTP, and what a test changes past it."""

    app: Flask
    settings: Settings

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement as the owner of the tables."""
        return owner_sql(self.settings, statement, *values)

    @property
    def root(self) -> Any:
        """The store by its root key, as no browser has it."""
        return boto3.client(
            "s3",
            endpoint_url=self.settings.s3_public_endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.settings.s3_access_key_id,
            aws_secret_access_key=self.settings.s3_secret_access_key,
            config=Config(signature_version="s3v4", request_checksum_calculation="when_required", proxies={}),
        )

    def put(self, key: str, content: bytes) -> None:
        """Write an object past every rule."""
        self.root.put_object(Bucket=self.settings.s3_bucket, Key=key, Body=content)

    def keys(self, prefix: str) -> list[str]:
        """What lies below a prefix."""
        listed = self.root.list_objects_v2(Bucket=self.settings.s3_bucket, Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def run_jobs(self) -> list[str]:
        """Do what is due, in this process, until nothing is; the kinds of the jobs that were done.

        Events are dispatched, too: the scheduler does that within a second.
        """
        done: list[str] = []
        while True:
            jobs = self._waiting() or self._due()
            if not jobs and not self._dispatch():
                return done
            if not jobs:
                done.append("dispatch")
            for job in jobs:
                module, _, function = str(job.func_name).rpartition(".")
                with self.app.app_context():
                    getattr(import_module(module), function)(*job.args)
                job.delete()
                done.append(str(job.description))

    def _dispatch(self) -> int:
        with self.app.app_context():
            tenants = [tenant for (tenant,) in self.sql("SELECT DISTINCT tenant_id FROM tasks WHERE kind = 'dispatch'")]
            for tenant_id in tenants:
                dispatch.run(tenant_id)
                leave()
        return len(tenants)

    def _waiting(self) -> list[Job]:
        """Take what waits in the queue."""
        connection, found = self.app.extensions["portal.redis"], []
        for lane in queue.LANES:
            waiting = Queue(lane, connection=connection, serializer=JSONSerializer)
            while waiting.count:
                job = waiting.fetch_job(waiting.pop_job_id() or "")
                assert job is not None and job.func_name in queue.PATHS
                found.append(job)
        return found

    def _due(self) -> list[Job]:
        with self.app.app_context():
            tasks.enqueue_due()
        return self._waiting()

    def make_due(self) -> None:
        """Let what waits for its next attempt, or was leased by somebody who died, be due now."""
        past = "now() - interval '1 second'"
        ended = "lease_until = CASE WHEN lease_until IS NOT NULL THEN now() - interval '1 second' END"
        again = f"(kind NOT IN {LATER} OR waiting_for IS NOT NULL OR attempts > 0)"
        self.sql(f"UPDATE tasks SET due_at = {past}, {ended} WHERE due_at IS NOT NULL AND {again}")

    def kill_worker_of(self, target_id: str | UUID, kind: str) -> None:
        """What a worker leaves that was killed in the middle of this task, a minute later."""
        dead = "attempts = attempts + 1, lease_token = 'dead', lease_until = now() - interval '1 second'"
        self.sql(f"UPDATE tasks SET {dead} WHERE target_id = %s AND kind = %s", UUID(str(target_id)), kind)

    def end_leases(self, target_id: str | UUID) -> None:
        """Let whoever is at work there have stalled for longer than the lease lasts."""
        past = "now() - interval '1 second'"
        ended = f"UPDATE tasks SET lease_until = {past} WHERE target_id = %s AND lease_token IS NOT NULL"
        self.sql(ended, UUID(str(target_id)))

    def task(self, target_id: str | UUID, kind: str, columns: str = "attempts, waiting_for") -> tuple[Any, ...] | None:
        """Columns of one task, None when there is none."""
        rows = self.sql(f"SELECT {columns} FROM tasks WHERE target_id = %s AND kind = %s", UUID(str(target_id)), kind)
        return rows[0] if rows else None

    def sweep(self) -> dict[str, int]:
        """One pass of the sweep."""
        with self.app.app_context():
            return dict(sweep.run())

    def broken(self, cast: Cast) -> list[str]:
        """What the doctor finds broken in the cast's tenant."""
        with self.app.app_context():
            return [finding.detail.english for finding in doctor.examine_tenant(cast.acme.id) if finding.ok is False]

    def ledger(self, upload_id: str) -> list[str]:
        """Why counters moved for one upload, oldest first."""
        rows = self.sql("SELECT entry FROM quota_ledger WHERE subject_id = %s ORDER BY id", UUID(upload_id))
        return [entry for (entry,) in rows]

    def expire_upload(self, upload_id: str) -> None:
        """Let the life of a session, and of its form, be over since ten minutes."""
        past = "expires_at = now() - interval '10 minutes', form_expires_at = now() - interval '10 minutes'"
        past += ", created_at = created_at - interval '8 days'"  # not the short life before the first part
        self.sql(f"UPDATE uploads SET {past} WHERE id = %s", UUID(upload_id))
        self.sql("UPDATE tasks SET due_at = now() - interval '1 second' WHERE target_id = %s", UUID(upload_id))


@dataclass
class Scene:
    """A site, people with a workspace of their own behind it, and their clients."""

    site: Site
    cast: Cast
    alice: ApiClient
    bob: ApiClient
    vera: ApiClient
    mallory: ApiClient

    def staging_key(self, begun: dict[str, Any], name: str) -> str:
        """Where an upload's bytes are sent to."""
        return keys.staging(self.cast.press.id, UUID(begun["upload_id"]), name)

    def objects(self) -> list[str]:
        """Every object of the workspace."""
        return self.site.keys(keys.workspace_prefix(self.cast.press.id))


def served(settings: Settings) -> Iterator[Site]:
    """Serve an application of these settings in a thread."""
    app = application(settings)
    port = int(settings.base_url.rpartition(":")[2])
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="site")
    thread.start()
    yield Site(app, settings)
    server.shutdown()
    thread.join()
    server.server_close()
    close(app)


@pytest.fixture(scope="session")
def post_site(engines: TestEngines) -> Iterator[Site]:
    """On the embedded store, which takes forms."""
    yield from served(own_settings(engines, "forms", queue=2))


@pytest.fixture(scope="session")
def put_site(engines: TestEngines) -> Iterator[Site]:
    """On a store that answers 501 to forms."""
    with Proxy(engines.settings().s3_endpoint) as proxy:
        addresses = {"s3_endpoint": proxy.url, "s3_public_endpoint": proxy.url}
        yield from served(own_settings(engines, "puts", queue=3, **addresses))


def scene_at(site: Site, **options: Any) -> Iterator[Scene]:
    """New people at a site, its queues empty."""
    site.app.extensions["portal.redis"].flushdb()
    site.sql("DELETE FROM tasks")
    cast = make_cast(site.app, **options)
    clients = {
        name: ApiClient(site.settings.base_url, getattr(cast, name).token, cast.press.id)
        for name in ("alice", "bob", "vera", "mallory")
    }
    yield Scene(site, cast, **clients)
    for client in clients.values():
        client.close()


@pytest.fixture(scope="session")
def site(post_site: Site) -> Site:
    """The site of ``scene``. Tests that need a portal of their own have a ``site`` of their own."""
    return post_site


@pytest.fixture
def scene(site: Site) -> Iterator[Scene]:
    """New people behind the site."""
    yield from scene_at(site)


@pytest.fixture(params=["post", "put"])
def either(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """The same, in turn with a store that does not."""
    yield from scene_at(request.getfixturevalue(f"{request.param}_site"))


@pytest.fixture
def text(tmp_path: Path) -> bytes:
    """A file of a kind that needs no previews, different in every test."""
    return f"Written by {tmp_path}.\n".encode() * 50
