"""The engine's options: what PgBouncer in transaction mode does not bear is switched off by one setting."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import NullPool, QueuePool, create_engine, text

from portal.database import engine_options
from portal.settings import Settings
from tests.support.engines import TestEngines

PREPARED = text("SELECT count(*) FROM pg_prepared_statements")
SAMPLE = text("SELECT 1 AS sample")


@pytest.mark.parametrize("pgbouncer", [False, True])
def test_statements_are_prepared_and_connections_kept_unless_pgbouncer_does(
    engines: TestEngines, app: Flask, pgbouncer: bool
) -> None:
    settings: Settings = replace(engines.settings(), pgbouncer=pgbouncer)
    engine = create_engine(settings.database_url, **engine_options(settings))
    with engine.connect() as connection:
        for _ in range(10):
            connection.execute(SAMPLE)
        assert (connection.scalar(PREPARED) == 0) is pgbouncer
    assert isinstance(engine.pool, NullPool if pgbouncer else QueuePool)
    engine.dispose()
