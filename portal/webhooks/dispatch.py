"""From events to deliveries, and what is old forgotten: a few functions of the database that look across tenants."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import column, func, select, text

from portal import queue
from portal.database import after_commit, db, now, transaction
from portal.tenancy.models import Tenant
from portal.webhooks import secrets
from portal.webhooks.delivery import NOWHERE

log = logging.getLogger(__name__)

BATCH = 2_000  # events of one pass
FORGOTTEN_AT_ONCE = 5_000
KEEP_DELIVERIES = timedelta(days=30)
_COUNTS = text("SELECT what, label, number FROM webhook_counts()")


def tell() -> int:
    """Make a delivery of every event that has none yet, for each endpoint that wants it, and ring for these endpoints.

    Safe to run twice, also at once: an event is taken by one of them. How many endpoints have something to hear.
    """
    with transaction():
        source = func.tell_webhooks(BATCH).table_valued(column("tenant_id"), column("id"))
        told: list[tuple[UUID, UUID]] = [(row.tenant_id, row.id) for row in db.session.execute(select(source))]
        after_commit(lambda: _ring(told))
    return len(told)


def forget() -> str:
    """Remove deliveries that are older than ``KEEP_DELIVERIES`` and secrets that have ended, of every tenant."""
    before, total = now() - KEEP_DELIVERIES, 0
    while True:
        with transaction():
            gone = int(db.session.scalar(select(func.forget_webhook_deliveries(before, FORGOTTEN_AT_ONCE))) or 0)
            tenants = list(db.session.scalars(select(Tenant.id)))
        total += gone
        if gone < FORGOTTEN_AT_ONCE:
            break
    keys = 0
    for tenant_id in tenants:
        with transaction(tenant_id):
            keys += secrets.delete_ended(tenant_id)
    return f"{total} deliveries older than {KEEP_DELIVERIES.days} days and {keys} old secrets were removed."


def counts() -> dict[tuple[str, str], int]:
    """(what, label) → number over all tenants: ``endpoint`` by state, ``delivery`` by state (the last day's)."""
    return {(row.what, row.label): row.number for row in db.session.execute(_COUNTS)}


def _ring(endpoints: list[tuple[Any, Any]]) -> None:
    for tenant_id, endpoint_id in endpoints:
        queue.ring("deliver", tenant_id, NOWHERE, endpoint_id)
