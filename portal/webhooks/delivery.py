"""Delivering: one worker at a time takes an endpoint's due events to it, one after another; the row is the queue.

A worker claims the endpoint, and writes down each attempt before it dials: one that dies between the answer and the row
leaves a delivery that waits, and it is made again with the same id. After a failure the delivery waits as the Standard
Webhooks suggest, and the endpoint rests, longer with each failure: a dead one costs a worker 15
seconds in 15 minutes. Of a tenant's that fail one is tried at a time, so that twenty hold no more workers than one.
"""

from __future__ import annotations

import logging
import random
import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from flask import current_app
from prometheus_client import Counter
from sqlalchemy import ColumnElement, CursorResult, case, exists, func, or_, select, update
from sqlalchemy.orm import aliased

from portal import audit, database, queue
from portal.database import compare_and_set, db, transaction
from portal.errors import Unavailable
from portal.events.models import Event
from portal.mail import service as mail
from portal.storage.service import egress_of
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

LEASE = timedelta(seconds=60)  # of the claim, renewed for each attempt, which takes 15 seconds at most
RUN_SECONDS = 30.0  # of one job; then the others have their turn
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
NOWHERE = UUID(int=0)  # an endpoint is in no workspace
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
    """Deliver what is due at one endpoint, for a while. Safe to run twice: only one claims it."""
    token = secrets.token_hex(8)
    if not _claim(tenant_id, endpoint_id, token):
        return
    over_at = time.monotonic() + RUN_SECONDS
    rules = egress_of(current_app.extensions["portal.settings"])
    try:
        while (attempt := _take(tenant_id, endpoint_id, token)) is not None:
            headers = headers_of(attempt.id, database.now(), attempt.body, attempt.keys)
            result = http_client.post(attempt.url, headers, attempt.body, rules)
            _note(attempt, token, result)
            if result.reason or time.monotonic() > over_at:
                break
    except Unavailable:
        _rest(tenant_id, endpoint_id, token, CLOSED)
    if _release(tenant_id, endpoint_id, token):
        queue.ring("deliver", tenant_id, NOWHERE, endpoint_id)


def postpone(tenant_id: UUID, endpoint_id: UUID) -> None:
    """The sweep rings now: it does not ring for this endpoint again within half a minute."""
    with transaction(tenant_id):
        db.session.execute(update(Endpoint).where(Endpoint.id == endpoint_id).values(rung_at=func.now()))


def body_for(delivery: Delivery) -> bytes | None:
    """What is sent; None when the event was forgotten."""
    if delivery.type == TEST:
        data: dict[str, Any] = {"message": "This is a test. Nothing has happened."}
        return body_of(delivery.id, TEST, delivery.created_at, delivery.tenant_id, None, data)
    event = db.session.get(Event, delivery.id)
    if event is None:
        return None
    return body_of(event.id, event.type, event.time, event.tenant_id, event.workspace_id, event.data)


def _claim(tenant_id: UUID, endpoint_id: UUID, token: str) -> bool:
    """Is it ours to deliver to now? Deliveries whose last attempt never ended are given up with it."""
    free = or_(Endpoint.claim_until.is_(None), Endpoint.claim_until < func.now())
    awake = or_(Endpoint.rests_until.is_(None), Endpoint.rests_until <= func.now())
    listens = Endpoint.id == endpoint_id, Endpoint.state != EndpointState.DISABLED
    other = aliased(Endpoint)
    fails = other.tenant_id == tenant_id, other.id != endpoint_id, other.state == EndpointState.FAILING
    alone = ~exists().where(*fails, other.claim_until > func.now())
    with transaction(tenant_id):
        claim = update(Endpoint).where(*listens, free, awake, or_(Endpoint.state == EndpointState.HEALTHY, alone))
        if not _rows(claim.values(claim_token=token, claim_until=func.now() + LEASE)):
            return False
        spent = case((Delivery.type == TEST, 1), else_=len(WAITS) + 1)
        dropped = Delivery.endpoint_id == endpoint_id, Delivery.state == DeliveryState.WAITING
        over = {"state": DeliveryState.FAILED, "due_at": None, "reason": UNFINISHED}
        _rows(update(Delivery).where(*dropped, Delivery.attempts >= spent).values(over))
    return True


