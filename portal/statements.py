"""Single statements for what happens at every request, and connections that notice when the server has gone.

``directly`` runs one in the session's transaction, ``at_once`` by itself, ``looked_up`` in whatever is open and
``in_short`` a few in a transaction of their own, one round trip each. All hand it to the driver as it is: SQLAlchemy's
own way is for everything else, and costs 70 to 200 µs a statement, this one 20 to 40.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg
from flask import Flask
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb
from sqlalchemy import ClauseElement, Dialect, Engine, PoolProxiedConnection, TextClause, bindparam, event, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError

from portal import flights
from portal.database import Base, db, entered, is_open, on_driver
from portal.flights import BEGIN, ROLLBACK, Message, fly

# A dead server is noticed by ``_check``; ``pool_pre_ping`` would cost a round trip a request.
ENGINE_OPTIONS: dict[str, Any] = {
    "pool_size": 8,  # one for each thread of a web process: what overflows is opened and closed for every request
    "max_overflow": 12,
    "pool_timeout": 10,
    "pool_use_lifo": True,  # the connection that was used last knows the statements, and is in the processor's cache
    "pool_reset_on_return": None,  # ``flights`` does it where there is something to undo
    "hide_parameters": True,  # errors are logged, and parameters may be secrets
    "connect_args": {"connect_timeout": 5},
}


def directly(statement: ClauseElement, **values: Any) -> list[Any]:
    """Run one statement in the session's transaction; its rows, with a name for each column.

    The driver sees the values as they are: JSON must be wrapped (``Jsonb``). Raises what SQLAlchemy would raise.
    """
    sql, constants = _compiled(statement, db.engine.dialect)
    return on_driver(db.session.connection().connection, sql, constants | values)


def at_once(statement: ClauseElement, tenant_id: UUID | None = None, **values: Any) -> list[Any]:
    """The same outside any transaction of the session, committed by itself; with ``tenant_id``, on its rows.

    A command that is one statement needs no more than this: one round trip.
    """
    with closing(_connection()) as connection:
        return fly(connection, _message(statement, values), after=_entering(tenant_id))


def looked_up(statement: ClauseElement, **values: Any) -> list[Any]:
    """Read in the transaction that is open, else ``at_once``, on the rows of the tenant that was entered.

    A page that reads only so needs no session: that is a tenth of the gallery.
    """
    return directly(statement, **values) if is_open() else at_once(statement, entered(), **values)


class Short:
    """A transaction of a few statements. The last one goes with ``last``, so that no lock waits for a COMMIT."""

    def __init__(self, tenant_id: UUID, connection: PoolProxiedConnection) -> None:
        self._connection = connection
        self._ahead: list[Message] = [BEGIN, *_entering(tenant_id)]

    def __call__(self, statement: ClauseElement, **values: Any) -> list[Any]:
        """Run one statement in it; its rows."""
        return self._fly(_message(statement, values))

    def last(self, statement: ClauseElement, **values: Any) -> list[Any]:
        """Run one statement and commit; its rows."""
        return self._fly(_message(statement, values), commit=True)

    def undo(self) -> None:
        """Undo what was not committed."""
        driver: Any = self._connection.driver_connection
        if self._connection.is_valid and driver.pgconn.transaction_status != TransactionStatus.IDLE:
            fly(self._connection, ROLLBACK)

    def _fly(self, message: Message, *, commit: bool = False) -> list[Any]:
        after, self._ahead = self._ahead, []
        return fly(self._connection, message, after=after, commit=commit)


@contextmanager
def in_short(tenant_id: UUID) -> Iterator[Short]:
    """A short transaction on one tenant's rows and on a connection of its own; gives what runs a statement in it.

    One round trip a statement. Without ``last``, and at an error, all is undone. No network inside.
    """
    with closing(_connection()) as connection:
        short = Short(tenant_id, connection)
        try:
            yield short
        finally:
            short.undo()


def _connection() -> PoolProxiedConnection:
    """One of the pool's, without what SQLAlchemy puts around it. Raises what SQLAlchemy would."""
    try:
        return db.engine.raw_connection()
    except psycopg.Error as error:
        raise DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True) from error


def _entering(tenant_id: UUID | None) -> list[Message]:
    """What shows a transaction one tenant's rows, until it ends."""
    return [] if tenant_id is None else [Message("SELECT set_config('app.tenant_id', $1, true)", (str(tenant_id),))]


_NUMBERING: Dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


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


@lru_cache(maxsize=256)
def _compiled(statement: ClauseElement, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    """The statement as the driver takes it, with ``%(name)s`` for each value, and the values that it brings itself."""
    compiled = statement.compile(dialect=dialect)
    return str(compiled), dict(compiled.params)


def _message(statement: ClauseElement, values: dict[str, Any]) -> Message:
    sql, constants, names = _numbered(statement)
    given = constants | values
    return Message(sql, tuple(given[name] for name in names))


@lru_cache(maxsize=256)
def _numbered(statement: ClauseElement) -> tuple[str, dict[str, Any], list[str]]:
    """The statement as the server takes it, with ``$1``; the values that it brings itself; whose turn it is when."""
    compiled: Any = statement.compile(dialect=_NUMBERING)
    return str(compiled), dict(compiled.params), compiled.positiontup or []


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
    flights.watch(engine)


def _check(connection: Any, _record: Any, _proxy: Any) -> None:
    """An idle connection has nothing to read; one that has was closed by the server, or is about to be."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    if poll.poll(0):
        raise DisconnectionError("the server closed this connection")
