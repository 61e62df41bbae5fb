"""The operator's switches: uploads paused for everybody, a tenant that may only be read. Members read the reason.

Every request asks for them, so a process believes what it read for a few seconds. Whoever throws a switch sees it at
once in their own process, everybody else within ``BELIEVED_SECONDS``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import delete, text
from sqlalchemy.dialects.postgresql import insert

from portal import audit
from portal.database import after_commit, db, now, transaction
from portal.errors import Conflict, Forbidden, Invalid, Unavailable
from portal.tenancy.models import Switch

PAUSE = "pause_uploads"
READ_ONLY = "read_only"
EVERYWHERE = UUID(int=0)
BELIEVED_SECONDS = 3.0
LONGEST_REASON = 500

_ALL = text("SELECT name, scope, reason, set_at, set_by FROM switches")
_ACTIONS = {
    PAUSE: ("uploads.paused", "uploads.resumed"),
    READ_ONLY: ("tenant.read_only", "tenant.writable"),
}


@dataclass(frozen=True)
class Thrown:
    """A switch that is on."""

    name: str
    scope: UUID
    reason: str
    since: datetime
    by: UUID | None


def thrown() -> dict[tuple[str, UUID], Thrown]:
    """Every switch that is on, as it was a few seconds ago at most."""
    read_at, known = current_app.extensions.get("portal.switches", (float("-inf"), {}))
    if time.monotonic() - read_at > BELIEVED_SECONDS:
        known = {(row.name, row.scope): Thrown(*row) for row in db.session.execute(_ALL)}
        current_app.extensions["portal.switches"] = (time.monotonic(), known)
    return cast(dict[tuple[str, UUID], Thrown], known)


def paused() -> Thrown | None:
    """Why no upload may begin, or None."""
    return thrown().get((PAUSE, EVERYWHERE))


def read_only(tenant_id: UUID) -> Thrown | None:
    """Why nothing may change in this tenant, or None."""
    return thrown().get((READ_ONLY, tenant_id))


def require_uploads() -> None:
    """Raises ``Unavailable`` with the reason while uploads are paused."""
    if pause := paused():
        raise Unavailable(_("Uploads are paused: %(reason)s", reason=pause.reason), retry_after=60)


def refusal(switch: Thrown) -> Forbidden:
    """The refusal of every change in a tenant that is read-only."""
    return Forbidden(_("This tenant is read-only for now: %(reason)s", reason=switch.reason))


def throw(name: str, scope: UUID, reason: str, actor_id: UUID) -> None:
    """Turn one on. Raises ``Invalid`` without a reason, ``Conflict`` when it is on already."""
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= LONGEST_REASON or "\0" in reason:
        raise Invalid(
            _("Give a reason of 1 to %(most)s characters: members read it.", most=LONGEST_REASON), field="reason"
        )
    values = {"name": name, "scope": scope, "reason": reason, "set_at": now(), "set_by": actor_id}
    with transaction(_tenant_of(scope)):
        made = db.session.execute(insert(Switch).values(values).on_conflict_do_nothing().returning(Switch.name))
        _record(made, _ACTIONS[name][0], scope, actor_id, reason=reason)


def release(name: str, scope: UUID, actor_id: UUID) -> None:
    """Turn one off. Raises ``Conflict`` when it is not on."""
    with transaction(_tenant_of(scope)):
        gone = db.session.execute(
            delete(Switch).where(Switch.name == name, Switch.scope == scope).returning(Switch.name)
        )
        _record(gone, _ACTIONS[name][1], scope, actor_id)


def _record(result: Any, action: str, scope: UUID, actor_id: UUID, **facts: Any) -> None:
    if result.one_or_none() is None:
        raise Conflict(_("Somebody else has done this already."))
    tenant_id = _tenant_of(scope)
    audit.record_act(actor_id, action, tenant_id, **facts)
    if tenant_id is not None:
        audit.record(tenant_id, actor_id, action, tenant_id, **facts)
    extensions = current_app.extensions
    after_commit(lambda: extensions.pop("portal.switches", None) and None)


def _tenant_of(scope: UUID) -> UUID | None:
    return None if scope == EVERYWHERE else scope
