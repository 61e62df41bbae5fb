"""Tables of webhooks."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sqlalchemy import TEXT, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, String, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Identified, choice, now
from portal.texts import Text, TextColumn

MAX_URL = 1024  # characters
MAX_DESCRIPTION = 200
TEST = "webhook.test"  # the type of what a person sends to try an endpoint; no event of the tenant's


class EndpointState(StrEnum):
    """Whether deliveries to an endpoint succeed."""

    HEALTHY = "healthy"
    FAILING = "failing"
    DISABLED = "disabled"


class DeliveryState(StrEnum):
    """What became of an event at one endpoint."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class Endpoint(Identified, Base):
    """Where events of a tenant are sent. ``event_types`` and ``workspace_ids``: empty means all.

    ``reason`` says why it is not healthy, ``failing_since`` since when nothing has arrived. After a failure no request
    is made before ``paused_until``.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (UniqueConstraint("tenant_id", "id"),)
    TRANSITIONS: ClassVar[dict[EndpointState, frozenset[EndpointState]]] = {
        EndpointState.HEALTHY: frozenset({EndpointState.HEALTHY, EndpointState.FAILING, EndpointState.DISABLED}),
        EndpointState.FAILING: frozenset({EndpointState.HEALTHY, EndpointState.FAILING, EndpointState.DISABLED}),
        EndpointState.DISABLED: frozenset({EndpointState.HEALTHY}),
    }

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    url: Mapped[str] = mapped_column(String(MAX_URL))
    description: Mapped[str] = mapped_column(String(MAX_DESCRIPTION), default="")
    event_types: Mapped[list[str]] = mapped_column(ARRAY(TEXT), default=list)
    workspace_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), default=list)
    state: Mapped[EndpointState] = mapped_column(choice(EndpointState, "state"), default=EndpointState.HEALTHY)
    reason: Mapped[Text | None] = mapped_column(TextColumn)
    failures: Mapped[int] = mapped_column(default=0)  # one after another
    failing_since: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    paused_until: Mapped[datetime | None]


class Secret(Identified, Base):
    """A key that signs what an endpoint gets, sealed (see ``portal.vault``). ``ends_at`` null: the present one;
    those before it sign beside it until then.
    """

    __tablename__ = "webhook_secrets"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "endpoint_id"], ["webhook_endpoints.tenant_id", "webhook_endpoints.id"], ondelete="CASCADE"
        ),
        Index("ix_webhook_secrets_endpoint_id", "endpoint_id", "id"),
    )

    tenant_id: Mapped[UUID]
    endpoint_id: Mapped[UUID]
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    vault_key_id: Mapped[str] = mapped_column(String(16))
    ends_at: Mapped[datetime | None]


class Delivery(Base):
    """One event for one endpoint; its id is the event's, and ``webhook-id`` at every attempt.

    ``status_code`` and ``reason`` are the last attempt's; ``due_at`` is when the next one may be, null when it is over.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "endpoint_id"], ["webhook_endpoints.tenant_id", "webhook_endpoints.id"], ondelete="CASCADE"
        ),
        Index("ix_webhook_deliveries_due", "endpoint_id", "due_at", postgresql_where=text("state = 'waiting'")),
        Index("ix_webhook_deliveries_created_at", "created_at"),
    )
    TRANSITIONS: ClassVar[dict[DeliveryState, frozenset[DeliveryState]]] = {
        DeliveryState.WAITING: frozenset(DeliveryState),
        DeliveryState.DELIVERED: frozenset({DeliveryState.WAITING}),
        DeliveryState.FAILED: frozenset({DeliveryState.WAITING}),
    }

    endpoint_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(default=now)
    type: Mapped[str] = mapped_column(String(60))
    state: Mapped[DeliveryState] = mapped_column(choice(DeliveryState, "state"), default=DeliveryState.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]
    attempted_at: Mapped[datetime | None]
    status_code: Mapped[int | None]
    reason: Mapped[Text | None] = mapped_column(TextColumn)

    @property
    def is_due(self) -> bool:
        """Is it to be sent now, or being sent?"""
        return self.due_at is not None and self.due_at <= now()
