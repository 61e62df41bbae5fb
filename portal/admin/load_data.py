"""A generated tenant for load tests: hundreds of workspaces, thousands of people, a million files.

The tenant and its workspaces are created like any other; their rows are written by a few statements over whole tables,
as the owner of the tables. They are what the pipeline would write, ledger included, so that the doctor finds every byte
explained; only the objects are missing in the store. Random values come from a seed: two runs make the same tenant.

The statements stay SQL text: generate_series, arrays picked by chance and INSERT … SELECT over millions of rows are
PostgreSQL's own, and would be no clearer as expressions of SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import ClientCursor
from sqlalchemy import Connection, Engine, create_engine, text

from portal.admin import load_data_sql as sql
from portal.admin import service
from portal.settings import Settings, SettingsError
from portal.tenancy.models import TenantRole
from portal.usage import measurement, snapshots

BATCH = 100_000  # files written by one statement: the queue of its foreign key checks stays in memory
TEAMS = ("Press", "Design", "Events", "Legal", "Sales", "Product", "Film", "Archive", "Fair", "Shop")
DAYS = 120  # the age of the oldest file


@dataclass(frozen=True)
class Size:
    """How large the tenant will be."""

    workspaces: int = 500
    people: int = 5_000
    assets: int = 1_000_000


def owner_engine(settings: Settings) -> Engine:
    """The database as the owner of its tables. Raises ``SettingsError``."""
    if settings.migration_database_url is None:
        raise SettingsError(["PORTAL_MIGRATION_DATABASE_URL is missing: only the owner of the tables writes this many"])
    written_in = {"cursor_factory": ClientCursor}  # no types to guess for a value that stands in several places
    return create_engine(settings.migration_database_url, hide_parameters=True, connect_args=written_in)


def generate(settings: Settings, slug: str, size: Size, admin: str | None, say: Callable[[str], None]) -> UUID:
    """Create the tenant ``slug``; returns its id. ``admin`` is the e-mail address of an existing person, or None.

    Raises ``Conflict`` when there is such a tenant, ``NotFound`` for an unknown address.
    """
    engine = owner_engine(settings)
    tenant_id = service.open_tenant(slug, f"Load test {slug}", "enterprise").id
    if admin is not None:
        service.add_user(slug, service.require_user(admin).email, TenantRole.ADMIN, None)
    with engine.begin() as connection:
        _run(connection, sql.SEED, *sql.PEOPLE, tenant=tenant_id, slug=slug, people=size.people, days=DAYS)
    workspaces = []
    for number in range(size.workspaces):
        name = f"{TEAMS[number % len(TEAMS)]} {number + 1}"
        owner = f"person-{1 + number % size.people}@{slug}.example"
        workspaces.append(service.open_workspace(slug, f"team-{number + 1}", name, owner).id)
    say(f"{size.people:,} people in {size.workspaces:,} workspaces.")
    with engine.begin() as connection:
        _run(connection, sql.SEED, *sql.WORKSPACES, tenant=tenant_id, workspaces=size.workspaces)
        with without_name_index(connection):
            for first in range(1, size.assets + 1, BATCH):
                last = min(first + BATCH - 1, size.assets)
                write_assets(connection, first, last, of=size.assets)
                _run(connection, *sql.LEDGER)
                say(f"{last:,} files.")
        _run(connection, *sql.COUNTERS, tenant=tenant_id, days=DAYS)
        _run(connection, sql.VARIANTS, tenant=tenant_id, newest=20_000)
    update_statistics(engine)
    snapshots.take_of(tenant_id)
    for workspace_id in workspaces:
        measurement.measure(tenant_id, workspace_id)
    say("Counters, snapshots and statistics.")
    return tenant_id


def write_assets(
    connection: Connection, first: int, last: int, *, of: int, days: int = DAYS, photos: bool = False
) -> None:
    """The files ``first`` to ``last`` of ``of``, spread over ``days`` and over the workspaces in ``load_workspaces``.

    ``photos``: only pictures with previews.
    """
    span = {"first": first, "last": last, "of": of, "days": days, "photos": photos}
    _run(connection, sql.CLEAR, sql.BATCH, sql.ASSETS, **span)


@contextmanager
def without_name_index(connection: Connection) -> Iterator[None]:
    """Drop the index of names and create it again at the end: extending it row by row takes longer."""
    definition = connection.scalar(text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_assets_name'"))
    connection.execute(text("DROP INDEX IF EXISTS ix_assets_name"))
    yield
    if definition:
        connection.execute(text(definition))


def _run(connection: Connection, *statements: str, **values: Any) -> None:
    for statement in statements:
        connection.execute(text(statement), values)


def update_statistics(engine: Engine) -> None:
    """Update the planner's statistics."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM ANALYZE {', '.join(sql.WRITTEN)}"))
    engine.dispose()
