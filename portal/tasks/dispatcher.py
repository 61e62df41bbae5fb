"""What is due, and what of it is handed to the workers next."""

from __future__ import annotations

import itertools
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from uuid import UUID

import redis
from flask import current_app
from sqlalchemy import func, or_, select, true, tuple_
from sqlalchemy.orm import aliased

from portal import queue
from portal.database import db, transaction
from portal.queue import MESSAGES, SLOW, Entry
from portal.tasks.models import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Due:
    """A task that can be done now."""

    id: UUID
    kind: str
    tenant_id: UUID
    workspace_id: UUID
    target_id: UUID
    lane: str
    attempts: int

    @property
    def entry(self) -> Entry:
        """Its job, named after task and attempt."""
        name = f"{self.id.hex}-{self.attempts}"
        return Entry(name, self.kind, self.lane, self.tenant_id, self.workspace_id, self.target_id)


def due(lanes: Sequence[str], most: int) -> list[Due]:
    """What can be done now in these lanes: of each tenant and kind the first ``most`` by time.

    Costs as much as there are tenants and kinds with tasks, however many tasks: the groups are found by stepping
    from one to the next in the index (https://wiki.postgresql.org/wiki/Loose_indexscan), their first rows by time.
    """
    group = Task.lane, Task.kind, Task.tenant_id
    walk = select(*group).order_by(*group).limit(1).cte("walk", recursive=True)
    other = aliased(Task)
    following = (
        select(other.lane, other.kind, other.tenant_id)
        .where(tuple_(other.lane, other.kind, other.tenant_id) > tuple_(walk.c.lane, walk.c.kind, walk.c.tenant_id))
        .order_by(other.lane, other.kind, other.tenant_id)
        .limit(1)
        .lateral("following")
    )
    walk = walk.union_all(select(following).select_from(walk.join(following, true())))
    row = aliased(Task)
    first = (
        select(row.id, row.kind, row.tenant_id, row.workspace_id, row.target_id, row.lane, row.attempts, row.due_at)
        .where(row.lane == walk.c.lane, row.kind == walk.c.kind, row.tenant_id == walk.c.tenant_id)
        .where(row.due_at <= func.now(), or_(row.lease_until.is_(None), row.lease_until < func.now()))
        .order_by(row.due_at)
        .limit(most)
        .lateral("first")
    )
    statement = select(first).select_from(walk.join(first, true())).where(walk.c.lane.in_(lanes))
    return [Due(*each[:7]) for each in db.session.execute(statement.order_by(first.c.due_at))]


def enqueue_due() -> list[Entry]:
    """Enqueue what is due, as much as workers can take soon; what was enqueued. Raises ``redis.RedisError``.

    Of a tenant at most two jobs a worker wait in a lane, its kinds in turn, each kind by time. Between tenants those
    who had their turn longest ago come first, and who has nothing under way goes before all that waits: nobody waits
    for more than the job that is being done. A tenant that had long jobs lately gets all workers but one, in all lanes
    together, so that not even that job is waited for. What waits already is not enqueued again.
    """
    connection: redis.Redis = current_app.extensions["portal.redis"]
    room, waits = queue.capacity(connection), queue.waiting(connection)
    with transaction():
        rows = due(queue.LANES, 2 * room.workers)
        under_way = select(Task.lane, Task.tenant_id, func.count()).where(Task.lease_token.is_not(None))
        leased = {
            (lane, tenant_id): count
            for lane, tenant_id, count in db.session.execute(
                under_way.where(Task.lease_until > func.now()).group_by(Task.lane, Task.tenant_id)
            )
        }
    bounds = _bounds(rows, leased, waits, room)
    entries = [
        entry
        for lane in queue.LANES
        for entry in _turns(lane, [row for row in rows if row.lane == lane], leased, waits, room, bounds)
    ]
    return queue.enqueue(connection, entries) if entries else []


