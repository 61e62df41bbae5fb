"""What the application's role could do in the database, were its statements an attacker's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.support.engines import TestEngines

# A view in a table's place, with a function that tells whose rights it runs with.
PLANTED = """
    CREATE FUNCTION pg_temp.tell() RETURNS uuid LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'ran as %', current_user; END $$;
    CREATE TEMP VIEW workspaces AS SELECT '{id}'::uuid AS id, pg_temp.tell() AS tenant_id;
    GRANT SELECT ON pg_temp.workspaces TO PUBLIC;
"""


@contextmanager
def temporary_tables_allowed(engines: TestEngines) -> Iterator[str]:
    """As in a database that was made by hand; gives the application's own address."""
    settings = engines.settings()
    assert settings.migration_database_url
    owner, app = (url.replace("+psycopg", "") for url in (settings.migration_database_url, settings.database_url))
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("GRANT TEMPORARY ON DATABASE stowage TO PUBLIC")
        try:
            yield app
        finally:
            connection.execute("REVOKE TEMPORARY ON DATABASE stowage FROM PUBLIC")


@pytest.mark.usefixtures("app")
def test_a_temporary_view_never_stands_in_for_a_table_of_ours(engines: TestEngines) -> None:
    planted = uuid4()
    with temporary_tables_allowed(engines) as address, psycopg.connect(address, autocommit=True) as connection:
        connection.execute(PLANTED.format(id=planted).encode())
        with pytest.raises(psycopg.errors.RaiseException, match="ran as stowage_app"):
            connection.execute("SELECT tenant_id FROM workspaces")
        row = connection.execute("SELECT tenant_of_workspace(%s)", [planted]).fetchone()
        assert row == (None,)


@pytest.mark.usefixtures("app")
def test_every_function_with_the_owners_rights_looks_for_temporary_names_last(engines: TestEngines) -> None:
    address = engines.settings().database_url.replace("+psycopg", "")
    with psycopg.connect(address) as connection:
        found = connection.execute(
            "SELECT proname, proconfig FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
        ).fetchall()
    assert len(found) >= 7
    assert [name for name, config in found if config != ["search_path=pg_catalog, public, pg_temp"]] == []


@pytest.mark.usefixtures("app")
def test_every_function_with_the_owners_rights_is_listed_with_its_reason(engines: TestEngines) -> None:
    listed = (Path(__file__).resolve().parents[2] / "docs" / "database-functions.md").read_text(encoding="utf-8")
    names = {name for row in re.findall(r"^\| (`.*?) \|", listed, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    address = engines.settings().database_url.replace("+psycopg", "")
    with psycopg.connect(address) as connection:
        rows = connection.execute(
            "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
        ).fetchall()
    assert names == {row[0] for row in rows}


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE stowage_owner",
        "CREATE TABLE mine (i int)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE assets DISABLE ROW LEVEL SECURITY",
        "TRUNCATE audit_events",
        "UPDATE audit_events SET action = 'nothing'",
        "DELETE FROM quota_ledger",
        "UPDATE plans SET limit_bytes = NULL",
        "INSERT INTO plans SELECT * FROM plans",
        "DELETE FROM plans",
        "DELETE FROM issued_links",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
def test_the_applications_role_may_not(engines: TestEngines, statement: str) -> None:
    address = engines.settings().database_url.replace("+psycopg", "")
    with psycopg.connect(address) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())
