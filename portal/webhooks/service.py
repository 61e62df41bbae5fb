"""What admins do with webhooks: add, change, replace the secret, try, send again, remove. Each is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import func, select, update

from portal import audit, database, tasks
from portal.database import compare_and_set, db, transaction
from portal.errors import Conflict, Invalid, NotFound
from portal.events.models import EventType
from portal.names import checked_label
from portal.settings import Settings
from portal.storage.service import egress_of
from portal.tenancy.models import Tenant, Workspace
from portal.tenancy.service import Member
from portal.texts import Text
from portal.web.paging import Paging, cut
from portal.web.rate_limits import Rate, rates
from portal.webhooks import delivery, secrets
from portal.webhooks.models import (
    MAX_DESCRIPTION,
    TEST,
    Delivery,
    DeliveryState,
    Endpoint,
    EndpointState,
)
from portal.webhooks.urls import checked, without_path

MOST = 20  # of one tenant: each event is written down for each of them
# Of a tenant: each leads to a request to an address of its choice.
REQUESTS = Rate("webhook-change", "120 per hour")
DISABLED_BY_PERSON = Text("It was disabled by an administrator.")


@dataclass(frozen=True)
class Wanted:
    """What an endpoint is to be. No types, no workspaces: all of them."""

    url: str
    description: str = ""
    event_types: Sequence[str] = ()
    workspace_ids: Sequence[UUID] = ()


def list_endpoints(tenant_id: UUID) -> list[Endpoint]:
    """Those of the entered tenant, the newest first."""
    mine = select(Endpoint).where(Endpoint.tenant_id == tenant_id).order_by(Endpoint.id.desc())
    return list(db.session.scalars(mine))


def count_lost(tenant_id: UUID) -> int:
    """How many of the entered tenant's were switched off because nothing arrived there."""
    lost = Endpoint.state == EndpointState.DISABLED, Endpoint.failing_since.is_not(None)
    return db.session.scalar(select(func.count()).where(Endpoint.tenant_id == tenant_id, *lost)) or 0


def find(tenant_id: UUID, endpoint_id: UUID) -> Endpoint:
    """One of the entered tenant's. Raises ``NotFound``."""
    mine = select(Endpoint).where(Endpoint.tenant_id == tenant_id, Endpoint.id == endpoint_id)
    return _require(db.session.scalar(mine))


def add(member: Member, wanted: Wanted) -> tuple[Endpoint, str]:
    """A new endpoint, healthy until it fails, and its secret, which is returned this once.

    Raises ``Invalid``, ``Conflict`` for too many.
    """
    endpoint = Endpoint(id=database.new_id(), tenant_id=member.tenant_id)
    with transaction(member.tenant_id) as session:
        session.get_one(
            Tenant, member.tenant_id, with_for_update={"key_share": True}
        )  # two that add at once are counted
        if len(list_endpoints(member.tenant_id)) >= MOST:
            raise Conflict(_("A tenant has at most %(most)s webhooks. Remove one first.", most=MOST))
        _write(endpoint, wanted)
        session.add(endpoint)
        session.flush()
        plain = secrets.issue(member.tenant_id, endpoint.id, keep_old=False)
        _record(member, "added", endpoint)
    return endpoint, plain


def change(member: Member, endpoint_id: UUID, changes: dict[str, Any]) -> Endpoint:
    """Change some of it: fields of ``Wanted``, and ``enabled``. What waits goes on when it is switched on again.

    Raises ``NotFound``, ``Invalid``.
    """
    with transaction(member.tenant_id) as session:
        endpoint = _lock(member, endpoint_id)
        enabled = changes.pop("enabled", endpoint.state is not EndpointState.DISABLED)
        before = _wanted(endpoint)
        _write(endpoint, Wanted(**{**before.__dict__, **changes}))
        changed = [name for name, value in _wanted(endpoint).__dict__.items() if getattr(before, name) != value]
        if enabled != (endpoint.state is not EndpointState.DISABLED):
            changed.append("enabled")
            _switch(endpoint, enabled)
        session.flush()
        if changed:
            _record(member, "changed", endpoint, changed=sorted(changed), enabled=enabled)
    return endpoint


