"""The portal as it runs in a deployment: web, workers and clock as processes of their own that can be killed.

    settings = own_settings(engines, "live")     # a database, a queue and a bucket that no other test touches
    stack = Stack(settings, folder)
    stack.start()                                # web, two workers, the clock
    stack.workers[0].kill()                      # kill -9;  .freeze() / .thaw() are SIGSTOP and SIGCONT
    stack.stop()                                 # all are gone, whatever happened to them

``stack.app`` is the same application in the test's own process, ``stack.sql`` the database as the tables' owner.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from flask import Flask
from honcho.environ import parse_procfile  # type: ignore[import-untyped]
from psycopg import sql as identifiers
from sqlalchemy import make_url

from portal.app import create_app
from portal.database import db, schema
from portal.embedded.ports import choose
from portal.settings import Settings
from portal.storage.service import prepare_managed_store
from tests.support import secret_canary
from tests.support.engines import TestEngines

ROOT = Path(__file__).resolve().parents[2]
TABLES = "tables"  # a database with every table, and nothing in them
# A process that asks the kernel to be killed when its parent ends (PR_SET_PDEATHSIG), then becomes what it is for.
DIES_WITH_US = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
SHELL = "import os, sys; os.execv('/bin/sh', ['/bin/sh', '-c', sys.argv[1]])"


def own_settings(engines: TestEngines, name: str, *, queue: int, **overrides: Any) -> Settings:
    """Settings on the shared engines, with a database, a bucket and a queue (1 to 15) of their own, ready for use."""
    settings = engines.settings()
    _make_database(engines, name, like=TABLES)
    port = choose(set())
    assert settings.migration_database_url
    return replace(
        settings,
        database_url=_with_database(settings.database_url, name),
        migration_database_url=_with_database(settings.migration_database_url, name),
        redis_url=f"{settings.redis_url.rpartition('/')[0]}/{queue}",
        s3_bucket=f"bucket-{name}",
        base_url=f"http://127.0.0.1:{port}",
        **overrides,
    )


def make_tables(engines: TestEngines) -> None:
    """Run the migrations, once: the database of every test that wants one of its own is a copy."""
    settings = engines.settings()
    schema.upgrade(settings)
    _make_database(engines, TABLES, like=make_url(settings.database_url).database or "")


def application(settings: Settings) -> Flask:
    """The application in this process, its store prepared. Hand it to ``close`` in the end."""
    app = secret_canary.listen(create_app(settings))
    with app.app_context():
        prepare_managed_store(settings)
    return app


def close(app: Flask) -> None:
    """End its connections."""
    with app.app_context():
        db.engine.dispose()
    app.extensions["portal.redis"].close()
    app.extensions["portal.rates"].close()


def owner_sql(settings: Settings, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """One statement as the owner of the tables, who sees every tenant; its rows, when it has some."""
    url = make_url(settings.migration_database_url or "").set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


class Process:
    """One process of the portal. Its words go to a file beside its name."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self.command = command
        self.environment = environment
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it dies with us."""
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """kill -9 of it and of what it has started."""
        if self._process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self._process.kill()
        self._process.wait()

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to end, and see to it."""
        if self._process is None:
            return
        self.thaw()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self.kill()

    def freeze(self) -> None:
        """SIGSTOP: it stands still and knows nothing of it."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def words(self) -> str:
        """What it has written."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            os.kill(self.pid, number)


