"""When a customer's bucket stops working, and when it works again: what waits meanwhile, and who is notified.

Work that a store refuses for a reason that only a person can fix (a revoked key, a deleted bucket, a refused write)
makes its profile unhealthy: uploads are refused before a byte moves, jobs wait without burning attempts. The active
profile is tested again every few minutes; when a test passes, everything continues by itself.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from portal import audit, tasks
from portal.database import db, now, transaction
from portal.errors import NotFound, Problem, Unavailable
from portal.events import service as events
from portal.events.models import EventType
from portal.mail import service as mail
from portal.objectstore import errors, ownership_marker
from portal.objectstore.ownership_marker import MarkedBy
from portal.storage import service as storage
from portal.storage.models import Health, ProfileMode, StorageProfile
from portal.tenancy import people
from portal.tenancy.models import Tenant, Workspace
from portal.texts import Text

log = logging.getLogger(__name__)

FIRST_TEST_DELAY = timedelta(minutes=1)  # from the failure of some work
TEST_INTERVAL = timedelta(minutes=5)  # from one failed test of the active profile to the next


def report_problem(tenant_id: UUID, profile_id: UUID, problem: Problem) -> None:
    """Mark the profile unhealthy where the problem needs a person; others pass by waiting.

    In a transaction of its own. The managed store is the operator's: its problems are in the log and in ``doctor``.
    """
    if not errors.needs_person(problem):
        return
    with transaction(tenant_id) as session:
        # Only the first of many jobs that fail at once changes the row, and notifies.
        statement = (
            update(StorageProfile)
            .where(
                StorageProfile.id == profile_id,
                StorageProfile.mode == ProfileMode.BYOS,
                StorageProfile.health.in_((Health.HEALTHY, Health.UNKNOWN)),
                StorageProfile.retired_at.is_(None),
            )
            .values(health=Health.UNHEALTHY, reason=problem.text)
            .returning(StorageProfile)
        )
        profile = session.scalar(statement.execution_options(populate_existing=True))
        if profile is None:
            return
        reason = problem.text.english
        log.warning("storage profile %s takes no files: %s", profile_id, reason)
        audit.record(tenant_id, None, "storage.unhealthy", profile_id, workspace_id=profile.workspace_id, reason=reason)
        tasks.schedule(
            "probe",
            profile_id,
            tenant_id=tenant_id,
            workspace_id=profile.workspace_id,
            due_at=now() + FIRST_TEST_DELAY,
        )
        notify_unhealthy(profile, problem.text)


def notify_unhealthy(profile: StorageProfile, reason: Text) -> None:
    """An event, and e-mails to the workspace's owners and the tenant's admins. Inside the caller's transaction."""
    _set_unhealthy_since(profile, now())
    events.record(
        EventType.STORAGE_UNHEALTHY,
        profile.tenant_id,
        profile.workspace_id,
        profile_id=str(profile.id),
        reason=reason.english,
    )
    _send("storage_unhealthy", profile, reason=reason, at=now())


def notify_recovered(profile: StorageProfile) -> None:
    """The event and e-mails when a test has passed again. Inside the caller's transaction."""
    since = profile.unhealthy_since
    _set_unhealthy_since(profile, None)
    events.record(EventType.STORAGE_RECOVERED, profile.tenant_id, profile.workspace_id, profile_id=str(profile.id))
    _send("storage_recovered", profile, since=since, at=now())


def require_working(profile: StorageProfile) -> None:
    """Raises ``Unavailable`` for a profile that takes no new files; during a test the state before it counts."""
    state, reason = profile.health, profile.reason
    if state is Health.PROBING:
        before = (profile.probe or {}).get("before", {})
        state, stored = before.get("health"), before.get("reason")
        reason = Text.load(stored) if stored else None
    if state == Health.UNHEALTHY:
        broken = Text("The storage of this workspace does not work right now.")
        sent = Text("Nothing was sent. Its owners have been notified.")
        text = Text.join(broken, reason, sent) if reason else Text.join(broken, sent)
        raise Unavailable(text, code="storage_unavailable")


def require_marker(profile: StorageProfile) -> None:
    """Call it before a missing object counts as deleted: in a bucket that was created again, every object is missing.

    Raises ``Unavailable`` where the marker that was seen there before is gone or names somebody else. Uses the network.
    """
    if profile.mode is not ProfileMode.BYOS or not profile.capabilities.get("marker"):
        return
    try:
        with storage.bucket_for(profile).get(ownership_marker.KEY) as stream:
            content = stream.read(ownership_marker.MAX_SIZE)
    except NotFound:
        content = b""
    if storage.marker_owner_of(profile).compare(content) is not MarkedBy.US:
        problem = errors.StoreUnavailable(errors.MARKER_MISSING)
        report_problem(profile.tenant_id, profile.id, problem)
        raise problem


def _set_unhealthy_since(profile: StorageProfile, since: datetime | None) -> None:
    db.session.execute(update(StorageProfile).where(StorageProfile.id == profile.id).values(unhealthy_since=since))


def _send(template: str, profile: StorageProfile, **context: Any) -> None:
    workspace = db.session.execute(
        select(Tenant.slug.label("tenant_slug"), Workspace.slug, Workspace.name)
        .join(Workspace, Workspace.tenant_id == Tenant.id)
        .where(Workspace.id == profile.workspace_id)
    ).one()
    to = [*people.owners_of(profile.workspace_id), *people.admins_of(profile.tenant_id)]
    path = f"/t/{workspace.tenant_slug}/w/{workspace.slug}/storage"
    mail.enqueue(template, to, profile.tenant_id, place=workspace.name, bucket=profile.bucket, path=path, **context)
