"""What goes over the wire: body, headers and signatures of the Standard Webhooks 1.0.0. Pure.

The signed text is ``{id}.{timestamp}.{body}``; a signature is ``v1,`` and the base64 of its HMAC-SHA256. While a secret
is being replaced each valid one signs, separated by spaces (github.com/standard-webhooks, spec/standard-webhooks.md).
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from portal.database import zulu

PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification asks for 24 to 64


def new_secret() -> str:
    """A random key as receivers take it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def body_of(
    event_id: UUID, event_type: str, time: datetime, tenant_id: UUID, workspace_id: UUID | None, data: dict[str, Any]
) -> bytes:
    """An event as the contract writes it; the same bytes at every attempt."""
    event = {
        "id": str(event_id),
        "type": event_type,
        "time": zulu(time),
        "tenant_id": str(tenant_id),
        "workspace_id": str(workspace_id) if workspace_id else None,
        "data": data,
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def headers_of(message_id: UUID, at: datetime, body: bytes, keys: Iterable[str]) -> dict[str, str]:
    """The headers of one attempt at ``at``, signed with every one of ``keys``."""
    timestamp = str(int(at.timestamp()))
    signatures = " ".join(_sign(key, f"{message_id}.{timestamp}.".encode() + body) for key in keys)
    return {"webhook-id": str(message_id), "webhook-timestamp": timestamp, "webhook-signature": signatures}


def _sign(key: str, signed: bytes) -> str:
    made = hmac.digest(base64.b64decode(key.removeprefix(PREFIX)), signed, "sha256")
    return f"v1,{base64.b64encode(made).decode()}"
