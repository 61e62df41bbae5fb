"""The second wall: the database shows one tenant's rows, whatever the application forgets."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import ProgrammingError

from portal import database
from portal.database import Base, db, new_id, transaction
from portal.tenancy.models import Workspace
from tests.support.people import Cast

GLOBAL = {
    "users",
    "api_tokens",
    "sessions",
    "tenants",
    "plans",
    "managed_stores",
    "periodic_task_runs",
    "switches",
    "rescans",
    "scanner_status",
    "operator_acts",
    "emails",
    "tasks",
}


def test_a_query_without_a_filter_sees_the_entered_tenant_only(cast: Cast) -> None:
    with cast.app.app_context():
        database.enter(cast.acme.id)
        assert {row.tenant_id for row in db.session.scalars(select(Workspace))} == {cast.acme.id}
        database.enter(cast.evil.id)
        assert {row.tenant_id for row in db.session.scalars(select(Workspace))} == {cast.evil.id}
        database.enter(None)
        assert list(db.session.scalars(select(Workspace))) == []


def test_no_table_of_a_tenant_shows_anything_to_a_session_that_has_entered_none(cast: Cast) -> None:
    with cast.app.app_context(), db.engine.connect() as connection:
        for table in Base.metadata.tables.values():
            if table.name not in GLOBAL:
                assert connection.execute(select(table).limit(1)).first() is None, table.name


def test_every_table_of_a_tenant_has_its_policy(cast: Cast) -> None:
    with cast.app.app_context(), db.engine.connect() as connection:
        guarded = set(connection.scalars(text("SELECT relname FROM pg_class WHERE relrowsecurity")))
        owned = set(connection.scalars(text("SELECT tablename FROM pg_tables WHERE tableowner = current_user")))
        bypasses = connection.scalar(text("SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user"))
    assert guarded == set(Base.metadata.tables) - GLOBAL
    assert owned == set() and bypasses is False


def test_writing_into_another_tenant_is_refused_or_touches_nothing(cast: Cast) -> None:
    with cast.app.app_context():
        with transaction(cast.evil.id) as session:
            changed = session.execute(update(Workspace).where(Workspace.id == cast.press.id).values(name="Mine"))
            removed = session.execute(delete(Workspace).where(Workspace.id == cast.press.id))
            assert changed.rowcount == removed.rowcount == 0  # type: ignore[attr-defined]
        values = {
            "id": new_id(),
            "tenant_id": cast.acme.id,
            "slug": "planted",
            "name": "Planted",
            "created_at": database.now(),
        }
        with pytest.raises(ProgrammingError, match="row-level security"), transaction(cast.evil.id) as session:
            session.execute(insert(Workspace).values(**values))


def test_the_functions_that_look_across_are_for_the_application_alone(cast: Cast) -> None:
    with cast.app.app_context(), db.engine.connect() as connection:
        open_to_all = list(
            connection.scalars(
                text(
                    "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace "
                    "AND (proacl IS NULL OR EXISTS (SELECT 1 FROM aclexplode(proacl) WHERE grantee = 0))"
                )
            )
        )
    assert open_to_all == []
