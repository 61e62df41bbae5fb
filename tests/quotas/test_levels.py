"""How a workspace and its tenant stand, and the limit that an admin sets."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from portal.audit import AuditEvent
from portal.database import db, enter, new_id
from portal.errors import Invalid, NotFound
from portal.quotas import limits
from portal.quotas import service as quotas
from portal.quotas.levels import UsageStatus
from tests.support.quotas import Place, open_place

pytestmark = pytest.mark.usefixtures("in_app")


def _status(place: Place, number: int = 0) -> UsageStatus:
    enter(place.tenant)
    return quotas.workspace_status(place.tenant, place.workspaces[number])


@pytest.mark.parametrize(
    ("held", "percent", "level"),
    [
        (0, 0.0, "ok"),
        (79_999, 79.9, "ok"),
        (80_000, 80.0, "medium"),
        (89_999, 89.9, "medium"),
        (90_000, 90.0, "high"),
        (94_999, 94.9, "high"),
        (95_000, 95.0, "critical"),
        (99_999, 99.9, "critical"),
        (100_000, 100.0, "exceeded"),
    ],
)
def test_the_level_changes_at_80_90_95_and_100_percent(held: int, percent: float, level: str) -> None:
    place = open_place(100_000)
    place.hold(held // 2)
    place.reserve(held - held // 2)
    found = _status(place)
    assert (found.percent, found.level, found.scope) == (percent, level, "workspace")
    assert (found.used_bytes, found.reserved_bytes) == (held // 2, held - held // 2)
    assert found.remaining_bytes == 100_000 - held


def test_the_level_with_less_room_decides() -> None:
    place = open_place(500, None, tenant_limit=1000)
    place.hold(100)
    place.hold(850, place.workspaces[1])
    own, other = _status(place), _status(place, 1)
    assert (own.limit_bytes, own.used_bytes, own.remaining_bytes, own.percent) == (500, 100, 50, 95.0)
    assert (own.scope, own.level) == ("tenant", "critical")
    assert (other.limit_bytes, other.used_bytes, other.remaining_bytes) == (None, 850, 50)
    whole = quotas.tenant_status(place.tenant)
    assert (whole.limit_bytes, whole.used_bytes, whole.remaining_bytes, whole.level) == (1000, 950, 50, "critical")


def test_without_limits_nothing_fills_up() -> None:
    place = open_place(None, tenant_limit=None)
    place.hold(2**40)
    found = _status(place)
    assert (found.limit_bytes, found.remaining_bytes, found.percent, found.level) == (None, None, 0.0, "ok")


def test_a_limit_below_what_is_held_takes_nothing_and_stops_uploads() -> None:
    place = open_place(1000)
    place.hold(800)
    limits.set_limit(place.tenant, place.workspace, None, 500)
    found = _status(place)
    assert (found.used_bytes, found.remaining_bytes, found.percent, found.level) == (800, 0, 160.0, "exceeded")
    with pytest.raises(Invalid, match="This workspace has no space left") as refused:
        place.reserve(1)
    assert refused.value.facts["shortage_bytes"] == 301
    limits.set_limit(place.tenant, place.workspace, None, None)
    place.reserve(10_000)


def test_a_limit_of_nothing_takes_nothing() -> None:
    place = open_place(0)
    assert (_status(place).percent, _status(place).level) == (100.0, "exceeded")
    with pytest.raises(Invalid):
        place.reserve(1)


def test_setting_a_limit_is_audited_with_the_one_before() -> None:
    place, actor = open_place(1000), new_id()
    limits.set_limit(place.tenant, place.workspace, actor, 2000)
    event = db.session.scalars(select(AuditEvent).filter_by(tenant_id=place.tenant)).one()
    assert (event.action, event.actor_id, event.target_id) == ("quota.limit_set", actor, place.workspace)
    assert event.facts == {"limit_bytes": 2000, "before_bytes": 1000}


@pytest.mark.parametrize("limit", [-1, 2**63, 1.5, "5", True])
def test_what_is_no_number_of_bytes_is_refused_as_a_limit(limit: Any) -> None:
    place = open_place(1000)
    with pytest.raises(Invalid, match="whole number of bytes") as refused:
        limits.set_limit(place.tenant, place.workspace, None, limit)
    assert refused.value.facts == {"field": "limit_bytes"}
    assert _status(place).limit_bytes == 1000


def test_the_largest_limit_can_be_set_and_used() -> None:
    place = open_place(None)
    limits.set_limit(place.tenant, place.workspace, None, 2**63 - 1)
    place.reserve(1)
    assert _status(place).remaining_bytes == 2**63 - 2


def test_a_foreign_and_a_missing_workspace_are_both_not_found() -> None:
    place, other = open_place(1000), open_place(1000)
    for workspace in (other.workspace, new_id()):
        with pytest.raises(NotFound):
            limits.set_limit(place.tenant, workspace, None, 5)
        with pytest.raises(NotFound):
            quotas.workspace_status(place.tenant, workspace)
    enter(place.tenant)
    with pytest.raises(NotFound):
        quotas.tenant_status(other.tenant)
    assert _status(other).limit_bytes == 1000
