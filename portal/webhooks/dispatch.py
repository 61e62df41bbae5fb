"""From events to deliveries, and what is old forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from portal.database import db, now, transaction
from portal.events.models import Event
from portal.tasks import Task
from portal.tenancy.models import Tenant
from portal.texts import Text
from portal.webhooks import delivery, secrets
from portal.webhooks.models import Delivery, DeliveryState, Endpoint, EndpointState

BATCH = 500  # events of one pass
FORGOTTEN_AT_ONCE = 5_000
KEEP_DELIVERIES = timedelta(days=30)
# Row-level security shows one tenant's rows: a function with the owner's rights answers numbers over all of them.
_COUNTS = func.webhook_counts().table_valued("what", "label", "number")


def is_listening(tenant_id: UUID) -> ColumnElement[bool]:
    """The condition that a webhook of the tenant takes events. Registered with ``events`` in ``app``."""
    return exists().where(Endpoint.tenant_id == tenant_id, Endpoint.state != EndpointState.DISABLED)


def run(tenant_id: UUID) -> int:
    """Make a delivery of every event of a tenant that is to be dispatched, for each endpoint that wants it; how many.

    Safe to run twice, also at once: an event is taken by one of them. Needs the database alone.
    """
    with transaction(tenant_id):
        some = select(Task.id).where(Task.kind == "dispatch", Task.tenant_id == tenant_id).order_by(Task.due_at)
        taken = delete(Task).where(Task.id.in_(some.limit(BATCH).with_for_update(skip_locked=True)))
        ids = db.session.scalars(taken.returning(Task.target_id)).all()
        happened = db.session.execute(
            select(Event.id, Event.time, Event.type, Event.workspace_id).where(Event.id.in_(ids))
        ).all()
        # Kept until the commit: an endpoint that is being deleted is waited for, and then not there any more.
        listening = select(Endpoint).where(Endpoint.tenant_id == tenant_id, Endpoint.state != EndpointState.DISABLED)
        endpoints = {each.id: each for each in db.session.scalars(listening.with_for_update(read=True, key_share=True))}
        rows = [_row(each, event) for each in endpoints.values() for event in happened if _wants(each, event)]
        if not rows:
            return 0
        made = insert(Delivery).values(rows).on_conflict_do_nothing().returning(Delivery.endpoint_id)
        for endpoint_id in set(db.session.scalars(made)):
            delivery.schedule(endpoints[endpoint_id])
    return len(rows)


def _wants(endpoint: Endpoint, event: Any) -> bool:
    """Nothing that happened before it was added."""
    if event.time < endpoint.created_at or (endpoint.event_types and event.type not in endpoint.event_types):
        return False
    return not endpoint.workspace_ids or event.workspace_id in endpoint.workspace_ids


def _row(endpoint: Endpoint, event: Any) -> dict[str, Any]:
    return {
        "tenant_id": endpoint.tenant_id,
        "endpoint_id": endpoint.id,
        "id": event.id,
        "created_at": event.time,
        "type": event.type,
        "state": DeliveryState.WAITING,
        "attempts": 0,
        "due_at": func.now(),
    }


def forget() -> Text:
    """Remove deliveries that are older than ``KEEP_DELIVERIES`` and secrets that have ended, of every tenant."""
    with transaction():
        tenants = list(db.session.scalars(select(Tenant.id)))
    total = sum(_forget_deliveries(tenant_id) for tenant_id in tenants)
    keys = 0
    for tenant_id in tenants:
        with transaction(tenant_id):
            keys += secrets.delete_ended(tenant_id)
    return Text(
        "Deleted: %(deliveries)s deliveries older than %(days)s days, %(secrets)s expired secrets.",
        deliveries=total,
        days=KEEP_DELIVERIES.days,
        secrets=keys,
    )


def _forget_deliveries(tenant_id: UUID) -> int:
    old = Delivery.tenant_id == tenant_id, Delivery.created_at < now() - KEEP_DELIVERIES
    total = 0
    while True:
        with transaction(tenant_id):
            some = select(Delivery.endpoint_id, Delivery.id).where(*old).limit(FORGOTTEN_AT_ONCE)
            gone = delete(Delivery).where(tuple_(Delivery.endpoint_id, Delivery.id).in_(some))
            unseen = gone.returning(Delivery.id).execution_options(synchronize_session=False)
            removed = len(db.session.scalars(unseen).all())
        total += removed
        if removed < FORGOTTEN_AT_ONCE:
            return total


def counts() -> dict[tuple[str, str], int]:
    """(what, label) → number over all tenants: ``endpoint`` by state, ``delivery`` by state (the last day's)."""
    return {(row.what, row.label): row.number for row in db.session.execute(select(_COUNTS))}
