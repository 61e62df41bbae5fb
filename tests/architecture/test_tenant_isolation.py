"""The second wall: whatever a query forgets, Postgres shows it the rows of the tenant that was entered, no others."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url, select

from portal.assets.models import Asset
from portal.database import Base, db, enter, schema, transaction
from tests.support.engines import TestEngines
from tests.support.factories import make_asset
from tests.support.people import Cast

schema.import_models()
# Whoever looks for work looks at every tenant's: that table has nothing but what stands here.
OPEN = {
    "tasks": {
        "id",
        "kind",
        "target_id",
        "tenant_id",
        "workspace_id",
        "lane",
        "due_at",
        "lease_token",
        "lease_until",
        "attempts",
        "waiting_for",
        "created_at",
    }
}
TABLES = sorted(
    table.name for table in Base.metadata.tables.values() if "tenant_id" in table.columns and table.name not in OPEN
)
Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def application(engines: TestEngines, cast: Cast) -> Iterator[Connection]:
    """The application's role, with two tenants' rows behind the wall."""
    make_asset(cast)
    make_asset(cast, workspace=cast.lair)
    url = make_url(engines.settings().database_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        yield connection


def entered(connection: Connection, tenant: UUID | None) -> None:
    connection.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant) if tenant else ""])


def tenants_seen(connection: Connection, table: str) -> set[object]:
    query = sql.SQL("SELECT DISTINCT tenant_id FROM {}").format(sql.Identifier(table))
    return {row[0] for row in connection.execute(query)}


def test_the_application_owns_nothing_and_can_not_step_around(application: Connection) -> None:
    role = "SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user"
    assert application.execute(role).fetchone() == (False, False, False)
    owned = "SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = current_user"
    assert application.execute(owned).fetchone() == (0,)


def test_every_table_that_names_a_tenant_has_the_wall(application: Connection) -> None:
    named = """
        SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attname = 'tenant_id'
          AND c.relname <> 'tasks'"""
    walled = f"{named} AND c.relrowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)"
    assert {row[0] for row in application.execute(walled)} == {row[0] for row in application.execute(named)}
    assert {row[0] for row in application.execute(named)} == set(TABLES)


def test_a_table_without_the_wall_holds_ids_and_times_alone() -> None:
    for name, columns in OPEN.items():
        assert set(Base.metadata.tables[name].columns.keys()) == columns


@pytest.mark.parametrize("table", TABLES)
def test_a_query_without_a_filter_sees_one_tenant_or_none(application: Connection, cast: Cast, table: str) -> None:
    assert tenants_seen(application, table) == set()
    entered(application, None)
    assert tenants_seen(application, table) == set()
    entered(application, cast.acme.id)
    assert tenants_seen(application, table) <= {cast.acme.id}
    entered(application, uuid4())
    assert tenants_seen(application, table) == set()


def test_a_service_that_forgot_its_filter_sees_its_own_tenant_only(application: Connection, cast: Cast) -> None:
    with cast.app.app_context():
        enter(cast.acme.id)
        assert {asset.workspace_id for asset in db.session.scalars(select(Asset))} == {cast.press.id}
        enter(cast.evil.id)
        assert {asset.workspace_id for asset in db.session.scalars(select(Asset))} == {cast.lair.id}
        with transaction(cast.acme.id) as session:
            assert {asset.workspace_id for asset in session.scalars(select(Asset))} == {cast.press.id}
        db.session.expunge_all()


def test_nobody_writes_into_another_tenant(application: Connection, cast: Cast) -> None:
    entered(application, cast.acme.id)
    for change in ("UPDATE assets SET file_name = 'x' WHERE tenant_id = %s", "DELETE FROM assets WHERE tenant_id = %s"):
        assert application.execute(change.encode(), [cast.evil.id]).rowcount == 0
    theirs = "INSERT INTO libraries (id, created_at, tenant_id, workspace_id, name) VALUES (%s, now(), %s, %s, 'x')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(theirs.encode(), [uuid4(), cast.evil.id, cast.lair.id])
    application.rollback()
    entered(application, cast.acme.id)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(b"UPDATE assets SET tenant_id = %s", [cast.evil.id])


def test_a_row_can_not_name_a_workspace_of_another_tenant(application: Connection, cast: Cast) -> None:
    entered(application, cast.acme.id)
    mixed = "INSERT INTO libraries (id, created_at, tenant_id, workspace_id, name) VALUES (%s, now(), %s, %s, 'x')"
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        application.execute(mixed.encode(), [uuid4(), cast.acme.id, cast.lair.id])


def test_what_happened_can_not_be_rewritten(application: Connection, cast: Cast) -> None:
    for table in ("audit_events", "quota_ledger"):
        for change in ("UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}"):
            entered(application, cast.acme.id)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                application.execute(sql.SQL(change).format(sql.Identifier(table)))
            application.rollback()
