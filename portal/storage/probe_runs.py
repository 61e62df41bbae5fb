"""Running the probe for a profile: scheduled, leased by one worker, written step by step, concluded.

Each profile of a customer's own bucket has a task, from one test to the next: a week later, or after a few minutes
while it does not work. A worker that is killed loses the lease, and another begins anew.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import CursorResult, func, select, update

from portal import audit, database, tasks
from portal.database import db, transaction
from portal.errors import Conflict, Problem
from portal.settings import Settings
from portal.storage import service as storage
from portal.storage.health import TEST_INTERVAL, notify_recovered, notify_unhealthy
from portal.storage.models import Encryption, Health, ProfileMode, StorageProfile
from portal.storage.policies import Policy, Right, policies_for, provider_of, rights
from portal.storage.probe.context import ProbeTarget
from portal.storage.probe.runner import Probe, Verdict
from portal.tasks import Lease, LeaseLost
from portal.texts import Text
from portal.web.rate_limits import Rate, rates

TEST_AGAIN = timedelta(days=7)  # from one test to the next
REQUESTS = Rate("storage-test", "60 per hour")  # of a workspace: each keeps a worker busy, at an address of its choice
TAKEN = Text("This bucket and prefix, or a part of it, is already connected. Use another bucket or another prefix.")
NOT_FINISHED = Text("The test of this storage could not be finished. Test it again; the server's log has the reason.")


def count_request(workspace_id: UUID) -> None:
    """To be called before a person has a profile tested, outside of any transaction. Raises ``Unavailable``."""
    rates().count(REQUESTS, str(workspace_id))


def request(workspace_id: UUID, profile_id: UUID, actor_id: UUID | None = None) -> StorageProfile:
    """Schedule a test of a profile, inside the caller's transaction; nothing changes while a test runs.

    A person who starts it (``actor_id``) accepts that the owner's marker was lost: the prefix is marked again.
    Raises ``NotFound``, and ``Conflict`` for the managed storage.
    """
    profile = _own(workspace_id, profile_id)
    if profile.health is Health.PROBING:
        return profile
    before = {"health": profile.health.value, "reason": profile.reason and profile.reason.stored}
    if actor_id and profile.capabilities.get("marker_lost"):
        profile.capabilities = {**profile.capabilities, "marker": False, "marker_lost": False}
    profile.health = Health.PROBING
    profile.probe = {"at": _moment(), "steps": [], "before": before}
    db.session.flush()
    audit.record(profile.tenant_id, actor_id, "storage.probe", profile.id, workspace_id=workspace_id)
    tasks.schedule("probe", profile.id, tenant_id=profile.tenant_id, workspace_id=workspace_id)
    return profile


def run(tenant_id: UUID, workspace_id: UUID, profile_id: UUID) -> None:
    """Probe a profile whose test is due, and save each step. Safe to run twice: only one worker has the lease."""
    with tasks.acquire("probe", tenant_id, workspace_id, profile_id) as lease:
        profile = _begin(lease) if lease is not None else None
        if lease is None or profile is None:
            return
        earlier = dict(profile.probe or {})
        if lease.exhausted:
            _conclude(lease, profile, earlier, Verdict(healthy=False, reason=NOT_FINISHED))
            return
        try:
            probe = Probe(_target(profile, uuid4()))
        except Problem as problem:  # keys that can't be opened, an endpoint that is not allowed any more
            _conclude(lease, profile, earlier, Verdict(healthy=False, reason=problem.text))
            return
        database.end_read()  # from here on the network is used
        report: dict[str, Any] = {**earlier, "at": _moment(), "steps": []}
        taken = False
        with closing(iter(probe)) as results:
            for result in results:
                report["steps"].append(result.as_json())
                with transaction(tenant_id):
                    _write(profile, probe=report)
                    if not tasks.still_mine(lease):
                        raise LeaseLost
                    # Now the keys were seen to work. Before the place is marked, ask whether it is somebody's.
                    taken = result.name == "delete" and probe.keys_work and _is_taken(profile)
                if taken:
                    break
        verdict = Verdict(healthy=False, reason=TAKEN) if taken else probe.verdict()
        _conclude(lease, profile, report, verdict)


@dataclass(frozen=True)
class Needed:
    """The rights of a profile's key, and a policy for each provider; ``provider``: whose the endpoint seems to be."""

    provider: str
    rights: tuple[Right, ...]
    policies: list[Policy]

    @property
    def likely(self) -> Policy | None:
        """The policy of the provider that the endpoint seems to belong to."""
        return next((policy for policy in self.policies if policy.provider == self.provider), None)


