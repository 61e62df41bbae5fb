"""A database of an earlier revision is upgraded with rows in it: work under way gets its task, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
    "date": "current_date",
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
    with superuser(engines, NAME) as opened:
        yield opened


@contextmanager
def superuser(engines: TestEngines, database: str) -> Iterator[Connection]:
    postgres = engines.postgres
    with psycopg.connect(
        host="127.0.0.1",
        port=postgres.port,
        user="postgres",
        password=postgres.secrets.database_superuser,
        dbname=database,
        autocommit=True,
    ) as opened:
        opened.execute("SET session_replication_role = replica")
        yield opened


def upgrade(engines: TestEngines, revision: str, database: str = NAME) -> None:
    settings = engines.settings()
    owner = _with_database(settings.migration_database_url or "", database)
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


def test_rows_are_found_under_the_new_names(engines: TestEngines) -> None:
    _make_database(engines, "renamed", like="template0")
    upgrade(engines, "0020", "renamed")
    with superuser(engines, "renamed") as connection:
        values = {
            "quota_changes": {"lines": """'[{"after_bytes": 5}]'"""},
            "scan_policies": {
                "too_large": "'hold'",
                "encrypted": "'hold'",
                "macros": "'hold'",
                "unscannable": "'hold'",
                "wished": """'{"macros": "release"}'""",
            },
            "emails": {"state": "'sent'", "once": "'quota:1'"},
            "moves": {"state": "'done'", "stretch_bytes": "7"},
            "webhook_endpoints": {"state": "'failing'", "rests_until": "'2026-11-30 12:00Z'"},
            "quota_requests": {"state": "'open'", "wanted_bytes": "9"},
            "quarantine_decisions": {"what": "'release'"},
            "rescans": {"why": "'signatures'"},
            "daily_counts": {"what": "'scan'", "day": "current_date", "number": "4"},
            "periodic_task_runs": {"said": "'Done.'"},
            "workspace_quotas": {"moved_at": "now() - interval '1 hour'"},
            "workspace_usage": {"took_ms": "3", "as_of": "now() - interval '2 hours'"},
        }
        for table, row in values.items():
            add(connection, table, **row)
        connection.execute("INSERT INTO workspaces VALUES (%s, 'press', 'Press', %s, now())", [TENANT, PLACE])
        upgrade(engines, "head", "renamed")
        found = {
            "SELECT changes FROM quota_changes": [{"after_bytes": 5}],
            "SELECT proposed FROM scan_policies": {"macros": "release"},
            "SELECT deduplication_key FROM emails": "quota:1",
            "SELECT run_started_bytes FROM moves": 7,
            "SELECT paused_until = '2026-11-30 12:00Z' FROM webhook_endpoints": True,
            "SELECT requested_bytes FROM quota_requests": 9,
            "SELECT kind FROM quarantine_decisions": "release",
            "SELECT cause FROM rescans": "signatures",
            "SELECT number FROM counts_since(current_date) WHERE kind = 'scan'": 4,
            "SELECT message FROM periodic_task_runs": "Done.",
            "SELECT workspace_id FROM due_measurements(10)": PLACE,
            "SELECT count(*) FROM workspace_quotas WHERE changed_at < now()": 1,
        }
        for statement, value in found.items():
            assert connection.execute(statement.encode()).fetchone() == (value,), statement
        names = "SELECT conname FROM pg_constraint WHERE conname ~ '^(letters|chore_runs|scanner_proofs)_'"
        assert connection.execute(names).fetchall() == []
