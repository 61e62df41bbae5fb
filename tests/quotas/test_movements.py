"""Reserve, settle, release, free: what each does to both counters and the ledger."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.exc import IntegrityError

from portal.database import new_id, transaction
from portal.errors import Invalid
from portal.quotas import service as quotas
from tests.support.quotas import open_place

pytestmark = pytest.mark.usefixtures("in_app")
FACTS = {
    "scope",
    "used_bytes",
    "reserved_bytes",
    "limit_bytes",
    "required_bytes",
    "shortage_bytes",
    "percent",
    "help_url",
}


def test_a_file_is_reserved_settled_and_freed_at_both_levels_and_the_ledger_tells_it() -> None:
    place = open_place(1000, tenant_limit=2000)
    subject, asset = place.reserve(300), new_id()
    assert place.counters() == place.tenant_counters() == (0, 300)
    with transaction(place.tenant):
        quotas.settle(place.tenant, place.workspace, subject, 300)
    assert place.counters() == place.tenant_counters() == (300, 0)
    with transaction(place.tenant):
        quotas.free(place.tenant, place.workspace, asset, 300)
    assert place.counters() == place.tenant_counters() == (0, 0)
    assert place.ledger() == [("reserve", 0, 300), ("settle", 300, -300), ("free", -300, 0)]


def test_a_released_reservation_leaves_room_for_the_next() -> None:
    place = open_place(1000)
    subject = place.reserve(1000)
    with transaction(place.tenant):
        quotas.release(place.tenant, place.workspace, subject, 1000)
    place.reserve(1000)
    assert place.counters() == (0, 1000)


@pytest.mark.parametrize(
    ("own", "tenant", "scope"), [(1000, 5000, "workspace"), (5000, 1000, "tenant"), (None, 1000, "tenant")]
)
def test_the_last_byte_fits_and_one_more_is_refused_with_exact_figures(
    own: int | None, tenant: int, scope: str
) -> None:
    place = open_place(own, tenant_limit=tenant)
    place.hold(600)
    place.reserve(390)
    with pytest.raises(Invalid) as refused:
        place.reserve(11)
    assert (refused.value.http_status, refused.value.code) == (413, "quota_exceeded")
    facts = refused.value.facts
    assert facts.keys() == FACTS
    assert (facts["used_bytes"], facts["reserved_bytes"], facts["limit_bytes"]) == (600, 390, 1000)
    assert (facts["required_bytes"], facts["shortage_bytes"], facts["percent"]) == (11, 1, 99.0)
    assert facts["scope"] == scope
    assert "10 bytes left" in refused.value.detail
    assert (
        "1 byte too much. Wait for the running uploads, empty the trash, or ask an administrator for more space."
        in refused.value.detail
    )
    place.reserve(10)
    assert place.counters() == (600, 400)


def test_a_refusal_by_the_tenant_leaves_the_workspace_untouched_even_when_the_caller_commits() -> None:
    place = open_place(1000, tenant_limit=100)
    with transaction(place.tenant), pytest.raises(Invalid):
        quotas.reserve(place.tenant, place.workspace, new_id(), 101)
    assert place.counters() == place.tenant_counters() == (0, 0)
    assert place.ledger() == []


def test_workspaces_share_the_limit_of_their_tenant() -> None:
    place = open_place(None, 900, tenant_limit=1000)
    place.reserve(700)
    with pytest.raises(Invalid, match="The workspaces of this tenant have 300 bytes left in all"):
        place.reserve(301, place.workspaces[1])
    place.reserve(300, place.workspaces[1])
    assert place.tenant_counters() == (0, 1000)


@pytest.mark.parametrize(
    ("override", "until", "fits"),
    [(500, "1 hour", True), (500, "-1 hour", False), (None, "1 hour", True), (50, "1 hour", False)],
)
def test_an_override_of_the_tenants_limit_holds_until_its_end(override: int | None, until: str, fits: bool) -> None:
    place = open_place(None, tenant_limit=100)
    place.change(
        "UPDATE tenant_quotas SET override_bytes = :override, override_until = now() + CAST(:until AS interval)",
        override=override,
        until=until,
    )
    if fits:
        place.reserve(500)
    else:
        with pytest.raises(Invalid):
            place.reserve(101)


def test_without_limits_everything_fits() -> None:
    place = open_place(None, tenant_limit=None)
    place.reserve(2**50)
    assert place.tenant_counters() == (0, 2**50)


def test_what_is_rolled_back_never_happened() -> None:
    place = open_place(1000, tenant_limit=1000)
    with pytest.raises(RuntimeError, match="in the middle"), transaction(place.tenant):
        quotas.reserve(place.tenant, place.workspace, new_id(), 10)
        raise RuntimeError("in the middle")
    assert place.counters() == place.tenant_counters() == (0, 0)
    assert place.ledger() == []


def test_no_counter_falls_below_zero() -> None:
    place = open_place(1000)
    subject = place.reserve(100)
    for repeated in (quotas.release, quotas.settle, quotas.free):
        with pytest.raises(IntegrityError, match="counters"), transaction(place.tenant):
            repeated(place.tenant, place.workspace, subject, 101)
    assert place.counters() == (0, 100)
    assert place.ledger() == [("reserve", 0, 100)]


def test_a_workspace_of_another_tenant_is_not_charged() -> None:
    place, other = open_place(1000), open_place(1000)
    with pytest.raises(LookupError), transaction(place.tenant):
        quotas.reserve(place.tenant, other.workspace, new_id(), 1)
    with pytest.raises(LookupError), transaction(place.tenant):
        quotas.reserve(other.tenant, other.workspace, new_id(), 1)
    assert other.counters() == other.tenant_counters() == (0, 0)


@pytest.mark.parametrize("move", [quotas.reserve, quotas.settle, quotas.release, quotas.free])
def test_nothing_moves_nothing_and_less_than_nothing_is_refused(move: Callable[..., None]) -> None:
    place = open_place(1000)
    with transaction(place.tenant):
        move(place.tenant, place.workspace, new_id(), 0)
    with pytest.raises(ValueError, match="size"), transaction(place.tenant):
        move(place.tenant, place.workspace, new_id(), -1)
    assert place.ledger() == []
