"""Alembic's environment: runs as the owner of the tables, under a lock, with a lock timeout."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, text

from portal.database import Base
from portal.database.schema import import_models

import_models()

# One number for everybody who migrates this database (pg_advisory_lock takes a bigint of our choice).
MIGRATION_LOCK = 7_303_014_201


def run() -> None:
    """Upgrade in one transaction. ``lock_timeout`` keeps a waiting ALTER from blocking everybody behind it."""
    engine = create_engine(context.config.attributes["url"])
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
        context.run_migrations()
    engine.dispose()


run()
