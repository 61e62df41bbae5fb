"""The nightly recount: equal, or an alarm with the difference."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from portal import audit
from portal.db import db, enter, now, transaction
from portal.errors import Problem
from portal.events import mail
from portal.events import service as events
from portal.events.models import EventType
from portal.identity import service as identity
from portal.quotas.recount import recount
from portal.tenancy.models import Tenant

TOLD = 20  # differences of a tenant that are told one by one
PATH = "/operator"


def recount_all() -> str:
    """Recount every tenant's books; a chore. Raises ``Problem`` with what differs, once that was told."""
    with transaction():
        tenants = db.session.execute(select(Tenant.id, Tenant.slug).order_by(Tenant.id)).all()
    differing = []
    for tenant_id, slug in tenants:
        enter(tenant_id)
        found = recount(tenant_id)
        enter(None)
        if found:
            _alarm(tenant_id, slug, found)
            differing.append(f"{slug}: {'; '.join(found[:TOLD])}")
    if differing:
        raise Problem(f"The books of {len(differing)} of {len(tenants)} tenants differ. {' — '.join(differing)}")
    return f"The books of {len(tenants)} tenants are right: counters, ledger, files and uploads agree."


def _alarm(tenant_id: UUID, slug: str, found: list[str]) -> None:
    detail = f"The books of the tenant {slug} differ: {'; '.join(found[:TOLD])}."
    told = {"chore": "Recount of the quotas", "detail": detail, "at": now(), "path": PATH}
    with transaction(tenant_id):
        audit.record(tenant_id, None, "quota.miscounted", tenant_id, differences=found[:TOLD], count=len(found))
        events.record(EventType.QUOTA_MISCOUNTED, tenant_id, None, differences=found[:TOLD], count=len(found))
        mail.write("chore_alarm", identity.operators(), tenant_id, once=f"recount:{now():%Y-%m-%d}", **told)
