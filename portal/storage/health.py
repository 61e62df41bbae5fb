"""When a customer's bucket stops working, and when it works again: what waits meanwhile, and who is told.

Work that a store refuses for a reason only a person can mend (a revoked key, a vanished bucket, a refused write) makes
its profile unhealthy: uploads are refused before a byte moves, jobs wait without burning attempts. The active profile
is tested again every few minutes; when a test passes, everything goes on by itself.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from portal import audit
from portal.database import db, now, transaction
from portal.errors import NotFound, Problem, Unavailable
from portal.events import service as events
from portal.events.models import EventType
from portal.mail import service as mail
from portal.objectstore import errors, ownership_marker
from portal.storage import service as storage
from portal.storage.models import Health, ProfileMode, StorageProfile
from portal.tenancy import people
from portal.tenancy.models import Tenant, Workspace

log = logging.getLogger(__name__)

FIRST_LOOK = timedelta(minutes=1)  # from the failure of some work to the first test
NEXT_LOOK = timedelta(minutes=5)  # from one failed test of the active profile to the next


def suspect(tenant_id: UUID, profile_id: UUID, problem: Problem) -> None:
    """Some work with this profile failed. Where only a person can mend that, it takes no new files for now.

    In a transaction of its own. The managed store is the operator's: it is in the log and in the doctor's words.
    """
    if not errors.needs_person(problem):
        return
    working = StorageProfile.health.in_((Health.HEALTHY, Health.UNKNOWN)), StorageProfile.retired_at.is_(None)
    values = {"health": Health.UNHEALTHY, "reason": problem.detail, "probe_due_at": now() + FIRST_LOOK}
    with transaction(tenant_id) as session:
        own = StorageProfile.id == profile_id, StorageProfile.mode == ProfileMode.BYOS
        fell = update(StorageProfile).where(*own, *working).values(values).returning(StorageProfile)
        profile = session.scalar(fell.execution_options(populate_existing=True))
        if profile is not None:
            log.warning("storage profile %s takes no files: %s", profile_id, problem.detail)
            facts: dict[str, Any] = {"workspace_id": profile.workspace_id, "reason": problem.detail}
            audit.record(tenant_id, None, "storage.unhealthy", profile_id, **facts)
            tell_lost(profile, problem.detail)


def tell_lost(profile: StorageProfile, reason: str) -> None:
    """Tell whoever listens, and by mail the owners and admins. Inside the caller's transaction."""
    facts = {"profile_id": str(profile.id), "reason": reason}
    _note(profile, now())
    events.record(EventType.STORAGE_UNHEALTHY, profile.tenant_id, profile.workspace_id, **facts)
    _write("storage_unhealthy", profile, reason=reason, at=now())


def tell_recovered(profile: StorageProfile) -> None:
    """The same when a test has passed after that."""
    since = profile.unhealthy_since
    _note(profile, None)
    events.record(EventType.STORAGE_RECOVERED, profile.tenant_id, profile.workspace_id, profile_id=str(profile.id))
    _write("storage_recovered", profile, since=since, at=now())


def require_working(profile: StorageProfile) -> None:
    """Raises ``Unavailable`` for a profile that takes no new files; one that is being tested keeps its last word."""
    state, reason = profile.health, profile.reason
    if state is Health.PROBING:
        before = (profile.probe or {}).get("before", {})
        state, reason = before.get("health"), before.get("reason")
    if state == Health.UNHEALTHY:
        raise Unavailable(
            f"The storage of this workspace does not work right now. {reason or ''} Nothing was sent. Its owners know.",
            code="storage_unavailable",
        )


def require_ours(profile: StorageProfile) -> None:
    """Before an absence is believed: in a bucket that somebody else made again, everything is absent.

    Raises ``Unavailable`` where the marker that was seen there once is gone, or is another's. Uses the network.
    """
    if profile.mode is not ProfileMode.BYOS or not profile.capabilities.get("marker"):
        return
    if _is_marked(profile):
        return
    problem = errors.StoreUnavailable(errors.MARKER_MISSING)
    suspect(profile.tenant_id, profile.id, problem)
    raise problem


def _is_marked(profile: StorageProfile) -> bool:
    try:
        with storage.bucket_for(profile).get(ownership_marker.KEY) as stream:
            return storage.mark_of(profile).claim(stream.read(ownership_marker.LARGEST)) is ownership_marker.Claim.OURS
    except NotFound:
        return False


def _note(profile: StorageProfile, since: datetime | None) -> None:
    db.session.execute(update(StorageProfile).where(StorageProfile.id == profile.id).values(unhealthy_since=since))


def _write(template: str, profile: StorageProfile, **context: Any) -> None:
    places = select(Tenant.slug, Workspace.slug, Workspace.name).join(Workspace, Workspace.tenant_id == Tenant.id)
    tenant_slug, slug, name = db.session.execute(places.where(Workspace.id == profile.workspace_id)).one()
    path = f"/t/{tenant_slug}/w/{slug}/storage"
    to = [*people.owners_of(profile.workspace_id), *people.admins_of(profile.tenant_id)]
    mail.write(template, to, profile.tenant_id, place=name, bucket=profile.bucket, path=path, **context)