class Stack:
    """Web, workers and clock on one set of settings."""

    def __init__(self, settings: Settings, folder: Path, *, workers: int = 2, port: int = 0) -> None:
        """``port``: where the web process listens, when it is not that of the base address."""
        self.settings = settings
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._environment = folder, _environment(settings, folder)
        self.port = port or int(settings.base_url.rpartition(":")[2])
        self.web = self._web(str(self.port))
        self.workers = [self.new_worker() for _ in range(workers)]
        self.clock = self._process("clock", "-m", "portal.scheduler")
        self.app = application(settings)

    @property
    def processes(self) -> list[Process]:
        """All of them."""
        return [self.web, *self.workers, self.clock]

    def start(self) -> None:
        """Start all, and wait until the web process answers."""
        for process in self.processes:
            process.start()
        self.wait_for_web()

    def wait_for_web(self, seconds: float = 120) -> None:
        """Until it answers."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{self.port}/healthz", trust_env=False).status_code == 200:
                    return
            assert self.web.running and time.monotonic() < deadline, self.web.words()
            time.sleep(0.05)

    def new_worker(self) -> Process:
        """One more, not started."""
        number = len(getattr(self, "workers", ())) + 1
        return self._process(f"worker-{number}-{time.monotonic_ns()}", "-m", "portal.worker")

    def stop(self) -> None:
        """End all of them."""
        for process in self.processes:
            process.stop()
        close(self.app)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement as the owner of the tables."""
        return owner_sql(self.settings, statement, *values)

    def words(self) -> str:
        """What all of them have written, for a failed assertion."""
        return "\n".join(f"--- {process.name}\n{process.words()}" for process in self.processes)

    def _web(self, port: str) -> Process:
        """The Procfile's own line, so that what is tested is the server that a deployment runs."""
        line = parse_procfile((ROOT / "Procfile").read_text(encoding="utf-8")).processes["web"]
        path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        environment = {"WEB_CONCURRENCY": "1", **self._environment, "PORT": port, "PATH": path}
        return Process("web", [sys.executable, "-c", DIES_WITH_US, "-c", SHELL, line], environment, self._folder)

    def _process(self, name: str, *arguments: str) -> Process:
        return Process(name, [sys.executable, "-c", DIES_WITH_US, *arguments], self._environment, self._folder)


def _environment(settings: Settings, folder: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    own = {
        "PORTAL_DATABASE_URL": settings.database_url,
        "PORTAL_REDIS_URL": settings.redis_url,
        "PORTAL_S3_ENDPOINT": settings.s3_endpoint,
        "PORTAL_S3_PUBLIC_ENDPOINT": settings.s3_public_endpoint,
        "PORTAL_S3_REGION": settings.s3_region,
        "PORTAL_S3_BUCKET": settings.s3_bucket,
        "PORTAL_S3_ACCESS_KEY_ID": settings.s3_access_key_id,
        "PORTAL_S3_SECRET_ACCESS_KEY": settings.s3_secret_access_key,
        "PORTAL_SCANNER_URL": settings.scanner_url,
        "PORTAL_SCANNER_TEST_DATABASE": str(settings.scanner_test_database or ""),
        "PORTAL_BASE_URL": settings.base_url,
        "PORTAL_SECRET_KEYS": ",".join(settings.secret_keys),
        "PORTAL_VAULT_KEYS": ",".join(settings.vault_keys),
        "PORTAL_EGRESS_ALLOW": ",".join(settings.egress_allow),
        "PORTAL_TRUSTED_PROXIES": str(settings.trusted_proxies),
    }
    return {**clean, **own, "PYTHONUNBUFFERED": "1", "TMPDIR": str(temporary)}


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _make_database(engines: TestEngines, name: str, *, like: str) -> None:
    """``like``: the database that is copied; nobody may be connected to it. One of this name is replaced."""
    postgres = engines.postgres
    password = postgres.secrets.database_superuser
    owner, application_role = (
        make_url(url or "").username or ""
        for url in (engines.settings().migration_database_url, engines.settings().database_url)
    )
    with psycopg.connect(
        host="127.0.0.1", port=postgres.port, user="postgres", password=password, dbname="postgres", autocommit=True
    ) as connection:
        database = identifiers.Identifier(name)
        connection.execute(identifiers.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))
        create = identifiers.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}")
        connection.execute(create.format(database, identifiers.Identifier(owner), identifiers.Identifier(like)))
        grant = identifiers.SQL("GRANT CONNECT ON DATABASE {} TO {}")
        connection.execute(grant.format(database, identifiers.Identifier(application_role)))
