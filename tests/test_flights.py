"""Statements that travel together: what holds for a transaction holds for them, whatever happens on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import BigInteger, Uuid, bindparam, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from portal import database
from portal.database import db, transaction
from portal.statements import at_once, in_short
from tests.support.people import Cast

USED = text("SELECT used_bytes FROM tenant_quotas WHERE tenant_id = :tenant").bindparams(
    bindparam("tenant", type_=Uuid())
)
ADD = text("UPDATE tenant_quotas SET used_bytes = used_bytes + :more WHERE tenant_id = :tenant").bindparams(
    bindparam("tenant", type_=Uuid()), bindparam("more", type_=BigInteger())
)
BROKEN = text("SELECT 1 / (used_bytes - used_bytes) FROM tenant_quotas")
TWICE = text("INSERT INTO tenants SELECT * FROM tenants WHERE id = :tenant").bindparams(bindparam("tenant", Uuid()))
WHO = text("SELECT pg_backend_pid() AS pid")
WHERE = text("SELECT current_setting('app.tenant_id', true) AS tenant")


@pytest.fixture
def tenant(cast: Cast) -> Iterator[UUID]:
    """A tenant, in the application's context, with one connection."""
    with cast.app.app_context():
        yield cast.acme.id


def used(tenant: UUID) -> int:
    """What the tenant uses, as everybody sees it."""
    found: int = at_once(USED, tenant, tenant=tenant)[0].used_bytes
    return found


def test_one_statement_is_committed_by_itself_and_leaves_no_tenant_behind(tenant: UUID) -> None:
    before = used(tenant)
    at_once(ADD, tenant, tenant=tenant, more=7)
    assert used(tenant) == before + 7
    assert not at_once(WHERE)[0].tenant
    assert at_once(USED, tenant=tenant) == []  # nobody's rows without a tenant


def test_another_tenants_rows_are_not_there(tenant: UUID) -> None:
    assert at_once(USED, uuid4(), tenant=tenant) == []


def test_an_error_undoes_all_that_travelled_with_it_and_the_connection_goes_on(tenant: UUID) -> None:
    before, pid = used(tenant), at_once(WHO)[0].pid
    with pytest.raises(DBAPIError, match="division by zero"), in_short(tenant) as run:
        run(ADD, tenant=tenant, more=7)
        run.last(BROKEN)
    assert used(tenant) == before
    assert at_once(WHO)[0].pid == pid


def test_what_is_not_finished_is_undone(tenant: UUID) -> None:
    before = used(tenant)
    with in_short(tenant) as run:
        run(ADD, tenant=tenant, more=7)
    assert used(tenant) == before


def test_the_drivers_errors_are_sqlalchemys(tenant: UUID) -> None:
    with pytest.raises(IntegrityError):
        at_once(TWICE, tenant, tenant=tenant)


def test_a_rollback_of_the_driver_forgets_what_was_prepared(tenant: UUID) -> None:
    """The driver then tells the server to forget every statement."""
    for _ in range(8):  # from the sixth on the driver prepares, too
        used(tenant)
        with transaction(tenant):
            db.session.execute(text("SELECT count(*) FROM workspaces"))
    with pytest.raises(DBAPIError), transaction(tenant):
        db.session.execute(text("SELECT 1 / 0"))
    assert used(tenant) >= 0
    with closing(db.engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT 1 AS left_open")  # rolled back by the pool
    assert used(tenant) >= 0


def test_a_lost_connection_is_told_and_replaced(tenant: UUID) -> None:
    with in_short(tenant) as run:
        pid = run(WHO)[0].pid
        at_once(text("SELECT pg_terminate_backend(:pid)").bindparams(bindparam("pid", pid)))
        with pytest.raises(OperationalError):
            run.last(ADD, tenant=tenant, more=7)
    assert at_once(WHO)[0].pid != pid


def test_who_waits_for_a_row_lets_others_of_the_process_work(cast: Cast, tenant: UUID) -> None:
    """The holder of the lock runs in the same interpreter: were it locked while waiting, both would wait for ever."""
    before, waits = used(tenant), threading.Event()

    def add(app: Flask) -> None:
        with app.app_context():
            waits.set()
            at_once(ADD, tenant, tenant=tenant, more=1)

    with in_short(tenant) as run:
        run(ADD, tenant=tenant, more=1)
        other = threading.Thread(target=add, args=(cast.app,))
        other.start()
        waits.wait(10)
        other.join(0.3)
        assert other.is_alive()
        run.last(ADD, tenant=tenant, more=1)
    other.join(10)
    database.end_read()
    assert used(tenant) == before + 3


def test_a_percent_sign_and_a_colon_are_themselves(tenant: UUID) -> None:
    assert at_once(text(r"SELECT 'a%b' LIKE 'a\%b' AS same, '10\:30' AS hour"))[0] == (True, "10:30")