def needed(workspace_id: UUID, profile_id: UUID) -> Needed:
    """The least-privilege policies of a profile. Raises ``NotFound``, and ``Conflict`` for the managed storage."""
    profile = _own(workspace_id, profile_id)
    kms = profile.encryption is Encryption.SSE_KMS
    made = policies_for(
        profile.bucket or "",
        profile.key_prefix,
        profile.region or "us-east-1",
        kms=kms,
        kms_key_id=profile.kms_key_id,
    )
    return Needed(provider_of(profile.endpoint), rights(kms=kms), made)


def _own(workspace_id: UUID, profile_id: UUID) -> StorageProfile:
    profile = storage.find_unretired(workspace_id, profile_id)
    if profile.mode is not ProfileMode.BYOS:
        raise Conflict(_("The managed storage belongs to the operator, and is tested by itself."))
    return profile


def _begin(lease: Lease) -> StorageProfile | None:
    """The profile, being tested from now on; None when there is none to test any more. Raises ``LeaseLost``."""
    with transaction(lease.tenant_id) as session:
        profile = session.get(StorageProfile, lease.target_id, with_for_update=True, populate_existing=True)
        if profile is None or profile.retired_at is not None or profile.mode is not ProfileMode.BYOS:
            return None
        if not tasks.still_mine(lease):
            raise LeaseLost
        before = (profile.probe or {}).get("before", {})
        if profile.health is not Health.PROBING:
            before = {"health": profile.health.value, "reason": profile.reason and profile.reason.stored}
            audit.record(profile.tenant_id, None, "storage.probe", profile.id, workspace_id=profile.workspace_id)
        profile.health, profile.probe = Health.PROBING, {"at": _moment(), "steps": [], "before": before}
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


def _conclude(lease: Lease, profile: StorageProfile, report: dict[str, Any], verdict: Verdict) -> None:
    """Save the verdict and schedule the next test. Raises ``LeaseLost``."""
    before = report.get("before", {})
    with transaction(profile.tenant_id):
        if verdict.healthy and profile.proven_at is None and not _claim(profile):
            verdict = Verdict(healthy=False, reason=TAKEN)
    health = Health.HEALTHY if verdict.healthy else Health.UNHEALTHY
    with transaction(profile.tenant_id):
        written = _write(
            profile,
            health=health,
            reason=verdict.reason,
            capabilities={
                **profile.capabilities,
                **verdict.capabilities,
            },  # what was not tested this time stays as it was
            probe={"at": report["at"], "steps": report["steps"]},
            probed_at=database.now(),
        )
        soon = profile.active and health is Health.UNHEALTHY
        tasks.hand_back(lease, database.now() + (TEST_INTERVAL if soon else TEST_AGAIN))
        if not written:
            return
        audit.record(
            profile.tenant_id,
            None,
            f"storage.{health.value}",
            profile.id,
            workspace_id=profile.workspace_id,
            profile_id=str(profile.id),
            reason=verdict.reason.english if verdict.reason else "",
        )
        if verdict.reason and before.get("health") == Health.HEALTHY:
            notify_unhealthy(profile, verdict.reason)
        if health is Health.HEALTHY and profile.unhealthy_since is not None:
            notify_recovered(profile)


def _claim(profile: StorageProfile) -> bool:
    """Claim the place of a profile that has passed, inside a transaction; False when another one did meanwhile."""
    if _is_taken(profile):
        return False
    return _write(profile, proven_at=database.now())


def _is_taken(profile: StorageProfile) -> bool:
    """Whether the place overlaps with a proven one, whosever. Who asks has the bucket until the transaction's end."""
    place = profile.store, profile.bucket, profile.key_prefix
    return bool(db.session.scalar(select(func.bucket_is_taken(*place, profile.id))))


def _write(profile: StorageProfile, **values: Any) -> bool:
    probing = StorageProfile.id == profile.id, StorageProfile.health == Health.PROBING
    statement = update(StorageProfile).where(*probing).values(values).execution_options(synchronize_session=False)
    return bool(cast(CursorResult[Any], db.session.execute(statement)).rowcount)


def _moment() -> str:
    return database.zulu(database.now())
