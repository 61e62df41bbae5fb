"""Warnings: once for each threshold that is crossed, to those who can act, and again after it got better."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from portal.audit import AuditEvent
from portal.database import db, enter, new_id, transaction
from portal.events.models import Event
from portal.lifecycle import sweep
from portal.mail.models import Email
from portal.quotas import limits, warnings
from portal.quotas import service as quotas
from portal.quotas.warnings import threshold_of
from tests.support.people import Cast


def hold(cast: Cast, size: int) -> UUID:
    subject = new_id()
    with cast.app.app_context(), transaction(cast.acme.id):
        quotas.reserve(cast.acme.id, cast.press.id, subject, size)
        quotas.settle(cast.acme.id, cast.press.id, subject, size)
    return subject


def free(cast: Cast, subject: UUID, size: int) -> None:
    with cast.app.app_context(), transaction(cast.acme.id):
        quotas.free(cast.acme.id, cast.press.id, subject, size)


def limit(cast: Cast, size: int | None) -> None:
    with cast.app.app_context():
        limits.set_limit(cast.acme.id, cast.press.id, None, size)


def swept(cast: Cast) -> list[str]:
    """Who has had which warning, after another pass of the sweep."""
    with cast.app.app_context():
        sweep.run()
        mine = [cast.alice.email, cast.tina.email, cast.bob.email, cast.mallory.email]
        letters = db.session.scalars(
            select(Email).where(Email.template == "quota_warning", Email.recipient.in_(mine)).order_by(Email.id)
        )
        return [f"{each.recipient.partition('-')[0]}: {each.subject}" for each in letters]


def told(cast: Cast) -> list[dict[str, Any]]:
    with cast.app.app_context():
        enter(cast.acme.id)
        events = db.session.scalars(select(Event).filter_by(type="quota.warning").order_by(Event.id)).all()
        return [{"workspace_id": event.workspace_id, **event.data} for event in events]


@pytest.mark.parametrize(
    ("permille", "warned", "now"),
    [
        (0, 0, 0), (799, 0, 0), (800, 0, 80), (899, 80, 80), (900, 80, 90), (950, 0, 95), (1700, 95, 95),
        (900, 95, 95), (899, 95, 90), (850, 90, 90), (849, 90, 80), (750, 80, 80), (749, 80, 0), (749, 95, 0),
    ],
)  # fmt: skip
def test_the_level_goes_up_at_once_and_down_five_points_below(permille: int, warned: int, now: int) -> None:
    assert threshold_of(permille, warned) == now


def test_owners_and_admins_are_warned_once_for_each_threshold(cast: Cast) -> None:
    limit(cast, 1000)
    first = hold(cast, 799)
    assert swept(cast) == []
    hold(cast, 1)
    both = ["alice: Press is 80% full", "tina: Press is 80% full"]
    assert sorted(swept(cast)) == both
    assert sorted(swept(cast)) == both  # once
    hold(cast, 160)  # from 80 to 96: one letter, of the highest level
    assert sorted(swept(cast)) == sorted([*both, "alice: Press is 96% full", "tina: Press is 96% full"])
    assert [(each["level"], each["scope"]) for each in told(cast)] == [
        ("medium", "workspace"),
        ("critical", "workspace"),
    ]
    assert told(cast)[1] == {
        "workspace_id": cast.press.id, "scope": "workspace", "level": "critical",
        "percent": 96.0, "used_bytes": 960, "limit_bytes": 1000,
    }  # fmt: skip
    with cast.app.app_context():
        enter(cast.acme.id)
        assert len(db.session.scalars(select(AuditEvent).filter_by(action="quota.warned")).all()) == 2
    free(cast, first, 799)
    swept(cast)
    hold(cast, 799)
    assert len(swept(cast)) == 6  # it got better in between: the next time warns again


def test_a_share_that_wavers_around_a_level_warns_once(cast: Cast) -> None:
    limit(cast, 1000)
    hold(cast, 790)
    for _ in range(3):
        small = hold(cast, 20)
        assert len(swept(cast)) == 2
        free(cast, small, 20)
        assert len(swept(cast)) == 2


def test_a_limit_that_is_lowered_warns_too_and_one_that_is_lifted_does_not(cast: Cast) -> None:
    hold(cast, 500)
    assert swept(cast) == []
    limit(cast, 520)
    assert len(swept(cast)) == 2
    limit(cast, None)
    assert len(swept(cast)) == 2
    limit(cast, 0)
    assert len(swept(cast)) == 4


def test_an_empty_workspace_with_a_limit_of_nothing_warns_nobody(cast: Cast) -> None:
    limit(cast, 0)
    assert swept(cast) == []


def test_the_tenants_admins_are_warned_of_the_tenant(cast: Cast) -> None:
    with cast.app.app_context(), transaction(cast.acme.id) as session:
        session.execute(text("UPDATE tenant_quotas SET limit_bytes = 1000"))
    hold(cast, 900)
    assert swept(cast) == ["tina: Acme is 90% full"]
    assert [(each["scope"], each["workspace_id"], each["level"]) for each in told(cast)] == [("tenant", None, "high")]


def test_of_two_that_notice_at_once_one_warns(cast: Cast) -> None:
    limit(cast, 1000)
    hold(cast, 990)
    with cast.app.app_context():
        assert warnings.warn(cast.acme.id, cast.press.id) is not None
        assert warnings.warn(cast.acme.id, cast.press.id) is None
        assert warnings.warn(cast.evil.id, cast.press.id) is None
        assert warnings.warn(cast.acme.id, new_id()) is None
