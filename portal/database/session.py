"""The database session: tenant scope for row-level security, one transaction a command, what runs after the commit.

A read runs in the session's own transaction, a command in ``with transaction(tenant_id):``. Row-level security
compares each row's ``tenant_id`` with the setting ``app.tenant_id``, which is local to a transaction; it is set as
the first statement of every transaction of a session that has entered a tenant. Without one no row is visible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from flask import Flask, g, has_app_context
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ColumnElement, Connection, CursorResult, bindparam, event, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from portal.database.model import Base, states_before

db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})

# The third argument makes it local: a connection of the pool (or of PgBouncer) takes no tenant to its next user.
_SET_TENANT = select(func.set_config("app.tenant_id", bindparam("tenant_id"), True))


def enter(tenant_id: UUID | None) -> None:
    """From here on, in this application context, the session sees the rows of one tenant (or of none).

    Raises ``RuntimeError`` inside a command.
    """
    if g.get("tenant_id") == tenant_id:
        return
    session = db.session() if db.session.registry.has() else None
    if session is not None and session.info.get("in_command"):
        raise RuntimeError("a command's transaction is open")
    if session is not None and session.in_transaction() and tenant_id is not None:
        # What was read so far (whose token is this?) need not end: two round trips less a request.
        session.connection().execute(_SET_TENANT, {"tenant_id": str(tenant_id)})
    else:
        end_read()
    g.tenant_id = tenant_id


def entered() -> UUID | None:
    """The tenant whose rows this context sees."""
    found: UUID | None = g.get("tenant_id")
    return found


def leave() -> None:
    """Drop the session with its objects, and the tenant, so that the context can continue with other work."""
    db.session.remove()
    g.pop("tenant_id", None)


def end_read() -> None:
    """End the transaction that reading began, so that no connection waits while we talk to the network.

    Raises ``RuntimeError`` inside a command.
    """
    if not db.session.registry.has():
        return
    session = db.session()
    if session.in_transaction():
        if session.info.get("in_command"):
            raise RuntimeError("a command's transaction is open")
        # Not a rollback: after one psycopg forgets every statement that it has prepared on the connection.
        session.commit()


def end_reads_of(app: Flask) -> None:
    """End with COMMIT what a request has read. Call after ``db.init_app``: what is registered last runs first, and
    Flask-SQLAlchemy's clean-up would roll back.
    """

    @app.teardown_appcontext
    def commit_reads(error: BaseException | None) -> None:
        if error is not None or not db.session.registry.has():
            return
        session = db.session()
        if not (session.new or session.dirty or session.deleted):  # changes outside a command are dropped
            with suppress(SQLAlchemyError):  # a connection that was lost: the request has its answer already
                session.commit()


@contextmanager
def transaction(tenant_id: UUID | None = None) -> Iterator[Session]:
    """One command, one transaction; ``after_commit`` callbacks run once it is durable.

    With ``tenant_id`` the session enters that tenant and stays there. Commands do not nest: helpers never commit.
    A read that is open in the same tenant becomes part of the command: at "read committed" it pins nothing.
    """
    session = db.session()
    if session.info.get("in_command"):
        raise RuntimeError("commands do not nest: call this outside the open transaction")
    if tenant_id is not None:
        enter(tenant_id)
    callbacks: list[Callable[[], None]] = []
    session.info["in_command"], session.info["after_commit"] = True, callbacks
    try:
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info["in_command"] = False
    for callback in callbacks:
        callback()


def after_commit(callback: Callable[[], None]) -> None:
    """Run ``callback`` once the open command has committed, once; never when it rolls back."""
    session = db.session()
    if not session.info.get("in_command"):
        raise RuntimeError("after_commit belongs inside a transaction")
    if callback not in session.info["after_commit"]:
        session.info["after_commit"].append(callback)


def lock_until_commit(name: str) -> None:
    """Wait until nobody else has the lock of this name, and have it until the open transaction ends.

    For what no row stands for: to lock rows that are about to be inserted is not possible.
    """
    # The function takes a number: two names of one hash wait for each other, which is slow and not wrong.
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def assert_no_transaction() -> None:
    """Called before the network is used: a transaction must not stay open meanwhile. A read is simply ended."""
    if has_app_context():
        end_read()


@event.listens_for(Session, "after_begin")
def _set_tenant(_session: Session, _transaction: Any, connection: Connection) -> None:
    if (tenant_id := entered()) is not None:
        connection.execute(_SET_TENANT, {"tenant_id": str(tenant_id)})


def compare_and_set(model: Any, conditions: list[ColumnElement[bool]], to: StrEnum, **values: Any) -> bool:
    """Move one row to state ``to`` where its present state allows it (``model.TRANSITIONS``); did a row change?

    Two that race for one row: exactly one gets True. Belongs inside ``transaction``.
    """
    statement = update(model).where(model.state.in_(states_before(model, to)), *conditions).values(state=to, **values)
    # "read committed": the second of two waits for the first, and then compares with the state that the first has set.
    result = db.session.execute(statement.execution_options(synchronize_session=False))
    return bool(cast(CursorResult[Any], result).rowcount)
