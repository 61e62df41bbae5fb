"""Warnings: once for each time that 80, 90 or 95 % are crossed upwards, to those who can do something about it.

``warned_percent`` in a counter's row is the threshold of the last warning. It is forgotten once the share has fallen 5
points below it, so that a share that goes up and down around a threshold warns once. The sweep looks at the counters
that are filled: uploads pay nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update

from portal import audit
from portal.database import db, new_id, transaction
from portal.events import service as events
from portal.events.models import EventType
from portal.mail import service as mail
from portal.quotas.levels import LEVELS, Counter
from portal.quotas.models import TENANT_LIMIT, TenantQuota, WorkspaceQuota
from portal.tenancy import people
from portal.tenancy.models import Tenant, Workspace

THRESHOLDS = tuple(sorted((percent, level) for percent, level in LEVELS if percent < 100))
REARMED_BELOW = 5  # points below a threshold at which it is forgotten


@dataclass(frozen=True)
class ThresholdCrossed:
    """A threshold in percent that was crossed upwards.

    ``workspace_id`` None: by all workspaces of the tenant together.
    """

    tenant_id: UUID
    workspace_id: UUID | None
    percent: int
    level: str


def warn_all() -> int:
    """Warn wherever a threshold was crossed since the last look; how many warnings."""
    with transaction():
        columns = "tenant_id", "workspace_id", "limit_bytes", "used_bytes", "reserved_bytes", "warned_percent"
        source = func.filled_counters(THRESHOLDS[0][0]).table_valued(*columns)
        rows = db.session.execute(select(source)).all()
    count = 0
    for row in rows:
        counter = Counter("workspace", row.limit_bytes, row.used_bytes, row.reserved_bytes)
        permille = counter.permille if counter.held_bytes else 0
        # Looked at again with its row locked, where there is something to write: uploads wait for that row.
        if threshold_of(permille, row.warned_percent) != row.warned_percent:
            count += warn(row.tenant_id, row.workspace_id) is not None
    return count


def warn(tenant_id: UUID, workspace_id: UUID | None) -> ThresholdCrossed | None:
    """Warn where a threshold was crossed and nobody was warned yet, and forget one that is 5 points above the share.

    ``workspace_id`` None: of the tenant. Safe to repeat, and to run twice at once.
    """
    with transaction(tenant_id):
        # Locked until the commit: of two that look at once the second finds the threshold of the first.
        found = _locked_workspace(tenant_id, workspace_id) if workspace_id else _locked_tenant(tenant_id)
        if found is None:
            return None
        percent = threshold_of(found.permille, found.warned_percent)
        if percent == found.warned_percent:
            return None
        if workspace_id is None:
            mark = update(TenantQuota).where(TenantQuota.tenant_id == tenant_id)
        else:
            mark = update(WorkspaceQuota).where(WorkspaceQuota.workspace_id == workspace_id)
        db.session.execute(mark.values(warned_percent=percent))
        if percent < found.warned_percent:
            return None
        crossed = ThresholdCrossed(tenant_id, workspace_id, percent, dict(THRESHOLDS)[percent])
        _notify(crossed, found)
    return crossed


def threshold_of(permille: int, warned: int) -> int:
    """The threshold in percent to be known as warned of (0: none), from the share and the threshold so far."""
    reached = max((percent for percent, _ in THRESHOLDS if permille >= percent * 10), default=0)
    still = (percent for percent, _ in THRESHOLDS if percent <= warned and permille >= (percent - REARMED_BELOW) * 10)
    return max(reached, max(still, default=0))


@dataclass(frozen=True)
class _Locked:
    """What a warning is about; ``workspace_slug`` empty: a tenant."""

    counter: Counter
    warned_percent: int
    tenant_slug: str
    tenant_name: str
    workspace_slug: str = ""
    workspace_name: str = ""

    @property
    def permille(self) -> int:
        """The share; 0 while nothing is used: no warning then, however small the limit."""
        return self.counter.permille if self.counter.held_bytes else 0


def _locked_workspace(tenant_id: UUID, workspace_id: UUID) -> _Locked | None:
    query = (
        select(
            WorkspaceQuota.limit_bytes,
            WorkspaceQuota.used_bytes,
            WorkspaceQuota.reserved_bytes,
            WorkspaceQuota.warned_percent,
            Tenant.slug,
            Tenant.name,
            Workspace.slug,
            Workspace.name,
        )
        .join(Workspace, Workspace.id == WorkspaceQuota.workspace_id)
        .join(Tenant, Tenant.id == WorkspaceQuota.tenant_id)
        .where(WorkspaceQuota.workspace_id == workspace_id, WorkspaceQuota.tenant_id == tenant_id)
    )
    row = db.session.execute(query.with_for_update(key_share=True, of=WorkspaceQuota)).one_or_none()
    return _Locked(Counter("workspace", *row[:3]), *row[3:]) if row else None


def _locked_tenant(tenant_id: UUID) -> _Locked | None:
    query = (
        select(
            TENANT_LIMIT,
            TenantQuota.used_bytes,
            TenantQuota.reserved_bytes,
            TenantQuota.warned_percent,
            Tenant.slug,
            Tenant.name,
        )
        .join(Tenant, Tenant.id == TenantQuota.tenant_id)
        .where(TenantQuota.tenant_id == tenant_id)
    )
    row = db.session.execute(query.with_for_update(key_share=True, of=TenantQuota)).one_or_none()
    return _Locked(Counter("tenant", *row[:3]), *row[3:]) if row else None


def _notify(crossed: ThresholdCrossed, found: _Locked) -> None:
    """Record the event and write the e-mails, in the open transaction."""
    tenant_id, workspace_id = crossed.tenant_id, crossed.workspace_id
    facts = {
        "level": crossed.level,
        "percent": found.permille / 10,
        "used_bytes": found.counter.held_bytes,
        "limit_bytes": found.counter.limit_bytes,
    }
    events.record(EventType.QUOTA_WARNING, tenant_id, workspace_id, scope=found.counter.scope, **facts)
    audit.record(tenant_id, None, "quota.warned", workspace_id or tenant_id, workspace_id=workspace_id, **facts)
    # Who is both admin and owner gets one e-mail, the admin's: it leads to where limits are set.
    once = f"quota:{new_id()}"
    recipients = [(people.admins_of(tenant_id), f"/t/{found.tenant_slug}/quotas")]
    if workspace_id is not None:
        files = f"/t/{found.tenant_slug}/w/{found.workspace_slug}/files"
        recipients.append((people.owners_of(workspace_id), files))
    for addressees, path in recipients:
        mail.enqueue(
            "quota_warning",
            addressees,
            tenant_id,
            deduplication_key=once,
            path=path,
            place=found.workspace_name or found.tenant_name,
            tenant_name=found.tenant_name,
            is_tenant=workspace_id is None,
            **facts,
        )
