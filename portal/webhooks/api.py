"""Webhooks over JSON. A secret is given once: when an endpoint is added, and when its secret is replaced."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from portal.identity.access import recently_proved
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Body, Listing, Query, Time
from portal.web.openapi import operation
from portal.web.paging import Paging, page_of
from portal.webhooks import delivery as delivering
from portal.webhooks import secrets, service
from portal.webhooks.models import Delivery, DeliveryState, Endpoint, EndpointState
from portal.webhooks.service import Wanted

blueprint = Blueprint("webhooks_api", __name__)

HERE = "/v1/tenants/<uuid:t>/webhooks"
Text = Annotated[str, Field(max_length=4096)]
Types = Annotated[list[Text], Field(max_length=100, description="Names of events; empty: all, also later ones.")]
Places = Annotated[
    list[UUID], Field(max_length=1000, strict=False, description="Empty: all, and what is the tenant's.")
]


class AddEndpoint(Body):
    """An address to tell."""

    url: Text
    description: Text = ""
    event_types: Types = []
    workspace_ids: Places = []


class ChangeEndpoint(Body):
    """What is to change; what is left out stays."""

    url: Text | None = None
    description: Text | None = None
    event_types: Types | None = None
    workspace_ids: Places | None = None
    enabled: bool | None = None


class ReplaceSecret(Body):
    """``keep_old``: what is valid now goes on signing for 24 hours, beside the new one; false: it ends at once."""

    keep_old: bool = True


class EndpointView(Answer):
    """A webhook endpoint."""

    id: UUID
    url: str
    description: str
    event_types: list[str]
    workspace_ids: list[UUID]
    enabled: bool
    state: EndpointState
    reason: str | None
    failing_since: Time | None
    last_delivered_at: Time | None
    old_secret_until: Time | None = Field(description="Until then requests carry an older secret's signature, too.")
    created_at: Time

    @classmethod
    def of(cls, endpoint: Endpoint, old: dict[UUID, datetime]) -> EndpointView:
        """As the contract shows it. ``old``: by endpoint, until when an older secret signs, too."""
        return cls(
            id=endpoint.id,
            url=endpoint.url,
            description=endpoint.description,
            event_types=endpoint.event_types,
            workspace_ids=endpoint.workspace_ids,
            enabled=endpoint.state is not EndpointState.DISABLED,
            state=endpoint.state,
            reason=None if endpoint.reason is None else str(endpoint.reason),
            failing_since=endpoint.failing_since,
            last_delivered_at=endpoint.delivered_at,
            old_secret_until=old.get(endpoint.id),
            created_at=endpoint.created_at,
        )


class NewEndpointView(EndpointView):
    """A webhook endpoint with its secret, which is never shown again."""

    secret: str = Field(description="whsec_… as libraries of the Standard Webhooks take it")

    @classmethod
    def with_secret(cls, endpoint: Endpoint, secret: str) -> NewEndpointView:
        """The same, this once."""
        return cls(**_shown(endpoint).model_dump(), secret=secret)


class DeliveryQuery(Query):
    """What the list is narrowed to."""

    state: DeliveryState | None = None


class DeliveryView(Answer):
    """What became of one event at an endpoint. ``id`` is the event's, and ``webhook-id`` of every attempt."""

    id: UUID
    type: str
    time: Time
    state: DeliveryState
    attempts: int
    status_code: int | None = Field(description="of the last answer")
    reason: str | None = Field(description="why the last attempt failed")
    last_attempt_at: Time | None
    next_attempt_at: Time | None

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryView:
        """As the contract shows it."""
        return cls(
            id=delivery.id,
            type=delivery.type,
            time=delivery.created_at,
            state=delivery.state,
            attempts=delivery.attempts,
            status_code=delivery.status_code,
            reason=None if delivery.reason is None else str(delivery.reason),
            last_attempt_at=delivery.attempted_at,
            next_attempt_at=delivery.due_at,
        )


class WholeDeliveryView(DeliveryView):
    """With what is sent."""

    body: str | None = Field(description="the request's body as it is signed; null once the event is forgotten")


@blueprint.get(HERE)
@tenant(Permission.MANAGE_WEBHOOKS)
@operation(paged=True, returns=Listing[EndpointView])
def index(member: Member, paging: Paging) -> Listing[EndpointView]:
    """List the tenant's webhooks, the newest first."""
    old = secrets.old_until(member.tenant_id)
    page, cursor = page_of(service.list_endpoints(member.tenant_id), paging, key=lambda endpoint: endpoint.id)
    return Listing[EndpointView](items=[EndpointView.of(each, old) for each in page], next_cursor=cursor)


