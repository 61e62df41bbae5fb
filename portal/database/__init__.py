"""The database: session, tenant scope, transactions, the engine's options and the base of every model."""

from portal.database.engine import engine_options, watch
from portal.database.errors import is_unavailable
from portal.database.model import Base, Identified, choice, new_id, now, states_before, zulu
from portal.database.session import (
    after_commit,
    assert_no_transaction,
    compare_and_set,
    db,
    end_read,
    end_reads_of,
    enter,
    entered,
    leave,
    lock_until_commit,
    transaction,
)

__all__ = [
    "Base",
    "Identified",
    "after_commit",
    "assert_no_transaction",
    "choice",
    "compare_and_set",
    "db",
    "end_read",
    "end_reads_of",
    "engine_options",
    "enter",
    "entered",
    "is_unavailable",
    "leave",
    "lock_until_commit",
    "new_id",
    "now",
    "states_before",
    "transaction",
    "watch",
    "zulu",
]
