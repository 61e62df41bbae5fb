"""Background work: one row for each pending task, from the transaction that makes it due to the one that finishes it.

    tasks.schedule("purge", asset_id, tenant_id=…, workspace_id=…, due_at=…)   # in the caller's transaction

    with tasks.acquire("purge", tenant_id, workspace_id, asset_id) as lease:    # in a worker
        if lease is None:
            return                                                             # not due, or somebody else has it
        …                                                                      # the network
        with transaction(tenant_id):
            compare_and_set(…)
            tasks.complete(lease)                                              # or all of it is rolled back

A row is deleted in the transaction that finishes its work. An RQ job only names the row (see
``portal.queue``); ``due`` is the one query that says what is to be done. One worker at a time works on a target,
whatever the kinds of its rows: two that copy and remove the objects of one file would undo each other's work.
Rows hold ids and times, nothing of a customer's: the table has no row-level security.
"""

from portal.tasks.dispatcher import Due, due, enqueue_due
from portal.tasks.lease import (
    acquire,
    complete,
    exclusive,
    hand_back,
    is_leased,
    still_mine,
)
from portal.tasks.models import LEASE, MOST_ATTEMPTS, NOWHERE, SCHEDULER, Lease, LeaseLost, Target, Task
from portal.tasks.rows import (
    cancel,
    hurry,
    schedule,
    schedule_all,
    schedule_if,
    schedule_sooner,
    schedule_waiting,
    waiting_for,
    wake,
)
from portal.tasks.statistics import Backlog, backlog, failing, failing_targets

__all__ = [
    "LEASE",
    "MOST_ATTEMPTS",
    "NOWHERE",
    "SCHEDULER",
    "Backlog",
    "Due",
    "Lease",
    "LeaseLost",
    "Target",
    "Task",
    "acquire",
    "backlog",
    "cancel",
    "complete",
    "due",
    "enqueue_due",
    "exclusive",
    "failing",
    "failing_targets",
    "hand_back",
    "hurry",
    "is_leased",
    "schedule",
    "schedule_all",
    "schedule_if",
    "schedule_sooner",
    "schedule_waiting",
    "still_mine",
    "waiting_for",
    "wake",
]
