"""Commands of operators. Each is recorded with who did it, and in the audit log of a tenant that it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import func, select

from portal import audit, tasks
from portal.assets import preview_jobs
from portal.database import db, transaction
from portal.errors import Invalid, NotFound
from portal.identity import service as identity
from portal.identity.models import User
from portal.lifecycle import periodic_tasks, sweep
from portal.quotas import limits
from portal.tasks import Target
from portal.tenancy import service as tenancy
from portal.tenancy import switches
from portal.tenancy.models import Tenant
from portal.uploads import verify
from portal.uploads.cancel import end_all_of

BATCH = 500  # files that one click acts on, so that the request ends in time; the page shows how many are left

# (kind, act) of the form → what is done with one file, given its tenant, workspace and id.
FAILURE_ACTIONS: dict[tuple[str, str], Callable[[UUID, UUID, UUID], bool]] = {
    ("previews", "retry"): preview_jobs.render_again,
    ("previews", "give_up"): preview_jobs.give_up,
    ("check", "retry"): verify.check_again,
    ("check", "give_up"): verify.give_up,
}


@dataclass(frozen=True)
class TemporaryLimit:
    """A limit for a tenant until the end of a day (UTC); ``limit_bytes`` None: unlimited."""

    slug: str
    limit_bytes: int | None
    until: datetime


def pause_uploads(reason: str, actor_id: UUID) -> None:
    """Refuse new uploads in all tenants. Raises ``Invalid`` for the reason, ``Conflict`` when they are paused."""
    switches.turn_on(switches.PAUSE, switches.EVERYWHERE, reason, actor_id)


def resume_uploads(actor_id: UUID) -> None:
    """Accept uploads again. Raises ``Conflict`` when they are not paused."""
    switches.turn_off(switches.PAUSE, switches.EVERYWHERE, actor_id)


def close_tenant(slug: str, reason: str, actor_id: UUID) -> Tenant:
    """Make a tenant read-only. Raises ``NotFound``, ``Invalid`` for the reason, ``Conflict`` when it is read-only."""
    tenant = _tenant(slug)
    switches.turn_on(switches.READ_ONLY, tenant.id, reason, actor_id)
    return tenant


def open_tenant(slug: str, actor_id: UUID) -> Tenant:
    """End the read-only mode of a tenant. Raises ``NotFound``, ``Conflict`` when it is not read-only."""
    tenant = _tenant(slug)
    switches.turn_off(switches.READ_ONLY, tenant.id, actor_id)
    return tenant


def raise_quota(wanted: TemporaryLimit, actor_id: UUID) -> Tenant:
    """Give a tenant another limit until a day. Raises ``NotFound``, ``Invalid``."""
    tenant = _tenant(wanted.slug)
    limits.override(tenant.id, wanted.limit_bytes, wanted.until, actor_id)
    with transaction(None):
        audit.record_act(
            actor_id,
            "quota.override",
            tenant.id,
            limit_bytes=wanted.limit_bytes,
            until=wanted.until.isoformat(),
        )
    return tenant


def request_periodic_task(name: str, actor_id: UUID) -> str:
    """Make a periodic task due, so that the scheduler runs it within seconds; its name. Raises ``NotFound``."""
    periodic_tasks.request(name)
    with transaction(None):
        audit.record_act(actor_id, "chore.asked", None, name=name)
    return name


def block_person(email: str, reason: str, actor_id: UUID) -> User:
    """End a person's sessions and refuse their tokens. Raises ``NotFound``, ``Invalid``, ``Conflict``."""
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= switches.LONGEST_REASON or "\0" in reason:
        raise Invalid(_("Give a reason of 1 to %(most)s characters.", most=switches.LONGEST_REASON), field="reason")
    user_id = _person(email).id
    with transaction(None):
        user = identity.block(user_id, actor_id)
        audit.record_act(actor_id, "person.blocked", user_id, reason=reason)
    _record_in_tenants(user_id, actor_id, "person.blocked", reason=reason)
    for tenant in tenancy.places_of(user_id):
        end_all_of(tenant.id, user_id, actor_id)
    return user


def unblock_person(email: str, actor_id: UUID) -> User:
    """Let a person log in and use their tokens again. Raises ``NotFound``, ``Conflict``."""
    user_id = _person(email).id
    with transaction(None):
        user = identity.unblock(user_id, actor_id)
        audit.record_act(actor_id, "person.unblocked", user_id)
    _record_in_tenants(user_id, actor_id, "person.unblocked")
    return user


def restart_stuck(actor_id: UUID) -> int:
    """Make every task that waits for its next attempt due now, and enqueue it; how many. Leased ones stay."""
    with transaction(None):
        due = tasks.hurry()
        audit.record_act(actor_id, "work.restarted", None, rows=due)
    sweep.run()
    return due


def act_on_failures(kind: str, code: str, act: str, actor_id: UUID) -> int:
    """Retry or give up what failed for one reason, at most ``BATCH`` files; how many. Raises ``NotFound``."""
    apply = FAILURE_ACTIONS.get((kind, act))
    if apply is None:
        raise NotFound(_("There is no such action."))
    with transaction(None):
        targets = tasks.failing_targets("take_in", code, BATCH) if kind == "check" else _failed_previews(code)
    done = sum(apply(each.tenant_id, each.workspace_id, each.id) for each in targets)
    with transaction(None):
        audit.record_act(actor_id, f"failures.{act}", None, kind=kind, code=code, rows=done)
    return done


def _failed_previews(code: str) -> list[Target]:
    source = func.failed_previews(code, BATCH).table_valued("tenant_id", "workspace_id", "id")
    columns = source.c.id, source.c.tenant_id, source.c.workspace_id
    return [Target(*row) for row in db.session.execute(select(*columns))]


def _record_in_tenants(user_id: UUID, actor_id: UUID, action: str, reason: str | None = None) -> None:
    # Each tenant of the person sees it in its own audit log: row-level security allows one tenant a transaction.
    for tenant in tenancy.places_of(user_id):
        with transaction(tenant.id):
            audit.record(tenant.id, actor_id, action, user_id, reason=reason)


def _tenant(slug: str) -> Tenant:
    tenant = tenancy.find_tenant(slug.strip()) if "\0" not in slug else None
    if tenant is None:
        raise NotFound(_("There is no tenant “%(slug)s”.", slug=slug.strip()))
    return tenant


def _person(email: str) -> User:
    user = identity.find_user(email)
    if user is None:
        raise NotFound(_("Nobody has the e-mail address “%(email)s”.", email=email.strip()))
    return user