@blueprint.post(HERE)
@tenant(Permission.MANAGE_WEBHOOKS)
@recently_proved
@operation(body=AddEndpoint, returns=NewEndpointView, status=201, errors=("conflict",))
def add(member: Member, body: AddEndpoint) -> NewEndpointView:
    """Add a webhook.

    It receives events from now on. The secret is in this answer only.
    """
    endpoint, secret = service.add(member, Wanted(**body.model_dump()))
    return NewEndpointView.with_secret(endpoint, secret)


@blueprint.get(f"{HERE}/<uuid:h>")
@tenant(Permission.MANAGE_WEBHOOKS)
@operation(returns=EndpointView)
def show(member: Member, h: UUID) -> EndpointView:
    """Show one webhook."""
    return _shown(service.find(member.tenant_id, h))


@blueprint.patch(f"{HERE}/<uuid:h>")
@tenant(Permission.MANAGE_WEBHOOKS)
@operation(body=ChangeEndpoint, returns=EndpointView)
def change(member: Member, body: ChangeEndpoint, h: UUID) -> EndpointView:
    """Change a webhook, or switch it on or off.

    While it is off nothing is written down for it; what waited before goes on when it is switched on again.
    """
    changes = {name: value for name, value in body.model_dump(exclude_unset=True).items() if value is not None}
    return _shown(service.change(member, h, changes))


@blueprint.delete(f"{HERE}/<uuid:h>")
@tenant(Permission.MANAGE_WEBHOOKS)
@operation()
def remove(member: Member, h: UUID) -> None:
    """Remove a webhook, its secrets and its deliveries."""
    service.remove(member, h)


@blueprint.post(f"{HERE}/<uuid:h>/rotate")
@tenant(Permission.MANAGE_WEBHOOKS)
@recently_proved
@operation(body=ReplaceSecret, returns=NewEndpointView, errors=("conflict",))
def rotate(member: Member, body: ReplaceSecret, h: UUID) -> NewEndpointView:
    """Replace the secret.

    The answer shows the new one, this once. The one before signs beside it for 24 hours.
    """
    endpoint, secret = service.replace_secret(member, h, keep_old=body.keep_old)
    return NewEndpointView.with_secret(endpoint, secret)


@blueprint.post(f"{HERE}/<uuid:h>/test")
@tenant(Permission.MANAGE_WEBHOOKS)
@operation(returns=DeliveryView, status=202, errors=("conflict", "rate_limited"))
def test(member: Member, h: UUID) -> DeliveryView:
    """Send an event ``webhook.test`` now, once; ask for the delivery to see what came of it."""
    return DeliveryView.of(service.send_test(member, h))


@blueprint.get(f"{HERE}/<uuid:h>/deliveries")
@tenant(Permission.MANAGE_WEBHOOKS)
@operation(query=DeliveryQuery, paged=True, returns=Listing[DeliveryView])
def list_deliveries(member: Member, query: DeliveryQuery, paging: Paging, h: UUID) -> Listing[DeliveryView]:
    """List what was sent to a webhook or waits to be, the newest event first; kept for 30 days."""
    found, cursor = service.list_deliveries(member.tenant_id, h, query.state, paging)
    return Listing[DeliveryView](items=[DeliveryView.of(each) for each in found], next_cursor=cursor)


@blueprint.get(f"{HERE}/<uuid:h>/deliveries/<uuid:d>")
@tenant(Permission.MANAGE_WEBHOOKS)
@operation(returns=WholeDeliveryView)
def show_delivery(member: Member, h: UUID, d: UUID) -> WholeDeliveryView:
    """Show one delivery with its body."""
    delivery = service.find_delivery(member.tenant_id, h, d)
    body = delivering.body_for(delivery)
    view = DeliveryView.of(delivery).model_dump()
    return WholeDeliveryView(**view, body=body.decode() if body else None)


@blueprint.post(f"{HERE}/<uuid:h>/deliveries/<uuid:d>/retry")
@tenant(Permission.MANAGE_WEBHOOKS)
@operation(returns=DeliveryView, status=202, errors=("conflict", "rate_limited"))
def retry(member: Member, h: UUID, d: UUID) -> DeliveryView:
    """Deliver it now, and again if that fails; also what was delivered before, with the same id."""
    return DeliveryView.of(service.send_again(member, h, d))


def _shown(endpoint: Endpoint) -> EndpointView:
    return EndpointView.of(endpoint, secrets.old_until(endpoint.tenant_id))
