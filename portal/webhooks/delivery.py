"""Delivering: one worker at a time takes an endpoint's due events to it, one after another.

The endpoint has one task, which is due with the first of its deliveries. A worker writes down each attempt before it
dials: one that dies between the answer and the row leaves a delivery that waits, and it is made again with the same id.
After a failure the delivery waits as the Standard Webhooks suggest, and the endpoint rests, longer with each failure: a
dead one costs a worker 15 seconds in 15 minutes. Of a tenant's that fail one is tried at a time, so that twenty keep no
more workers than one.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import current_app
from prometheus_client import Counter
from sqlalchemy import ColumnElement, case, exists, func, select, update

from portal import audit, database, tasks
from portal.database import compare_and_set, db, transaction
from portal.errors import Unavailable
from portal.events.models import Event
from portal.mail import service as mail
from portal.storage.service import egress_of
from portal.tasks import NOWHERE, Lease, LeaseLost, Target, Task
from portal.tenancy import people
from portal.tenancy.models import Tenant
from portal.texts import Text
from portal.webhooks import http_client
from portal.webhooks.http_client import PostResult
from portal.webhooks.message import body_of, headers_of
from portal.webhooks.models import TEST, Delivery, DeliveryState, Endpoint, EndpointState
from portal.webhooks.secrets import open_all
from portal.webhooks.urls import without_path

log = logging.getLogger(__name__)

RUN_SECONDS = 15.0  # of one job, before its last attempt, which takes 15 seconds at most; then it is the others' turn
ANOTHER_TRIED = timedelta(seconds=5)  # until the next look, while another one that fails is tried
# From one attempt to the next, as the specification suggests: ten attempts in three days.
WAITS = tuple(
    timedelta(**each)
    for each in (
        {"seconds": 5},
        {"minutes": 5},
        {"minutes": 30},
        *({"hours": hours} for hours in (2, 5, 10, 14, 20, 24)),
    )
)
JITTER = 0.1  # of the wait, either way
FIRST_REST, LONGEST_REST = timedelta(seconds=5), timedelta(minutes=15)
MAX_RETRY_AFTER = timedelta(hours=1)  # of what a receiver asks for by Retry-After
GIVE_UP_AFTER = timedelta(days=3)  # without any success
UNFINISHED = Text("Each attempt ended on our side before the receiver answered. The server's log has the reason.")
FORGOTTEN = Text("The event was deleted before it could be sent.")
CLOSED = Text("Its secret can't be decrypted. Replace it, or ask an operator to check the vault keys.")
ATTEMPTS = Counter("portal_webhook_attempts", "Attempts to deliver an event.", ["outcome"])


@dataclass(frozen=True)
class Attempt:
    """One attempt: everything that is needed while no transaction is open."""

    tenant_id: UUID
    endpoint_id: UUID
    id: UUID
    type: str
    attempts: int
    url: str = field(repr=False)
    body: bytes = field(repr=False)
    keys: tuple[str, ...] = field(repr=False)

    @property
    def is_last(self) -> bool:
        """Is there none after this one? A test is tried once: somebody waits for what comes of it."""
        return self.type == TEST or self.attempts > len(WAITS)


def run(tenant_id: UUID, endpoint_id: UUID) -> None:
    """Deliver what is due at one endpoint, for a while. Safe to run twice: only one has the lease."""
    with tasks.acquire("deliver", tenant_id, NOWHERE, endpoint_id) as lease:
        if lease is None or not _begin(lease):
            return
        over_at = time.monotonic() + RUN_SECONDS
        rules = egress_of(current_app.extensions["portal.settings"])
        try:
            while (attempt := _take(lease)) is not None:
                headers = headers_of(attempt.id, database.now(), attempt.body, attempt.keys)
                result = http_client.post(attempt.url, headers, attempt.body, rules)
                _note(lease, attempt, result)
                if result.reason or time.monotonic() > over_at:
                    break
        except Unavailable:
            _rest(lease, CLOSED)
        _hand_back(lease)


def schedule(endpoint: Endpoint) -> None:
    """Have what waits for this endpoint delivered, once its rest is over; inside the caller's transaction.

    Whoever is delivering to it goes on, and finds what is new.
    """
    tasks.schedule_sooner("deliver", Target(endpoint.id, endpoint.tenant_id, NOWHERE, endpoint.paused_until))


def body_for(delivery: Delivery) -> bytes | None:
    """What is sent; None when the event was forgotten."""
    if delivery.type == TEST:
        data: dict[str, Any] = {"message": "This is a test. Nothing has happened."}
        return body_of(delivery.id, TEST, delivery.created_at, delivery.tenant_id, None, data)
    event = db.session.get(Event, delivery.id)
    if event is None:
        return None
    return body_of(event.id, event.type, event.time, event.tenant_id, event.workspace_id, event.data)


def _begin(lease: Lease) -> bool:
    """Is it to be delivered to now? Deliveries whose last attempt never ended are given up."""
    endpoint_id = lease.target_id
    with transaction(lease.tenant_id):
        endpoint = db.session.get(Endpoint, endpoint_id, with_for_update=True, populate_existing=True)
        if endpoint is None or endpoint.state is EndpointState.DISABLED:
            return False
        if endpoint.state is EndpointState.FAILING and _is_another_tried(endpoint):
            tasks.hand_back(lease, database.now() + ANOTHER_TRIED)
            return False
        spent = case((Delivery.type == TEST, 1), else_=len(WAITS) + 1)
        dropped = Delivery.endpoint_id == endpoint_id, Delivery.state == DeliveryState.WAITING
        over = update(Delivery).where(*dropped, Delivery.attempts >= spent)
        failed = over.values(state=DeliveryState.FAILED, due_at=None, reason=UNFINISHED)
        db.session.execute(failed.execution_options(synchronize_session=False))
    return True


def _is_another_tried(endpoint: Endpoint) -> bool:
    leased = Task.kind == "deliver", Task.tenant_id == endpoint.tenant_id, Task.lease_until > func.now()
    fails = Endpoint.id == Task.target_id, Endpoint.state == EndpointState.FAILING, Endpoint.id != endpoint.id
    return bool(db.session.scalar(select(exists().where(*leased, *fails))))


def _take(lease: Lease) -> Attempt | None:
    """The next attempt, written down; None when nothing is due. Raises ``LeaseLost``."""
    tenant_id, endpoint_id = lease.tenant_id, lease.target_id
    with transaction(tenant_id):
        listens = Endpoint.id == endpoint_id, Endpoint.state != EndpointState.DISABLED
        url = db.session.scalar(select(Endpoint.url).where(*listens).with_for_update(read=True))
        if url is None:
            return None
        if not tasks.still_mine(lease):
            raise LeaseLost
        due = select(Delivery).where(*_due_at(endpoint_id)).order_by(Delivery.due_at, Delivery.id).limit(1)
        delivery = db.session.scalar(due.with_for_update().execution_options(populate_existing=True))
        if delivery is None:
            return None
        body = body_for(delivery)
        if body is None:  # nothing that waits is as old as that, unless its endpoint was disabled for months
            delivery.state, delivery.due_at, delivery.reason = DeliveryState.FAILED, None, FORGOTTEN
            return None
        keys = open_all(endpoint_id)
        delivery.attempts, delivery.attempted_at = delivery.attempts + 1, database.now()
        attempt = tenant_id, endpoint_id, delivery.id, delivery.type, delivery.attempts
    return Attempt(*attempt, url, body, keys)


def _note(lease: Lease, attempt: Attempt, result: PostResult) -> None:
    """Write down what came of an attempt, where the rows are still there."""
    ATTEMPTS.labels("failed" if result.reason else "delivered").inc()
    with transaction(attempt.tenant_id):
        if not result.reason:
            _set(attempt, DeliveryState.DELIVERED, due_at=None, status_code=result.status, reason=None)
            well = {"reason": None, "failures": 0, "failing_since": None, "paused_until": None}
            mine = [Endpoint.id == attempt.endpoint_id, Endpoint.state != EndpointState.DISABLED]
            compare_and_set(Endpoint, mine, EndpointState.HEALTHY, **well, delivered_at=func.now())
            return
        endpoint = db.session.get(Endpoint, attempt.endpoint_id, with_for_update=True, populate_existing=True)
        if endpoint is None:
            return
        if not tasks.still_mine(lease):
            raise LeaseLost
        known = {"status_code": result.status, "reason": result.reason}
        if attempt.is_last or result.status == http_client.GONE:
            _set(attempt, DeliveryState.FAILED, due_at=None, **known)
        else:
            _set(attempt, DeliveryState.WAITING, due_at=database.now() + _wait(attempt.attempts, result), **known)
        _fall(endpoint, result)


def _fall(endpoint: Endpoint, result: PostResult) -> None:
    """Pause an endpoint after a failure; disable one that is gone or has failed for days, and notify the admins."""
    if endpoint.state is EndpointState.DISABLED:
        return
    at = database.now()
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or at
    endpoint.paused_until = at + max(
        min(FIRST_REST * 2 ** min(endpoint.failures - 1, 20), LONGEST_REST), _retry_after(result)
    )
    endpoint.state, endpoint.reason = EndpointState.FAILING, result.reason
    if result.status == http_client.GONE or at - endpoint.failing_since >= GIVE_UP_AFTER:
        _disable(endpoint, result)
    db.session.flush()


def _disable(endpoint: Endpoint, result: PostResult) -> None:
    gone = result.status == http_client.GONE
    reason = result.reason or UNFINISHED
    if not gone:
        reason = Text.join(Text("Nothing has arrived for %(days)s days.", days=GIVE_UP_AFTER.days), reason)
    endpoint.state, endpoint.reason = EndpointState.DISABLED, reason
    log.warning("webhook endpoint %s is disabled: %s", endpoint.id, reason.english)
    audit.record(endpoint.tenant_id, None, "webhook.disabled", endpoint.id, reason=reason.english)
    tenant = db.session.get_one(Tenant, endpoint.tenant_id)
    mail.enqueue(
        "webhook_disabled",
        people.admins_of(endpoint.tenant_id),
        endpoint.tenant_id,
        tenant_name=tenant.name,
        endpoint=without_path(endpoint.url),
        reason=reason,
        since=endpoint.failing_since,
        path=f"/t/{tenant.slug}/webhooks/{endpoint.id}",
    )


def _wait(attempts: int, result: PostResult) -> timedelta:
    jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # to keep receivers from a crowd, not from an attacker
    return max(WAITS[min(attempts, len(WAITS)) - 1] * jitter, _retry_after(result))


def _retry_after(result: PostResult) -> timedelta:
    return min(timedelta(seconds=result.retry_after or 0), MAX_RETRY_AFTER)


def _rest(lease: Lease, reason: Text) -> None:
    """Nothing can be tried for a reason of ours: no attempt is burned."""
    listens = [Endpoint.id == lease.target_id, Endpoint.state != EndpointState.DISABLED]
    with transaction(lease.tenant_id):
        until = func.now() + LONGEST_REST
        compare_and_set(Endpoint, listens, EndpointState.FAILING, reason=reason, paused_until=until)


def _hand_back(lease: Lease) -> None:
    """Until the next delivery is due, and the rest is over; there is nothing to do when none waits."""
    with transaction(lease.tenant_id):
        # First the task: who adds a delivery now waits for it, and then schedules it anew.
        if not tasks.still_mine(lease):
            raise LeaseLost
        waits = Delivery.endpoint_id == lease.target_id, Delivery.state == DeliveryState.WAITING
        due_at = db.session.scalar(select(func.min(Delivery.due_at)).where(*waits))
        endpoint = db.session.get(Endpoint, lease.target_id, populate_existing=True)
        if due_at is None or endpoint is None or endpoint.state is EndpointState.DISABLED:
            tasks.complete(lease)
        else:
            tasks.hand_back(lease, max(due_at, endpoint.paused_until or due_at))


def _due_at(endpoint_id: UUID) -> tuple[ColumnElement[bool], ...]:
    waits = Delivery.endpoint_id == endpoint_id, Delivery.state == DeliveryState.WAITING
    return *waits, Delivery.due_at <= func.now()


def _set(attempt: Attempt, to: DeliveryState, **values: datetime | Text | int | None) -> None:
    mine = [Delivery.endpoint_id == attempt.endpoint_id, Delivery.id == attempt.id]
    compare_and_set(Delivery, [*mine, Delivery.state == DeliveryState.WAITING], to, **values)
