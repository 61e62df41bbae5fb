"""How processes connect to Postgres: every option of the pool and of the driver, with PgBouncer and without."""

from __future__ import annotations

import select
from typing import Any

from sqlalchemy import Engine, NullPool, event
from sqlalchemy.exc import DisconnectionError

from portal.settings import Settings

CONNECT_TIMEOUT = 5  # seconds


def engine_options(settings: Settings) -> dict[str, Any]:
    """What ``create_engine`` is given.

    With ``settings.pgbouncer`` (PgBouncer in transaction mode) each transaction may meet another server connection:
    the driver must not prepare statements, which live in one of them (https://www.psycopg.org/psycopg3/docs/advanced/
    prepare.html), and pooling is PgBouncer's alone.
    """
    # ``lock_timeout`` and ``statement_timeout`` belong here once they are set for the whole application, as
    # ``SET LOCAL`` beside the tenant (``session``): PgBouncer refuses them as options of a connection.
    common = {"hide_parameters": True}  # errors are logged, and parameters may be secrets
    if settings.pgbouncer:
        return common | {
            "poolclass": NullPool,
            "connect_args": {"connect_timeout": CONNECT_TIMEOUT, "prepare_threshold": None},
        }
    return common | {
        "pool_size": 8,  # one for each thread of a web process: what overflows is opened and closed for every request
        "max_overflow": 12,
        "pool_timeout": 10,  # seconds
        "pool_use_lifo": True,  # the connection that was used last has most statements prepared
        "connect_args": {"connect_timeout": CONNECT_TIMEOUT},
    }


def watch(engine: Engine) -> None:
    """Replace connections that the server has closed while they waited in the pool.

    ``pool_pre_ping`` would do it, too, for one more round trip a request.
    """
    event.listen(engine, "checkout", _check_out)


def _check_out(connection: Any, _record: Any, _proxy: Any) -> None:
    # Nothing is under way on an idle connection. Where there is something to read, the server has said goodbye (its
    # last error, or the end of the stream); the pool answers a ``DisconnectionError`` with a fresh connection.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    if poll.poll(0):
        raise DisconnectionError("the server closed this connection")
