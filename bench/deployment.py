"""A whole portal of its own for a benchmark: engines, tables, people, and a folder for logs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask
from psycopg import ClientCursor
from sqlalchemy import Engine, create_engine, make_url

from bench import peer
from portal.app import create_app
from portal.database import db, schema
from portal.settings import Settings
from portal.storage.service import prepare_managed_store
from tests.support.engines import TestEngines, start_engines
from tests.support.people import Cast, make_cast


@dataclass(frozen=True)
class Deployment:
    """``port`` is the one that the store knows as the portal's; ``environment`` leads any process here."""

    engines: TestEngines
    settings: Settings
    environment: dict[str, str]
    app: Flask
    cast: Cast
    folder: Path

    @property
    def port(self) -> int:
        """Where the portal must be served."""
        return self.engines.web_port

    @property
    def host(self) -> str:
        """What a client calls it."""
        return urlsplit(self.settings.base_url).netloc

    def superuser(self) -> Engine:
        """Connections to the database that row-level security does not bind. Parameters are put into the statements by
        the client, as those that create tables need it.
        """
        url = make_url(self.settings.database_url)
        password = self.engines.postgres.secrets.database_superuser
        return create_engine(
            url.set(username="postgres", password=password), connect_args={"cursor_factory": ClientCursor}
        )


@contextmanager
def deployed() -> Iterator[Deployment]:
    """The engines run as shipped, except that Postgres does not wait for the disk: disks differ too much."""
    engines = start_engines()
    try:
        settings = engines.settings()
        schema.upgrade(settings)
        peer.make_table(settings)
        app = create_app(settings)
        with app.app_context():
            prepare_managed_store(settings)
        with tempfile.TemporaryDirectory(prefix="stowage-bench-") as folder:
            yield Deployment(engines, settings, engines.environment(), app, make_cast(app), Path(folder))
        with app.app_context():
            db.engine.dispose()
    finally:
        engines.stop()
