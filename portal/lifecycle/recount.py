"""Recount of the quota counters: against the ledger, and against the rows of assets and uploads.

Each night for every tenant; a difference is an alarm to the operators.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from flask_babel import lazy_gettext as _l
from sqlalchemy import Uuid, bindparam, select, text

from portal import audit
from portal.database import db, enter, now, transaction
from portal.events import service as events
from portal.events.models import EventType
from portal.identity import service as identity
from portal.lifecycle.failure import TaskFailed
from portal.mail import service as mail
from portal.tenancy.models import Tenant
from portal.texts import Text

LISTED_DIFFERENCES = 20  # of one tenant
PATH = "/operator"

# One statement sees one snapshot, so it may run beside uploads: two statements would report an upload that is committed
# between them as a difference. Text, because the four aggregates beside outer joins are easier to check in SQL.
_COUNTERS = text("""
    SELECT w.id, w.slug, q.workspace_id IS NOT NULL AS counted,
           coalesce(q.used_bytes, 0) AS used, coalesce(q.reserved_bytes, 0) AS reserved,
           coalesce(l.used, 0) AS ledger_used, coalesce(l.reserved, 0) AS ledger_reserved,
           coalesce(a.charged, 0) AS charged, coalesce(a.files, 0) AS files,
           coalesce(q.used_files, 0) AS used_files, coalesce(u.promised, 0) AS promised,
           t.tenant_id IS NOT NULL AS tenant_counted,
           coalesce(t.used_bytes, 0) AS tenant_used, coalesce(t.used_files, 0) AS tenant_files,
           coalesce(t.reserved_bytes, 0) AS tenant_reserved
    FROM (SELECT CAST(:tenant AS uuid) AS id) AS place
    LEFT JOIN tenant_quotas t ON t.tenant_id = place.id
    LEFT JOIN workspaces w ON w.tenant_id = place.id
    LEFT JOIN workspace_quotas q ON q.workspace_id = w.id
    LEFT JOIN (SELECT workspace_id, CAST(sum(used_delta) AS bigint) AS used,
                      CAST(sum(reserved_delta) AS bigint) AS reserved
               FROM quota_ledger WHERE tenant_id = :tenant GROUP BY workspace_id) l ON l.workspace_id = w.id
    LEFT JOIN (SELECT workspace_id, CAST(sum(charged_bytes) AS bigint) AS charged,
                      count(*) FILTER (WHERE charged_bytes > 0) AS files
               FROM assets WHERE tenant_id = :tenant GROUP BY workspace_id) a ON a.workspace_id = w.id
    LEFT JOIN (SELECT workspace_id, CAST(sum(reserved_bytes) AS bigint) AS promised
               FROM uploads WHERE tenant_id = :tenant GROUP BY workspace_id) u ON u.workspace_id = w.id
    ORDER BY w.id
""").bindparams(bindparam("tenant", type_=Uuid()))


def recount(tenant_id: UUID) -> list[str]:
    """Every difference between a tenant's counters and its rows, as sentences.

    The session has entered the tenant.
    """
    rows = db.session.execute(_COUNTERS, {"tenant": tenant_id}).all()
    found = [difference for row in rows if row.id is not None for difference in _of_workspace(row)]
    return found + list(_of_tenant(rows))


def recount_all() -> Text:
    """Recount every tenant; a periodic task. Raises ``TaskFailed`` with the differences, once they were mailed."""
    with transaction():
        tenants = db.session.execute(select(Tenant.id, Tenant.slug).order_by(Tenant.id)).all()
    differing = []
    for tenant_id, slug in tenants:
        enter(tenant_id)
        found = recount(tenant_id)
        enter(None)
        if found:
            _alarm(tenant_id, slug, found)
            differing.append(f"{slug}: {'; '.join(found[:LISTED_DIFFERENCES])}")
    if differing:
        raise TaskFailed(
            Text(
                "The counters of %(count)s of %(total)s tenants are wrong. %(differences)s",
                count=len(differing),
                total=len(tenants),
                differences=" — ".join(differing),
            )
        )
    return Text("Counters, ledger, files and uploads agree in all tenants (%(count)s).", count=len(tenants))


def _of_workspace(row: Any) -> Iterator[str]:
    name = f"workspace {row.slug} ({row.id})"
    if not row.counted:
        yield f"{name} has no counters"
    yield from _differences(
        name,
        ("used_bytes", row.used, "the ledger", row.ledger_used),
        ("reserved_bytes", row.reserved, "the ledger", row.ledger_reserved),
        ("used_bytes", row.used, "its assets", row.charged),
        ("reserved_bytes", row.reserved, "its uploads", row.promised),
        ("used_files", row.used_files, "its assets", row.files),
    )


def _of_tenant(rows: Any) -> Iterator[str]:
    first = rows[0]
    if not first.tenant_counted:
        yield "the tenant has no counters"
    yield from _differences(
        "the tenant",
        ("used_bytes", first.tenant_used, "its workspaces", sum(row.used for row in rows)),
        ("reserved_bytes", first.tenant_reserved, "its workspaces", sum(row.reserved for row in rows)),
        ("used_files", first.tenant_files, "its workspaces", sum(row.used_files for row in rows)),
    )


def _differences(name: str, *pairs: tuple[str, int, str, int]) -> Iterator[str]:
    for counter, counted, source, found in pairs:
        if counted != found:
            yield f"{name}: {counter} says {counted}; by {source} it is {found} ({counted - found:+d})"


def _alarm(tenant_id: UUID, slug: str, found: list[str]) -> None:
    detail = f"The quota counters of the tenant {slug} are wrong: {'; '.join(found[:LISTED_DIFFERENCES])}."
    facts = {"task": _l("Recount of the quotas"), "detail": detail, "at": now(), "path": PATH}
    with transaction(tenant_id):
        audit.record(
            tenant_id, None, "quota.miscounted", tenant_id, differences=found[:LISTED_DIFFERENCES], count=len(found)
        )
        events.record(
            EventType.QUOTA_MISCOUNTED, tenant_id, None, differences=found[:LISTED_DIFFERENCES], count=len(found)
        )
        mail.enqueue(
            "task_alarm", identity.operators(), tenant_id, deduplication_key=f"recount:{now():%Y-%m-%d}", **facts
        )