def restrain(tenant_id: UUID) -> None:
    """A job of this tenant took too long: from now on, and for a while, it gets all workers but one.

    What it has waiting is withdrawn and enqueued again within that limit: the worker that calls this would take the
    next of it in a moment. Without Valkey nothing waits there.
    """
    connection: redis.Redis = current_app.extensions["portal.redis"]
    try:
        queue.record_long_job(connection, tenant_id)
        room, waits = queue.capacity(connection), queue.waiting(connection)
        with transaction():
            rows = due([lane for lane in queue.LANES if lane != MESSAGES], 2 * room.workers)
        mine = [row.entry for row in rows if row.tenant_id == tenant_id]
        queue.withdraw(connection, [entry for entry in mine if entry.id in waits.jobs[entry.lane]])
    except redis.RedisError as error:
        log.warning("could not restrain a tenant with long jobs: %s", type(error).__name__)


def _bounds(
    rows: list[Due], leased: dict[tuple[str, UUID], int], waits: queue.Waiting, room: queue.Capacity
) -> dict[tuple[str, UUID], int]:
    """How many further jobs may be enqueued, by lane, of each tenant that had long jobs lately.

    Whichever of its lanes had its last turn longest ago is first: neither its slow jobs nor its others wait for ever.
    E-mail and webhooks are left out: they need no scanner, and are cut by deadlines of their own.
    """
    found: dict[tuple[str, UUID], int] = {}
    for tenant_id in {row.tenant_id for row in rows if row.tenant_id.hex in waits.long}:
        mine = [row for row in rows if row.tenant_id == tenant_id and row.lane != MESSAGES]
        waiting = sum(row.entry.id in waits.jobs[row.lane] for row in mine)
        at_work = sum(count for (lane, each), count in leased.items() if each == tenant_id and lane != MESSAGES)
        left = max(1, room.workers - 1) - waiting - at_work
        lanes = sorted({row.lane for row in mine}, key=lambda lane: waits.turns[lane].get(tenant_id.hex, 0.0))
        found |= {(lane, tenant_id): 0 for lane in lanes}
        for lane in itertools.islice(itertools.cycle(lanes), max(0, left)):
            found[lane, tenant_id] += 1
    return found


def _turns(
    lane: str,
    rows: list[Due],
    leased: dict[tuple[str, UUID], int],
    waits: queue.Waiting,
    room: queue.Capacity,
    bounds: dict[tuple[str, UUID], int],
) -> list[Entry]:
    """What is enqueued in one lane, in the order in which it is."""
    waiting, turns = set(waits.jobs[lane]), waits.turns[lane]
    by_tenant: dict[UUID, list[Due]] = defaultdict(list)
    for row in rows:
        by_tenant[row.tenant_id].append(row)
    first: list[Entry] = []
    others: list[list[Entry]] = []
    for tenant_id in sorted(by_tenant, key=lambda each: turns.get(each.hex, 0.0)):
        there = by_tenant[tenant_id]
        wait = sum(row.entry.id in waiting for row in there)
        most = min(2 * room.workers - wait, bounds.get((lane, tenant_id), 2 * room.workers))
        new = [row.entry for row in _in_turn(there) if row.entry.id not in waiting][: max(0, most)]
        if new and not wait and not leased.get((lane, tenant_id)):
            first.append(new.pop(0))
        others.append(new)
    later = [entry for each in zip_longest(*others) for entry in each if entry is not None]
    if lane == SLOW:
        under_way = len(waiting) + sum(count for (each, _), count in leased.items() if each == lane)
        return [*first, *later][: max(0, room.slow - under_way)]
    # What is pushed to the front last stands first.
    at_front = [replace(entry, at_front=True) for entry in reversed(first)]
    return [*at_front, *later]


def _in_turn(rows: list[Due]) -> list[Due]:
    """One of each kind, then the second of each: a tenant's thousand purges keep nothing else of it waiting."""
    by_kind: dict[str, list[Due]] = defaultdict(list)
    for row in rows:
        by_kind[row.kind].append(row)
    return [row for each in zip_longest(*by_kind.values()) for row in each if row is not None]
