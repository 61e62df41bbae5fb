"""Running the probe for a profile: asked for, claimed by one worker, written step by step, concluded.

The row is the queue: ``probing`` with ``probe_due_at`` in the past is rung for. A worker that claims it writes its
token there and moves ``probe_due_at`` on with every step; one that is killed stops doing so, and another begins anew.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, CursorResult, column, func, or_, select, update

from portal import audit, database, queue
from portal.database import after_commit, db, transaction
from portal.errors import Conflict, Problem
from portal.settings import Settings
from portal.storage import service as storage
from portal.storage.health import TEST_INTERVAL, notify_recovered, notify_unhealthy
from portal.storage.models import Encryption, Health, ProfileMode, StorageProfile
from portal.storage.policies import Policy, Right, policies_for, provider_of, rights
from portal.storage.probe.context import ProbeTarget
from portal.storage.probe.runner import Probe, Verdict
from portal.texts import Text
from portal.web.rate_limits import Rate, rates

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)  # more than any step may take
RING_AGAIN = timedelta(seconds=30)
MOST_ATTEMPTS = 5
BATCH = 200
REQUESTS = Rate("storage-test", "60 per hour")  # of a workspace: each keeps a worker busy, at an address of its choice
NOT_FINISHED = Text("The test of this storage could not be finished. Test it again; the server's log has the reason.")


def count_request(workspace_id: UUID) -> None:
    """To be called before a person has a profile tested, outside of any transaction. Raises ``Unavailable``."""
    rates().count(REQUESTS, str(workspace_id))


def request(workspace_id: UUID, profile_id: UUID, actor_id: UUID | None = None) -> StorageProfile:
    """Have a profile tested, inside the caller's transaction; a test that is under way is not repeated.

    A person who asks for it (``actor_id``) accepts that the owner's marker was lost: the place is marked again.
    Raises ``NotFound``, and ``Conflict`` for the managed storage.
    """
    profile = _own(workspace_id, profile_id)
    if profile.health is Health.PROBING:
        return profile
    before = {"health": profile.health.value, "reason": profile.reason and profile.reason.stored}
    if actor_id and profile.capabilities.get("marker_lost"):
        profile.capabilities = {**profile.capabilities, "marker": False, "marker_lost": False}
    profile.health, profile.probe_token, profile.probe_due_at = Health.PROBING, None, database.now() + RING_AGAIN
    profile.probe = {"at": _moment(), "steps": [], "before": before, "attempts": 0}
    db.session.flush()
    audit.record(profile.tenant_id, actor_id, "storage.probe", profile.id, workspace_id=workspace_id)
    after_commit(lambda: _ring(profile))
    return profile


def postpone(tenant_id: UUID, profile_id: UUID) -> None:
    """The sweep rings now: don't ring again before ``RING_AGAIN`` is over. Frees what a killed worker held.

    A profile that does not work, and whose next test is due, begins it.
    """
    with transaction(tenant_id):
        found = db.session.get(StorageProfile, profile_id)
        if found is not None and found.health is Health.UNHEALTHY:
            request(found.workspace_id, profile_id)
            return
        standing = StorageProfile.id == profile_id, StorageProfile.probe_due_at < func.now()
        values = {"probe_token": None, "probe_due_at": func.now() + RING_AGAIN}
        db.session.execute(update(StorageProfile).where(*standing).values(values))


def request_old() -> str:
    """Have those tested whose last test is a week old; how many, in words."""
    with transaction():
        source = func.old_probes(BATCH).table_valued(*(column(name) for name in ("tenant_id", "workspace_id", "id")))
        old = db.session.execute(select(source)).all()
    for row in old:
        with transaction(row.tenant_id):
            request(row.workspace_id, row.id)
    return f"{len(old)} own buckets are tested again."


def run(tenant_id: UUID, workspace_id: UUID, profile_id: UUID) -> None:
    """Probe a profile that waits for it, writing down each step. Safe to run twice: only one claims it."""
    token = uuid4()
    profile = _claim(tenant_id, token, StorageProfile.id == profile_id, StorageProfile.workspace_id == workspace_id)
    if profile is None:
        return
    earlier = dict(profile.probe or {})
    if earlier["attempts"] > MOST_ATTEMPTS:
        _conclude(profile, token, earlier, Verdict(healthy=False, reason=NOT_FINISHED))
        return
    try:
        probe = Probe(_target(profile, token))
    except Problem as problem:  # keys that can't be opened, an endpoint that is not allowed any more
        _conclude(profile, token, earlier, Verdict(healthy=False, reason=problem.text))
        return
    database.end_read()  # from here on the network is used
    told: dict[str, Any] = {**earlier, "at": _moment(), "steps": []}
    for result in probe:
        told["steps"].append(result.as_json())
        if not _write(profile, token, told):
            log.info("the probe of %s is somebody else's by now", profile_id)
            return
    _conclude(profile, token, told, probe.verdict())


@dataclass(frozen=True)
class Needed:
    """What a profile's key must be allowed, in each provider's words; ``provider``: whose the endpoint seems to be."""

    provider: str
    rights: tuple[Right, ...]
    policies: list[Policy]


def needed(workspace_id: UUID, profile_id: UUID) -> Needed:
    """The least-privilege policies of a profile. Raises ``NotFound``, and ``Conflict`` for the managed storage."""
    profile = _own(workspace_id, profile_id)
    kms = profile.encryption is Encryption.SSE_KMS
    place = profile.bucket or "", profile.key_prefix, profile.region or "us-east-1"
    made = policies_for(*place, kms=kms, kms_key_id=profile.kms_key_id)
    return Needed(provider_of(profile.endpoint), rights(kms=kms), made)


def _own(workspace_id: UUID, profile_id: UUID) -> StorageProfile:
    profile = storage.find_unretired(workspace_id, profile_id)
    if profile.mode is not ProfileMode.BYOS:
        raise Conflict(_("The managed storage belongs to the operator, and is tested by itself."))
    return profile


def _claim(tenant_id: UUID, token: UUID, *which: ColumnElement[bool]) -> StorageProfile | None:
    free = or_(StorageProfile.probe_token.is_(None), StorageProfile.probe_due_at < func.now())
    due = StorageProfile.health == Health.PROBING, StorageProfile.retired_at.is_(None), free
    with transaction(tenant_id):
        claimed = select(StorageProfile).where(*which, *due).with_for_update()
        profile = db.session.scalar(claimed.execution_options(populate_existing=True))
        if profile is None:
            return None
        told = profile.probe or {"before": {}, "attempts": 0}
        profile.probe = {**told, "at": _moment(), "steps": [], "attempts": told.get("attempts", 0) + 1}
        profile.probe_token, profile.probe_due_at = token, database.now() + LEASE
    return profile


def _target(profile: StorageProfile, token: UUID) -> ProbeTarget:
    settings: Settings = current_app.extensions["portal.settings"]
    return ProbeTarget(
        location=storage.bucket_for(profile).location,
        origin=settings.base_url,
        owner=storage.marker_owner_of(profile),
        probe_id=token,
        marked=bool(profile.capabilities.get("marker") or profile.capabilities.get("marker_lost")),
    )


def _write(profile: StorageProfile, token: UUID, told: dict[str, Any]) -> bool:
    """What is known so far, and another lease; False when the row is not ours any more."""
    return _set(profile, token, probe=told, probe_due_at=database.now() + LEASE)


def _conclude(profile: StorageProfile, token: UUID, told: dict[str, Any], verdict: Verdict) -> None:
    before = told.get("before", {})
    told = {"at": told["at"], "steps": told["steps"]}
    health = Health.HEALTHY if verdict.healthy else Health.UNHEALTHY
    can = {**profile.capabilities, **verdict.capabilities}  # what could not be asked this time stays as it was
    done = {"health": health, "reason": verdict.reason, "capabilities": can}
    with transaction(profile.tenant_id):
        again = database.now() + TEST_INTERVAL if profile.active and health is Health.UNHEALTHY else None
        found = {"probe": told, "probed_at": database.now(), "probe_token": None, "probe_due_at": again}
        if not _execute(profile, token, {**done, **found}):
            return
        facts = {"profile_id": str(profile.id), "reason": verdict.reason.english if verdict.reason else ""}
        audit.record(
            profile.tenant_id, None, f"storage.{health.value}", profile.id, workspace_id=profile.workspace_id, **facts
        )
        if verdict.reason and before.get("health") == Health.HEALTHY:
            notify_unhealthy(profile, verdict.reason)
        if health is Health.HEALTHY and profile.unhealthy_since is not None:
            notify_recovered(profile)


def _set(profile: StorageProfile, token: UUID, **values: Any) -> bool:
    with transaction(profile.tenant_id):
        return _execute(profile, token, values)


def _execute(profile: StorageProfile, token: UUID, values: dict[str, Any]) -> bool:
    ours = StorageProfile.id == profile.id, StorageProfile.probe_token == token, StorageProfile.health == Health.PROBING
    statement = update(StorageProfile).where(*ours).values(values).execution_options(synchronize_session=False)
    return bool(cast(CursorResult[Any], db.session.execute(statement)).rowcount)


def _ring(profile: StorageProfile) -> None:
    queue.ring("probe", profile.tenant_id, profile.workspace_id, profile.id)


def _moment() -> str:
    return database.zulu(database.now())