def _take(tenant_id: UUID, endpoint_id: UUID, token: str) -> Attempt | None:
    """The next attempt, written down; None when nothing is due, or the claim is not ours any more."""
    with transaction(tenant_id):
        ours = Endpoint.id == endpoint_id, Endpoint.claim_token == token, Endpoint.state != EndpointState.DISABLED
        renew = update(Endpoint).where(*ours).values(claim_until=func.now() + LEASE).returning(Endpoint.url)
        url = db.session.scalar(renew)
        if url is None:
            return None
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


def _note(attempt: Attempt, token: str, result: PostResult) -> None:
    """Write down what came of an attempt, where the rows are still there."""
    ATTEMPTS.labels("failed" if result.reason else "delivered").inc()
    with transaction(attempt.tenant_id):
        if not result.reason:
            _set(attempt, DeliveryState.DELIVERED, due_at=None, status_code=result.status, reason=None)
            well = {"reason": None, "failures": 0, "failing_since": None, "rests_until": None}
            mine = [Endpoint.id == attempt.endpoint_id, Endpoint.state != EndpointState.DISABLED]
            compare_and_set(Endpoint, mine, EndpointState.HEALTHY, **well, delivered_at=func.now())
            return
        failed = select(Endpoint).where(Endpoint.id == attempt.endpoint_id, Endpoint.claim_token == token)
        endpoint = db.session.scalar(failed.with_for_update().execution_options(populate_existing=True))
        if endpoint is None:
            return
        known = {"status_code": result.status, "reason": result.reason}
        if attempt.is_last or result.status == http_client.GONE:
            _set(attempt, DeliveryState.FAILED, due_at=None, **known)
        else:
            _set(attempt, DeliveryState.WAITING, due_at=database.now() + _wait(attempt.attempts, result), **known)
        _fall(endpoint, result)


def _fall(endpoint: Endpoint, result: PostResult) -> None:
    """After a failure an endpoint rests; one that is gone, or has failed for days, is disabled, and people are told."""
    if endpoint.state is EndpointState.DISABLED:
        return
    at = database.now()
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or at
    endpoint.rests_until = at + max(
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
    mail.write(
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


def _rest(tenant_id: UUID, endpoint_id: UUID, token: str, reason: Text) -> None:
    """Nothing can be tried for a reason of ours: no attempt is burned."""
    ours = [Endpoint.id == endpoint_id, Endpoint.claim_token == token]
    with transaction(tenant_id):
        rest = {"reason": reason, "rests_until": func.now() + LONGEST_REST}
        compare_and_set(Endpoint, [*ours, Endpoint.state != EndpointState.DISABLED], EndpointState.FAILING, **rest)


def _release(tenant_id: UUID, endpoint_id: UUID, token: str) -> bool:
    """Give the claim back; is there more that can be done now?"""
    ours = Endpoint.id == endpoint_id, Endpoint.claim_token == token
    free = {"claim_token": None, "claim_until": None, "rung_at": None}
    with transaction(tenant_id):
        row = db.session.execute(update(Endpoint).where(*ours).values(free).returning(Endpoint.rests_until)).first()
        if row is None or (row.rests_until and row.rests_until > database.now()):
            return False
        return bool(db.session.scalar(select(exists().where(*_due_at(endpoint_id)))))


def _due_at(endpoint_id: UUID) -> tuple[ColumnElement[bool], ...]:
    waits = Delivery.endpoint_id == endpoint_id, Delivery.state == DeliveryState.WAITING
    return *waits, Delivery.due_at <= func.now()


def _set(attempt: Attempt, to: DeliveryState, **values: datetime | Text | int | None) -> None:
    mine = [Delivery.endpoint_id == attempt.endpoint_id, Delivery.id == attempt.id]
    compare_and_set(Delivery, [*mine, Delivery.state == DeliveryState.WAITING], to, **values)


def _rows(statement: Any) -> int:
    return cast(CursorResult[Any], db.session.execute(statement.execution_options(synchronize_session=False))).rowcount
