"""A database of the revision before is upgraded with work under way: everything that is not done gets its task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from alembic import command
from sqlalchemy import make_url

from portal.database import schema
from tests.support.engines import TestEngines
from tests.support.processes import _make_database, _with_database

BEFORE = "0018"
NAME = "upgraded"
TENANT, PLACE = uuid4(), uuid4()
DUMMIES = {
    "uuid": "gen_random_uuid()",
    "text": "'x'",
    "character varying": "'x'",
    "integer": "1",
    "bigint": "1",
    "smallint": "1",
    "boolean": "false",
    "jsonb": "'{}'",
    "bytea": "''",
    "ARRAY": "'{}'",
    "timestamp with time zone": "now()",
}
Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def connection(engines: TestEngines) -> Iterator[Connection]:
    """The database at the revision before, as a superuser who is bound by no foreign key."""
    _make_database(engines, NAME, like="template0")
    upgrade(engines, BEFORE)
    postgres = engines.postgres
    with psycopg.connect(
        host="127.0.0.1",
        port=postgres.port,
        user="postgres",
        password=postgres.secrets.database_superuser,
        dbname=NAME,
        autocommit=True,
    ) as opened:
        opened.execute("SET session_replication_role = replica")
        yield opened


def upgrade(engines: TestEngines, revision: str) -> None:
    settings = engines.settings()
    owner = _with_database(settings.migration_database_url or "", NAME)
    command.upgrade(schema.alembic_config(owner, make_url(settings.database_url).username or ""), revision)


def add(connection: Connection, table: str, **values: str) -> UUID:
    """A row with these SQL values, and something for whatever else must not be null."""
    columns = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s"
        " AND table_schema = 'public' AND is_nullable = 'NO' AND column_default IS NULL AND is_generated = 'NEVER'",
        [table],
    ).fetchall()
    row_id = uuid4()
    row = {name: DUMMIES[kind] for name, kind in columns}
    row |= {"id": f"'{row_id}'"} if "id" in row else {}
    row |= {name: f"'{value}'" for name, value in (("tenant_id", TENANT), ("workspace_id", PLACE)) if name in row}
    row |= values
    names, given = ", ".join(row), ", ".join(row.values())
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({given})".encode())
    return row_id


def test_everything_that_is_not_done_gets_its_task(engines: TestEngines, connection: Connection) -> None:
    later = "now() + interval '1 hour'"
    asset = {"previews": "'none'", "scan_result": "'clean'", "attempts": "0"}
    held = asset | {"state": "'quarantined'", "purge_after": later}
    upload = {"expires_at": later, "form_expires_at": later}
    wanted: dict[UUID, set[str]] = {
        add(connection, "assets", **asset | {"state": "'processing'", "attempts": "2", "due_at": "now()"}): {"take_in"},
        add(connection, "assets", **asset | {"state": "'processing'", "size_bytes": str(2**30)}): {"take_in"},
        add(connection, "assets", **asset | {"state": "'available'", "previews": "'pending'"}): {"render_previews"},
        add(
            connection,
            "assets",
            **asset | {"state": "'available'", "scan_result": "'not_scanned'", "scan_reason": "'off'"},
        ): {"rescan"},
        add(connection, "assets", **held | {"due_at": "now()"}): {"rescan", "purge"},
        add(connection, "assets", **held | {"desk_job": "'rescan_later'"}): {"rescan_quarantined", "purge"},
        add(connection, "assets", **held | {"desk_job": "'release'"}): {"release_quarantined", "purge"},
        add(connection, "assets", **asset | {"state": "'available'", "desk_job": "'tidy'"}): {"release_quarantined"},
        add(connection, "assets", **asset | {"state": "'deleted'", "purge_after": later}): {"purge"},
        add(connection, "assets", **asset | {"state": "'available'"}): set(),
        add(connection, "uploads", **upload | {"state": "'uploading'"}): {"expire"},
        add(connection, "uploads", **upload | {"state": "'committed'"}): {"clear_staging"},
        add(connection, "uploads", **upload | {"state": "'committed'", "cleared_at": "now()"}): set(),
        add(connection, "moves", state="'copying'", due_at="now()"): {"move"},
        add(connection, "moves", state="'done'"): set(),
        add(connection, "letters", state="'sending'", due_at="now()", claim_until=later): {"send_email"},
        add(connection, "letters", state="'sent'"): set(),
        add(connection, "events", told="false"): {"dispatch"},
        add(connection, "events", told="true"): set(),
    }
    endpoint = add(connection, "webhook_endpoints", state="'failing'", rests_until=later)
    add(connection, "webhook_deliveries", endpoint_id=f"'{endpoint}'", state="'waiting'", due_at="now()")
    own = {"mode": "'byos_s3'", "store": "'s'", "bucket": "'b'", "region": "'r'", "access_key_id": "'k'"}
    sealed = {"sealed_secret": "''", "wrapped_key": "''", "vault_key_id": "'v'", "encryption": "'none'"}
    profile = own | sealed | {"addressing_style": "'auto'", "health": "'probing'"}
    wanted[endpoint] = {"deliver"}
    wanted[add(connection, "storage_profiles", **profile)] = {"probe"}

    upgrade(engines, "head")
    found: dict[UUID, set[str]] = {row_id: set() for row_id in wanted}
    for target_id, kind in connection.execute("SELECT target_id, kind FROM tasks"):
        found[target_id].add(kind)
    assert found == wanted
    lanes = connection.execute("SELECT lane, attempts FROM tasks WHERE kind = 'take_in' ORDER BY lane").fetchall()
    assert lanes == [("intake", 2), ("slow", 0)]
    waits = "SELECT count(*) FROM tasks WHERE due_at IS NULL AND waiting_for IN ('scanner', 'signatures')"
    assert connection.execute(waits).fetchone() == (2,)
    rests = "SELECT due_at > now() FROM tasks WHERE kind IN ('deliver', 'send_email')"
    assert connection.execute(rests).fetchall() == [(True,), (True,)]
