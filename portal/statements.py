"""Single statements outside the session's transaction, and connections that notice when the server has gone.

``at_once`` is for what precedes a tenant: one statement, one round trip, committed by itself.
"""

from __future__ import annotations

import select
from functools import lru_cache
from typing import Any

from sqlalchemy import CursorResult, Engine, FrozenResult, Result, TextClause, event
from sqlalchemy.exc import DisconnectionError

from portal.db import db

# A dead server is noticed by ``_check``; ``pool_pre_ping`` would cost a round trip a request.
ENGINE_OPTIONS: dict[str, Any] = {
    "pool_size": 5,
    "max_overflow": 15,
    "pool_timeout": 10,
    "hide_parameters": True,  # errors are logged, and parameters may be secrets
    "connect_args": {"connect_timeout": 5},
}


def at_once(statement: TextClause, **values: Any) -> Result[Any]:
    """Run one statement by itself, outside any transaction of the session. Its rows are all fetched."""
    with immediate(db.engine).connect() as connection:
        result: CursorResult[Any] = connection.execute(statement, values)
        if not result.returns_rows:
            return result
        return FrozenResult(result)()


@lru_cache(maxsize=8)
def immediate(engine: Engine) -> Engine:
    """The same pool, without BEGIN and COMMIT around each statement."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def watch(engine: Engine) -> None:
    """Replace connections that the server has closed while they waited in the pool."""
    event.listen(engine, "checkout", _check)


def _check(connection: Any, _record: Any, _proxy: Any) -> None:
    """An idle connection has nothing to read; one that has was closed by the server, or is about to be."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    if poll.poll(0):
        raise DisconnectionError("the server closed this connection")
