"""Webhooks and deliveries as the pages show them: states in words, names of events, which controls there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from portal.webhooks.models import Delivery, DeliveryState, Endpoint, EndpointState
from portal.webhooks.service import MOST

POLL_SECONDS = 2  # of the page of a delivery that is being sent
EVENT_NAMES = {
    "upload.committed": _l("An upload was completed"),
    "asset.available": _l("A file is ready"),
    "asset.quarantined": _l("A file was quarantined"),
    "asset.failed": _l("A file failed its checks"),
    "asset.deleted": _l("A file was moved to the trash"),
    "asset.restored": _l("A file was restored"),
    "asset.purged": _l("A file was deleted permanently"),
    "quarantine.decided": _l("A decision about a quarantined file"),
    "quota.warning": _l("Space is running out"),
    "quota.miscounted": _l("The used space was counted wrong"),
    "storage.unhealthy": _l("A storage stopped working"),
    "storage.recovered": _l("A storage works again"),
    "member.invited": _l("Somebody was invited"),
    "member.joined": _l("Somebody joined a workspace"),
    "member.removed": _l("Somebody was removed from a workspace"),
    "webhook.test": _l("Test"),
}


@dataclass(frozen=True)
class StateLabel:
    """A state in words, with its colour (``good``, ``warn``, ``bad``, ``busy``, ``calm``) and an icon of the sprite."""

    tone: str
    icon: str
    text: str


@dataclass(frozen=True)
class EndpointRow:
    """A webhook with what the list and its page say about it; ``is_enabled``: can something be sent there?"""

    endpoint: Endpoint
    title: str
    state: StateLabel
    events: str
    workspaces: str
    is_enabled: bool
    alert_tone: str


@dataclass(frozen=True)
class DeliveryRow:
    """One delivery. ``poll_seconds``: how often its page asks again, None when nothing will change it soon."""

    delivery: Delivery
    event: str
    state: StateLabel
    send_label: str | None
    next_at_shown: bool
    poll_seconds: int | None


def event_name(event_type: str) -> str:
    """What happened, in words; a type that has none yet is its own name."""
    return str(EVENT_NAMES.get(event_type, event_type))


def endpoint_row(endpoint: Endpoint, workspace_names: Mapping[UUID, str]) -> EndpointRow:
    """``workspace_names``: of the tenant, by id; one that was deleted since is a dash."""
    names = [workspace_names.get(each, "–") for each in endpoint.workspace_ids]
    return EndpointRow(
        endpoint=endpoint,
        title=endpoint.description or urlsplit(endpoint.url).netloc,
        state=_endpoint_state(endpoint),
        events=", ".join(event_name(each) for each in endpoint.event_types) or _("all events"),
        workspaces=", ".join(names) or _("all workspaces"),
        is_enabled=endpoint.state is not EndpointState.DISABLED,
        alert_tone="danger" if endpoint.state is EndpointState.DISABLED else "warning",
    )


def delivery_row(delivery: Delivery, endpoint: Endpoint) -> DeliveryRow:
    """A delivery to ``endpoint``."""
    enabled, waits = endpoint.state is not EndpointState.DISABLED, delivery.state is DeliveryState.WAITING
    send = (_("Send now") if waits else _("Send again")) if enabled else None
    return DeliveryRow(
        delivery=delivery,
        event=event_name(delivery.type),
        state=_delivery_state(delivery),
        send_label=send,
        next_at_shown=delivery.due_at is not None and not delivery.is_due,
        poll_seconds=POLL_SECONDS if delivery.is_due and enabled else None,
    )


def disabled_notice(endpoints: Sequence[Endpoint]) -> str | None:
    """A warning above the list, when Stowage itself disabled some of them."""
    count = sum(each.state is EndpointState.DISABLED and each.failing_since is not None for each in endpoints)
    if not count:
        return None
    return ngettext(
        "%(num)s webhook was disabled because its receiver could not be reached. Fix the receiver, then enable the "
        "webhook again.",
        "%(num)s webhooks were disabled because their receivers could not be reached. Fix the receivers, then enable "
        "the webhooks again.",
        count,
    )


def limit_notice(endpoints: Sequence[Endpoint]) -> str | None:
    """What the list says when no more can be added."""
    if len(endpoints) < MOST:
        return None
    return _("A tenant can have at most %(most)s webhooks. Remove one to add another.", most=MOST)


def state_filters() -> list[tuple[DeliveryState | None, str]]:
    """The choices above the list of deliveries; None: all of them."""
    return [
        (None, _("All")),
        (DeliveryState.WAITING, _("Waiting")),
        (DeliveryState.DELIVERED, _("Delivered")),
        (DeliveryState.FAILED, _("Failed")),
    ]


def _endpoint_state(endpoint: Endpoint) -> StateLabel:
    if endpoint.state is EndpointState.FAILING:
        return StateLabel("warn", "alert-triangle", _("Failing"))
    if endpoint.state is EndpointState.DISABLED:
        return StateLabel("bad", "circle-x", _("Disabled"))
    if endpoint.delivered_at is None:
        return StateLabel("calm", "clock", _("Nothing sent yet"))
    return StateLabel("good", "circle-check", _("Working"))


def _delivery_state(delivery: Delivery) -> StateLabel:
    if delivery.state is DeliveryState.DELIVERED:
        return StateLabel("good", "circle-check", _("Delivered"))
    if delivery.state is DeliveryState.FAILED:
        return StateLabel("bad", "circle-x", _("Failed"))
    if delivery.is_due:
        return StateLabel("busy", "clock", _("Waiting"))
    return StateLabel("warn", "clock", _("Will be tried again"))
