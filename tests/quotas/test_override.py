"""A tenant's temporary limit: it holds until its end, and then the plan's holds at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from portal.audit import AuditEvent
from portal.database import db, enter, new_id, now
from portal.errors import Invalid, NotFound
from portal.quotas import limits
from tests.support.quotas import Place, open_place

pytestmark = pytest.mark.usefixtures("in_app")


def _limit(place: Place) -> limits.TenantLimit:
    enter(place.tenant)
    return limits.of_tenant(place.tenant)


def test_it_holds_until_its_end_and_then_the_plans_holds_at_once() -> None:
    place = open_place(None, tenant_limit=1000)
    limits.override(place.tenant, 5000, now() + timedelta(days=1), new_id())
    place.hold(4000)
    assert (_limit(place).limit_bytes, _limit(place).plan_bytes) == (5000, 1000)
    place.change("UPDATE tenant_quotas SET override_until = now() - interval '1 second'")
    with pytest.raises(Invalid) as refused:
        place.reserve(1)
    assert (refused.value.facts["scope"], refused.value.facts["limit_bytes"]) == ("tenant", 1000)
    assert (_limit(place).limit_bytes, _limit(place).override_until) == (1000, None)
    assert place.tenant_counters() == (4000, 0)  # nothing that is there was taken


def test_it_may_lift_the_limit_and_may_be_ended_early() -> None:
    place = open_place(None, tenant_limit=1000)
    limits.override(place.tenant, None, now() + timedelta(days=1), None)
    place.hold(2000)
    limits.end_override(place.tenant, None)
    with pytest.raises(Invalid):
        place.reserve(1)


@pytest.mark.parametrize("ago", [timedelta(days=1), timedelta(seconds=1)])
def test_one_that_ended_already_is_refused(ago: timedelta) -> None:
    place = open_place(None, tenant_limit=1000)
    with pytest.raises(Invalid, match="must end in the future") as refused:
        limits.override(place.tenant, 5000, now() - ago, None)
    assert refused.value.facts == {"field": "until"}
    assert _limit(place).limit_bytes == 1000


def test_a_number_that_is_none_and_a_tenant_that_is_none_are_refused() -> None:
    place, later = open_place(tenant_limit=1000), now() + timedelta(days=1)
    with pytest.raises(Invalid):
        limits.override(place.tenant, -1, later, None)
    with pytest.raises(NotFound):
        limits.override(new_id(), 5, later, None)
    with pytest.raises(Invalid, match="time zone"):
        limits.override(place.tenant, 5, datetime(2999, 1, 1), None)  # noqa: DTZ001


def test_it_is_audited() -> None:
    place, actor, until = open_place(tenant_limit=1000), new_id(), datetime(2999, 1, 31, tzinfo=UTC)
    limits.override(place.tenant, 5000, until, actor)
    limits.end_override(place.tenant, actor)
    events = db.session.scalars(select(AuditEvent).filter_by(tenant_id=place.tenant).order_by(AuditEvent.id)).all()
    assert [(event.action, event.actor_id) for event in events] == [
        ("quota.override_set", actor),
        ("quota.override_ended", actor),
    ]
    assert events[0].facts == {"override_bytes": 5000, "override_until": "2999-01-31T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bytes", "-1", "--until", "2999-01-31"], "negative"),
        (["--bytes", "1e99", "--until", "2999-01-31"], "Write a number and a unit"),
        (["--bytes", "20GB"], "together with --until"),
        (["--until", "2999-01-31"], "together with --until"),
        (["--plan", "--bytes", "20GB", "--until", "2999-01-31"], "--plan alone"),
        (["--bytes", "20GB", "--until", "tomorrow"], "does not match the format"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(arguments: list[str], words: str) -> None:
    from portal.commands.tenant import tenant_quota

    done: Any = CliRunner().invoke(tenant_quota, ["acme", *arguments])
    assert done.exit_code == 2
    assert words in done.output