def replace_secret(member: Member, endpoint_id: UUID, *, keep_old: bool) -> tuple[Endpoint, str]:
    """A new secret, returned this once; what was valid before signs beside it for 24 hours, or ends now.

    Of two who do this at once both get one that is valid. Raises ``NotFound``, ``Conflict`` for too many.
    """
    with transaction(member.tenant_id):
        endpoint = _lock(member, endpoint_id)
        plain = secrets.issue(member.tenant_id, endpoint.id, keep_old=keep_old)
        _record(member, "secret_replaced", endpoint, old_ends="in 24 hours" if keep_old else "at once")
    return endpoint, plain


def remove(member: Member, endpoint_id: UUID) -> None:
    """Delete an endpoint with its secrets and deliveries; the result of an attempt under way is dropped."""
    with transaction(member.tenant_id) as session:
        endpoint = _lock(member, endpoint_id)
        _record(member, "removed", endpoint)
        session.delete(endpoint)
        session.flush()
        tasks.cancel(endpoint_id, "deliver")


def send_test(member: Member, endpoint_id: UUID) -> Delivery:
    """Send it a test event, in one attempt. Raises ``NotFound``, ``Conflict``, ``Unavailable``."""
    rates().count(REQUESTS, str(member.tenant_id))
    at = database.now()
    with transaction(member.tenant_id) as session:
        endpoint = _lock_enabled(member, endpoint_id)
        place = {"endpoint_id": endpoint.id, "tenant_id": member.tenant_id}
        delivery = Delivery(id=database.new_id(), **place, type=TEST, created_at=at, due_at=at)
        delivery.state, delivery.attempts = DeliveryState.WAITING, 0
        session.add(delivery)
        session.flush()
        _record(member, "tested", endpoint)
    return delivery


def list_deliveries(
    tenant_id: UUID, endpoint_id: UUID, state: DeliveryState | None, paging: Paging
) -> tuple[Sequence[Delivery], str | None]:
    """One page, the newest event first, and the cursor of the next. Raises ``NotFound``."""
    endpoint = find(tenant_id, endpoint_id)
    page = select(Delivery).where(Delivery.endpoint_id == endpoint.id).order_by(Delivery.id.desc())
    if state is not None:
        page = page.where(Delivery.state == state)
    if (after := paging.after_id()) is not None:
        page = page.where(Delivery.id < after)
    return cut(db.session.scalars(page.limit(paging.limit + 1)).all(), paging, key=lambda delivery: delivery.id)


def find_delivery(tenant_id: UUID, endpoint_id: UUID, delivery_id: UUID) -> Delivery:
    """One of an endpoint's. Raises ``NotFound``."""
    here = Delivery.tenant_id == tenant_id, Delivery.endpoint_id == endpoint_id, Delivery.id == delivery_id
    found = db.session.scalar(select(Delivery).where(*here).execution_options(populate_existing=True))
    if found is None:
        raise NotFound(_("There is no such delivery."))
    return found


def send_again(member: Member, endpoint_id: UUID, delivery_id: UUID) -> Delivery:
    """Deliver it now, whatever became of it before, with all its attempts. Raises ``NotFound``, ``Conflict``, …"""
    rates().count(REQUESTS, str(member.tenant_id))
    with transaction(member.tenant_id):
        endpoint = _lock_enabled(member, endpoint_id)
        find_delivery(member.tenant_id, endpoint.id, delivery_id)
        mine = [Delivery.endpoint_id == endpoint.id, Delivery.id == delivery_id]
        compare_and_set(Delivery, mine, DeliveryState.WAITING, due_at=func.now(), attempts=0)
        _record(member, "sent_again", endpoint, delivery_id=str(delivery_id))
        return find_delivery(member.tenant_id, endpoint.id, delivery_id)


