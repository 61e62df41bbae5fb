"""Single statements for what happens at every request, and connections that notice when the server has gone.

``directly`` runs one in the session's transaction, ``at_once`` by itself, ``in_short`` a few in a transaction of their
own. All hand it to the driver as it is: SQLAlchemy's own way is for everything else, and costs 70 to 200 µs a
statement, this one 20 to 40.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg
from flask import Flask
from psycopg.types.json import Jsonb
from sqlalchemy import ClauseElement, Dialect, Engine, PoolProxiedConnection, TextClause, bindparam, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError

from portal.db import Base, begin_in, commit_on, db, on_driver

# A dead server is noticed by ``_check``; ``pool_pre_ping`` would cost a round trip a request.
ENGINE_OPTIONS: dict[str, Any] = {
    "pool_size": 8,  # one for each thread of a web process: what overflows is opened and closed for every request
    "max_overflow": 12,
    "pool_timeout": 10,
    "pool_use_lifo": True,  # the connection that was used last knows the statements, and is in the processor's cache
    "hide_parameters": True,  # errors are logged, and parameters may be secrets
    "connect_args": {"connect_timeout": 5},
}


Run = Callable[..., list[Any]]


def directly(statement: ClauseElement, **values: Any) -> list[Any]:
    """Run one statement in the session's transaction; its rows, with a name for each column.

    The driver sees the values as they are: JSON must be wrapped (``Jsonb``). Raises what SQLAlchemy would raise.
    """
    return _run(db.session.connection().connection, statement, values)


def at_once(statement: ClauseElement, tenant_id: UUID | None = None, **values: Any) -> list[Any]:
    """The same outside any transaction of the session, committed by itself; with ``tenant_id``, on its rows.

    A command that is one statement needs no more than this, at half the price of the session's transaction.
    """
    if tenant_id is not None:
        with in_short(tenant_id) as run:
            return run(statement, **values)
    with closing(_connection()) as connection:
        return _committed_by_itself(connection, statement, values)


@contextmanager
def in_short(tenant_id: UUID) -> Iterator[Run]:
    """A short transaction on one tenant's rows and on a connection of its own; gives what runs a statement in it.

    One round trip a statement and two around them. An error undoes all. No network inside.
    """
    with closing(_connection()) as connection:
        begin_in(tenant_id, connection)
        yield lambda statement, **values: _run(connection, statement, values)
        commit_on(connection)


def _connection() -> PoolProxiedConnection:
    """One of the pool's, without what SQLAlchemy puts around it. Raises what SQLAlchemy would."""
    try:
        return db.engine.raw_connection()
    except psycopg.Error as error:
        raise DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True) from error


def _committed_by_itself(
    connection: PoolProxiedConnection, statement: ClauseElement, values: dict[str, Any]
) -> list[Any]:
    driver: Any = connection.driver_connection
    driver.autocommit = True
    try:
        return _run(connection, statement, values)
    finally:
        if not driver.closed:
            driver.autocommit = False


class Row:
    """A row that a statement writes beside its own work: what can't be null, and the nullable columns named here.

    ``computed`` gives a column's SQL where its value alone will not do; the value is ``:{table}_{column}`` there.
    """

    def __init__(self, model: type[Base], *nullable: str, **computed: str) -> None:
        self.table, self._computed = model.__tablename__, computed
        columns = [column for column in model.__table__.columns if not column.nullable or column.name in nullable]
        self._columns = {column.name: (f"{self.table}_{column.name}", column) for column in columns}
        self.parameters = [bindparam(name, type_=column.type) for name, column in self._columns.values()]

    def insert(self, guard: str) -> str:
        """The SQL that writes it for each row of ``guard``."""
        values = ", ".join(self._computed.get(key, f":{name}") for key, (name, _) in self._columns.items())
        return f"INSERT INTO {self.table} ({', '.join(self._columns)}) SELECT {values} FROM {guard}"  # noqa: S608  # our own names

    def values(self, **given: Any) -> dict[str, Any]:
        """The statement's values for these columns; what is not given has its default. JSON is wrapped here."""
        if unknown := given.keys() - self._columns.keys():
            raise TypeError(f"not written to {self.table}: {', '.join(sorted(unknown))}")
        return {
            name: _as_stored(given[key] if key in given else _default(column))
            for key, (name, column) in self._columns.items()
        }


def with_rows(sql: str, guard: str, *rows: Row) -> TextClause:
    """``sql`` with ``{rows}`` where its WITH ends: there each row is written if the step ``guard`` has one.

    No step of the statement sees what another one changes.
    """
    steps = "".join(f", new_{row.table} AS ({row.insert(guard)})" for row in rows)
    return text(sql.format(rows=steps)).bindparams(*(each for row in rows for each in row.parameters))


def _default(column: Any) -> Any:
    default = column.default
    if default is None:
        return None
    return default.arg(None) if default.is_callable else default.arg


def _as_stored(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict) else value


def _run(connection: PoolProxiedConnection, statement: ClauseElement, values: dict[str, Any]) -> list[Any]:
    sql, constants = _compiled(statement, db.engine.dialect)
    return on_driver(connection, sql, constants | values)


@lru_cache(maxsize=256)
def _compiled(statement: ClauseElement, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    """The statement as the driver takes it, with ``%(name)s`` for each value, and the values that it brings itself."""
    compiled = statement.compile(dialect=dialect)
    return str(compiled), dict(compiled.params)


def keep_prepared(app: Flask) -> None:
    """End what a request has read with COMMIT. Comes after ``db.init_app``, so that it runs before its clean-up.

    At a ROLLBACK the driver forgets every statement that it has prepared, and the next request has each of them planned
    anew: 1.8 ms of the database's time for a page instead of 0.5.
    """
    app.teardown_appcontext(_commit_reads)


def _commit_reads(error: BaseException | None) -> None:
    if error is not None or not db.session.registry.has():
        return
    session = db.session()
    if session.in_transaction() and not (session.new or session.dirty or session.deleted):
        # The driver alone: the clean-up that follows closes session and connection, and finds nothing to roll back.
        with suppress(SQLAlchemyError, psycopg.Error):
            driver: Any = session.connection().connection.driver_connection
            driver.commit()


def watch(engine: Engine) -> None:
    """Replace connections that the server has closed while they waited in the pool."""
    event.listen(engine, "checkout", _check)


def _check(connection: Any, _record: Any, _proxy: Any) -> None:
    """An idle connection has nothing to read; one that has was closed by the server, or is about to be."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    if poll.poll(0):
        raise DisconnectionError("the server closed this connection")
