"""Which errors of the database say that it is unavailable."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, OperationalError

# Classes of https://www.postgresql.org/docs/current/errcodes-appendix.html: connection exception, insufficient
# resources, operator intervention (the server shuts down, or starts).
UNAVAILABLE = ("08", "53", "57P")


def is_unavailable(error: BaseException) -> bool:
    """Whether the server can't be reached, or is ending, rather than one statement that went wrong.

    What the server says of a statement (a deadlock, a timeout) is an ``OperationalError``, too, and has an SQLSTATE of
    another class than ``UNAVAILABLE``. An error without an SQLSTATE comes from the driver: it has lost the connection.
    """
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return state is None or state.startswith(UNAVAILABLE)
