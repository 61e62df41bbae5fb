"""The operator's switches: uploads paused for everybody, a tenant that is read-only. Members see the reason.

Every request needs them, so each process caches them for a few seconds. A change is seen at once by the process that
made it, by every other within ``CACHE_SECONDS``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from portal import audit
from portal.database import after_commit, db, now, transaction
from portal.errors import Conflict, Forbidden, Invalid, Unavailable
from portal.tenancy.models import Switch

PAUSE = "pause_uploads"
READ_ONLY = "read_only"
EVERYWHERE = UUID(int=0)
CACHE_SECONDS = 3.0
LONGEST_REASON = 500

_CACHE = "portal.switches"
_ACTIONS = {
    PAUSE: ("uploads.paused", "uploads.resumed"),
    READ_ONLY: ("tenant.read_only", "tenant.writable"),
}


@dataclass(frozen=True)
class ActiveSwitch:
    """A switch that is on, since when, why and by whom. ``scope``: the tenant, or ``EVERYWHERE``."""

    name: str
    scope: UUID
    reason: str
    since: datetime
    by: UUID | None


def active() -> dict[tuple[str, UUID], ActiveSwitch]:
    """Every switch that is on, as it was a few seconds ago at most."""
    read_at, known = current_app.extensions.get(_CACHE, (float("-inf"), {}))
    if time.monotonic() - read_at > CACHE_SECONDS:
        rows = db.session.execute(select(Switch.name, Switch.scope, Switch.reason, Switch.set_at, Switch.set_by))
        known = {(row.name, row.scope): ActiveSwitch(*row) for row in rows}
        current_app.extensions[_CACHE] = (time.monotonic(), known)
    return cast(dict[tuple[str, UUID], ActiveSwitch], known)


def paused() -> ActiveSwitch | None:
    """The switch that pauses uploads, or None."""
    return active().get((PAUSE, EVERYWHERE))


def read_only(tenant_id: UUID) -> ActiveSwitch | None:
    """The switch that makes this tenant read-only, or None."""
    return active().get((READ_ONLY, tenant_id))


def require_uploads() -> None:
    """Raises ``Unavailable`` with the reason while uploads are paused."""
    if pause := paused():
        raise Unavailable(_("Uploads are paused: %(reason)s", reason=pause.reason), retry_after=60)


def refusal(switch: ActiveSwitch) -> Forbidden:
    """The refusal of every change in a tenant that is read-only."""
    return Forbidden(_("This tenant is read-only for now: %(reason)s", reason=switch.reason))


def turn_on(name: str, scope: UUID, reason: str, actor_id: UUID) -> None:
    """Turn one on. Raises ``Invalid`` without a reason, ``Conflict`` when it is on already."""
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= LONGEST_REASON or "\0" in reason:
        raise Invalid(
            _("Give a reason of 1 to %(most)s characters. Members see it.", most=LONGEST_REASON), field="reason"
        )
    values = {"name": name, "scope": scope, "reason": reason, "set_at": now(), "set_by": actor_id}
    with transaction(_tenant_of(scope)):
        # Of two operators at once one inserts the row; the other gets the conflict.
        made = db.session.execute(insert(Switch).values(values).on_conflict_do_nothing().returning(Switch.name))
        _record(made, _ACTIONS[name][0], scope, actor_id, reason=reason)


def turn_off(name: str, scope: UUID, actor_id: UUID) -> None:
    """Turn one off. Raises ``Conflict`` when it is not on."""
    with transaction(_tenant_of(scope)):
        gone = db.session.execute(
            delete(Switch).where(Switch.name == name, Switch.scope == scope).returning(Switch.name)
        )
        _record(gone, _ACTIONS[name][1], scope, actor_id)


def _record(result: Any, action: str, scope: UUID, actor_id: UUID, **facts: Any) -> None:
    if result.one_or_none() is None:
        raise Conflict(_("Somebody else has already done this."))
    tenant_id = _tenant_of(scope)
    audit.record_act(actor_id, action, tenant_id, **facts)
    if tenant_id is not None:
        audit.record(tenant_id, actor_id, action, tenant_id, **facts)
    extensions = current_app.extensions
    after_commit(lambda: extensions.pop(_CACHE, None) and None)


def _tenant_of(scope: UUID) -> UUID | None:
    return None if scope == EVERYWHERE else scope
