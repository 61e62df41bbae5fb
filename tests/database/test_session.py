"""The session: what one tenant sees, what an error leaves behind, and what becomes of a connection that was lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import NullPool, create_engine, func, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError

from portal.database import after_commit, db, end_read, enter, is_unavailable, leave, transaction
from portal.quotas.models import TenantQuota
from tests.support.people import Cast

WHO = text("SELECT pg_backend_pid()")
SETTING = select(func.current_setting("app.tenant_id", True))


@pytest.fixture
def tenant(cast: Cast) -> Iterator[UUID]:
    """A tenant, in the application's context."""
    with cast.app.app_context():
        yield cast.acme.id


def add(tenant: UUID, more: int) -> None:
    db.session.execute(
        update(TenantQuota)
        .where(TenantQuota.tenant_id == tenant)
        .values(used_bytes=TenantQuota.used_bytes + more)
        .execution_options(synchronize_session=False)
    )


def used(tenant: UUID) -> int | None:
    """What is committed, as a new transaction of the tenant sees it."""
    enter(tenant)
    end_read()
    return db.session.scalar(select(TenantQuota.used_bytes).where(TenantQuota.tenant_id == tenant))


def test_a_command_is_committed_and_leaves_no_tenant_on_its_connection(tenant: UUID) -> None:
    before = used(tenant) or 0
    with transaction(tenant):
        add(tenant, 7)
        pid = db.session.scalar(WHO)
    assert used(tenant) == before + 7
    leave()
    assert db.session.scalar(WHO) == pid  # the same connection, from the pool
    assert not db.session.scalar(SETTING)
    assert db.session.scalar(select(TenantQuota.used_bytes).where(TenantQuota.tenant_id == tenant)) is None


def test_a_savepoint_and_what_follows_a_commit_stay_in_the_tenant(tenant: UUID) -> None:
    with transaction(tenant) as session:
        with pytest.raises(DBAPIError, match="division"), session.begin_nested():
            session.execute(text("SELECT 1 / 0"))
        assert session.scalar(SETTING) == str(tenant)
    assert db.session.scalar(SETTING) == str(tenant)


def test_another_tenants_rows_are_not_there(tenant: UUID) -> None:
    enter(uuid4())
    assert db.session.scalar(select(TenantQuota.used_bytes).where(TenantQuota.tenant_id == tenant)) is None


def test_an_error_undoes_the_whole_command_and_the_connection_is_used_again(tenant: UUID) -> None:
    before, pid, called = used(tenant), db.session.scalar(WHO), list[str]()
    with pytest.raises(DBAPIError, match="division by zero"), transaction(tenant):
        add(tenant, 7)
        after_commit(lambda: called.append("committed"))
        db.session.execute(text("SELECT 1 / 0"))
    assert used(tenant) == before
    assert db.session.scalar(WHO) == pid
    assert called == []


def test_an_exception_of_our_own_undoes_the_command_too(tenant: UUID) -> None:
    before = used(tenant)
    with pytest.raises(LookupError), transaction(tenant):
        add(tenant, 7)
        raise LookupError
    assert used(tenant) == before


def test_commands_do_not_nest(tenant: UUID) -> None:
    with pytest.raises(RuntimeError, match="do not nest"), transaction(tenant), transaction(tenant):
        pass


def test_what_runs_after_the_commit_sees_it_and_runs_once(tenant: UUID) -> None:
    before, seen = used(tenant) or 0, list[int | None]()

    def look() -> None:
        seen.append(used(tenant))

    with transaction(tenant):
        add(tenant, 7)
        after_commit(look)
        after_commit(look)
    assert seen == [before + 7]


def test_statements_are_prepared_again_after_a_rollback(tenant: UUID) -> None:
    """psycopg forgets what it has prepared then, and tells the server to."""
    for _ in range(8):  # from the sixth on it prepares
        used(tenant)
    with pytest.raises(DBAPIError), transaction(tenant):
        db.session.execute(text("SELECT 1 / 0"))
    for _ in range(8):
        assert used(tenant) is not None


def test_a_connection_lost_in_a_command_leaves_the_pool(cast: Cast, tenant: UUID) -> None:
    with transaction(tenant) as session:
        pid = session.scalar(WHO)
        terminate(pid)
        with pytest.raises(OperationalError) as lost:
            add(tenant, 7)
        assert is_unavailable(lost.value)
        session.rollback()
    assert db.session.scalar(WHO) != pid
    assert used(tenant) is not None


def test_a_connection_lost_in_the_pool_fails_no_request(cast: Cast, tenant: UUID) -> None:
    pid = db.session.scalar(WHO)
    leave()
    terminate(pid)
    headers = {"Authorization": f"Bearer {cast.alice.token}"}
    base_url = cast.app.extensions["portal.settings"].base_url
    answer = cast.app.test_client().get(f"/v1/workspaces/{cast.press.id}/quota", headers=headers, base_url=base_url)
    assert answer.status_code == 200
    leave()
    assert db.session.scalar(WHO) != pid


def test_a_command_that_waits_for_a_row_lets_other_threads_of_the_process_work(cast: Cast, tenant: UUID) -> None:
    before, waits = used(tenant) or 0, threading.Event()

    def add_one(app: Flask) -> None:
        with app.app_context(), transaction(tenant):
            waits.set()
            add(tenant, 1)

    with transaction(tenant):
        add(tenant, 1)
        other = threading.Thread(target=add_one, args=(cast.app,))
        other.start()
        assert waits.wait(10)
        other.join(0.3)
        assert other.is_alive()
        add(tenant, 1)
    other.join(10)
    assert used(tenant) == before + 3


def test_what_a_request_changed_outside_a_command_is_dropped(cast: Cast, tenant: UUID) -> None:
    before = used(tenant)
    with cast.app.app_context():
        enter(tenant)
        db.session.get_one(TenantQuota, tenant).used_bytes += 7
    assert used(tenant) == before


def test_a_percent_sign_and_a_colon_are_themselves(tenant: UUID) -> None:
    row = db.session.execute(text(r"SELECT 'a%b' LIKE 'a\%b' AS same, '10\:30' AS hour")).one()
    assert tuple(row) == (True, "10:30")


def terminate(pid: int | None) -> None:
    """End a connection on the server's side, from a connection outside the pool."""
    with create_engine(db.engine.url, poolclass=NullPool).connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        # The signal is handled a moment later.
        for _ in range(200):
            if other.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid}) == 0:
                return
            other.execute(text("SELECT pg_sleep(0.01)"))
    raise TimeoutError(f"backend {pid} lives")
