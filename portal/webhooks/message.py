"""The HTTP message of a webhook: body and headers of the Standard Webhooks 1.0.0. Pure.

The official library signs. While a secret is being replaced, each valid one signs, separated by spaces:
github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md, "Webhook signature".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import datetime
from secrets import token_bytes
from typing import Any
from uuid import UUID

from standardwebhooks import Webhook

from portal.database import zulu

PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification asks for 24 to 64


def new_secret() -> str:
    """A random secret in the form that receivers' libraries take."""
    return PREFIX + base64.b64encode(token_bytes(SECRET_BYTES)).decode()


def body_of(
    event_id: UUID, event_type: str, time: datetime, tenant_id: UUID, workspace_id: UUID | None, data: dict[str, Any]
) -> bytes:
    """An event in the form of docs/api.md; the same bytes at every attempt."""
    event = {
        "id": str(event_id),
        "type": event_type,
        "time": zulu(time),
        "tenant_id": str(tenant_id),
        "workspace_id": str(workspace_id) if workspace_id else None,
        "data": data,
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def headers_of(message_id: UUID, at: datetime, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """The headers of one attempt at ``at`` (UTC: the library takes no other zone), signed with each of ``secrets``."""
    signatures = [Webhook(secret).sign(str(message_id), at, body.decode()) for secret in secrets]
    return {
        "webhook-id": str(message_id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