def workspaces_of(tenant_id: UUID) -> list[tuple[UUID, str]]:
    """What an endpoint can be narrowed to: id and name, by name."""
    named = select(Workspace.id, Workspace.name).where(Workspace.tenant_id == tenant_id)
    return [(row.id, row.name) for row in db.session.execute(named.order_by(func.lower(Workspace.name), Workspace.id))]


def _lock(member: Member, endpoint_id: UUID) -> Endpoint:
    """The row, locked until the end of the transaction. Raises ``NotFound``."""
    mine = select(Endpoint).where(Endpoint.tenant_id == member.tenant_id, Endpoint.id == endpoint_id)
    return _require(db.session.scalar(mine.with_for_update().execution_options(populate_existing=True)))


def _require(endpoint: Endpoint | None) -> Endpoint:
    if endpoint is None:
        raise NotFound(_("There is no such webhook."))
    return endpoint


def _lock_enabled(member: Member, endpoint_id: UUID) -> Endpoint:
    """The same for what a person sends now: a pause after failures ends. Raises ``Conflict`` when it is disabled."""
    endpoint = _lock(member, endpoint_id)
    if endpoint.state is EndpointState.DISABLED:
        raise Conflict(_("This webhook is disabled. Enable it first."))
    endpoint.paused_until = None
    delivery.schedule(endpoint)
    return endpoint


def _switch(endpoint: Endpoint, enabled: bool) -> None:
    endpoint.failing_since = endpoint.paused_until = None
    if not enabled:
        endpoint.state, endpoint.reason = EndpointState.DISABLED, DISABLED_BY_PERSON
        return
    endpoint.state, endpoint.reason, endpoint.failures = EndpointState.HEALTHY, None, 0
    waiting = Delivery.endpoint_id == endpoint.id, Delivery.state == DeliveryState.WAITING
    reset = update(Delivery).where(*waiting).values(attempts=0, due_at=func.now())
    db.session.execute(reset.execution_options(synchronize_session=False))
    delivery.schedule(endpoint)


def _write(endpoint: Endpoint, wanted: Wanted) -> None:
    """Check what was entered and write it into the row. Raises ``Invalid``."""
    settings: Settings = current_app.extensions["portal.settings"]
    endpoint.url = checked(wanted.url, egress_of(settings))
    if len(wanted.description.strip()) > MAX_DESCRIPTION:
        raise Invalid(_("A description has at most %(most)s characters.", most=MAX_DESCRIPTION), field="description")
    endpoint.description = checked_label(wanted.description, MAX_DESCRIPTION, field="description", required=False)
    known = {each.value for each in EventType}
    if unknown := [each for each in wanted.event_types if each not in known]:
        message = _(
            "There is no event “%(name)s”. The events are: %(names)s.",
            name=unknown[0][:60],
            names=", ".join(sorted(known)),
        )
        raise Invalid(message, field="event_types", allowed=sorted(known))
    endpoint.event_types = sorted(set(wanted.event_types))
    chosen = set(wanted.workspace_ids)
    mine = select(Workspace.id).where(Workspace.tenant_id == endpoint.tenant_id, Workspace.id.in_(chosen))
    with db.session.no_autoflush:
        if chosen and set(db.session.scalars(mine)) != chosen:
            raise Invalid(_("One of these is not a workspace of this tenant."), field="workspace_ids")
    endpoint.workspace_ids = sorted(chosen)


def _wanted(endpoint: Endpoint) -> Wanted:
    return Wanted(endpoint.url, endpoint.description, list(endpoint.event_types), list(endpoint.workspace_ids))


def _record(member: Member, what: str, endpoint: Endpoint, **facts: Any) -> None:
    facts |= {"endpoint": without_path(endpoint.url), "event_types": list(endpoint.event_types)}
    audit.record(member.tenant_id, member.user_id, f"webhook.{what}", endpoint.id, **facts)
