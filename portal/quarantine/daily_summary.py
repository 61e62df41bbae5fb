"""The daily e-mail to admins while files wait in quarantine for their decision."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select

from portal.assets import alerts
from portal.assets.models import Asset
from portal.database import db, now, transaction
from portal.mail import service as mail
from portal.quarantine import service
from portal.tenancy import people
from portal.tenancy.models import Tenant
from portal.texts import Text
from portal.web.paging import Paging

LISTED_FILES = 20  # that an e-mail names; the page lists all
REMOVED_SOON = timedelta(days=2)


def run() -> Text:
    """Write to the admins of each tenant that has quarantined files, once a day; returns what was done."""
    with transaction():
        tenants = db.session.scalars(select(Tenant.id)).all()
    numbers = [_write(tenant_id) for tenant_id in tenants]
    return Text(
        "E-mails about quarantined files: %(emails)s, in %(tenants)s tenants.",
        emails=sum(numbers),
        tenants=sum(map(bool, numbers)),
    )


def _write(tenant_id: UUID) -> int:
    at = now()
    with transaction(tenant_id):
        quarantined, new, leaving = _counts(tenant_id)
        if not quarantined:
            return 0
        tenant = db.session.get_one(Tenant, tenant_id)
        items, _ = service.list_items(tenant_id, Paging(LISTED_FILES))
        listed = [
            {
                "file_name": each.file_name,
                "place": each.workspace_name,
                "found": each.signature or each.reason,
                "deadline": each.deadline,
            }
            for each in items
        ]
        return mail.enqueue(
            "quarantine_digest",
            people.admins_of(tenant_id),
            tenant_id,
            # the periodic task may run twice in a day: after a failure or by hand
            deduplication_key=f"quarantine:{at.date()}",
            tenant_name=tenant.name,
            held=quarantined,
            new=new,
            leaving=leaving,
            items=listed,
            path=alerts.quarantine_path(tenant.slug),
        )


def _counts(tenant_id: UUID) -> tuple[int, int, int]:
    """How many are quarantined, how many of them since yesterday, and how many are removed within two days."""
    at = now()
    new = func.count().filter(Asset.quarantined_at > at - timedelta(days=1))
    leaving = func.count().filter(Asset.purge_after < at + REMOVED_SOON)
    statement = select(func.count(), new, leaving).where(*service.quarantined_in(tenant_id))
    quarantined, fresh, soon = db.session.execute(statement).one()
    return quarantined, fresh, soon
