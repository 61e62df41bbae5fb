"""Report, alerts, trend and statistics over JSON."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from portal.admin import service as admin
from portal.assets.models import AssetState
from portal.database import transaction
from portal.quotas import limits
from portal.tenancy.models import TenantRole, WorkspaceRole
from portal.usage import measurement, snapshots
from portal.usage.models import TenantSnapshot
from tests.support.factories import SIZES, make_asset
from tests.support.people import Cast

DERIVED = sum(longest * 10 for longest in SIZES.values())
ADDRESSES = ("quota/report", "quota/alerts", "quota/trend", "storage/stats")


def ask(cast: Cast, what: str) -> Any:
    answer = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/{what}")
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def measure(cast: Cast) -> None:
    with cast.app.app_context():
        measurement.measure(cast.acme.id, cast.press.id)


def write_days(cast: Cast, sizes: list[int]) -> None:
    """Snapshots of the days before today, the newest last."""
    today = snapshots.today()
    rows = [
        {"tenant_id": cast.acme.id, "day": today - timedelta(days=len(sizes) - n), "used_bytes": size, "used_files": 1}
        for n, size in enumerate(sizes)
    ]
    with cast.app.app_context(), transaction(cast.acme.id) as session:
        session.execute(insert(TenantSnapshot), rows)


def test_only_admins_of_this_tenant_ask(cast: Cast) -> None:
    for what in ADDRESSES:
        address = f"/v1/tenants/{cast.acme.id}/{what}"
        assert cast.alice.api.get(address).status_code == 403
        assert cast.mallory.api.get(address).status_code == 404
        assert cast.nobody.get(address).status_code == 401


def test_a_tenant_with_nothing_in_it_yet_has_a_report(cast: Cast) -> None:
    found = ask(cast, "quota/report")
    assert found["summary"] == {"total_bytes": 0, "total_files": 0, "average_bytes": 0}
    assert (found["near_limit"], found["top_users"], found["top_workspaces"], found["as_of"]) == ([], [], [], None)
    assert found["by_plan"] == [{"plan": "pro", "tenants": 1, "bytes": 0, "files": 0, "limit_bytes": 100 << 30}]
    assert ask(cast, "quota/alerts")["items"] == []
    assert ask(cast, "storage/stats")["parts"] == []
    trend = ask(cast, "quota/trend")
    told = (trend["trend"], trend["daily_average_bytes"], trend["projected_monthly_bytes"], trend["data_points"])
    assert told == ("stable", 0, 0, 0)
    assert (trend["points"], trend["expected_bytes"], trend["full_on"]) == ([], None, None)


def test_the_report_counts_what_the_quota_counts(cast: Cast) -> None:
    make_asset(cast, size_bytes=300, charged_bytes=300)
    make_asset(cast, size_bytes=100, charged_bytes=100, state=AssetState.DELETED)
    with cast.app.app_context():
        limits.set_limit(cast.acme.id, cast.press.id, None, 420)
    measure(cast)
    found = ask(cast, "quota/report")
    assert found["summary"] == {"total_bytes": 400, "total_files": 2, "average_bytes": 200}
    (person,) = found["top_users"]
    assert (person["user_id"], person["bytes"], person["files"]) == (str(cast.alice.id), 400, 2)
    (place,) = found["top_workspaces"]
    assert (place["name"], place["used_bytes"], place["files"], place["limit_bytes"]) == ("Press", 400, 2, 420)
    assert found["near_limit"] == [place]
    assert (place["percent"], place["level"]) == (95.2, "critical")
    assert found["as_of"] is not None
    assert [each["name"] for each in ask(cast, "quota/alerts?threshold=0.95")["items"]] == ["Press"]
    assert ask(cast, "quota/alerts?threshold=0.96")["items"] == []


@pytest.mark.parametrize("query", ["threshold=0", "threshold=-1", "threshold=nan", "threshold=x", "threshold=1e99"])
def test_a_threshold_that_is_none_is_refused(cast: Cast, query: str) -> None:
    answer = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/quota/alerts?{query}")
    assert (answer.status_code, answer.get_json()["field"]) == (422, "threshold")


def test_statistics_tell_parts_apart(cast: Cast) -> None:
    make_asset(cast, size_bytes=300, charged_bytes=300)
    make_asset(cast, size_bytes=100, charged_bytes=100, state=AssetState.DELETED)
    make_asset(cast, size_bytes=50, charged_bytes=50, state=AssetState.QUARANTINED)
    measure(cast)
    found = ask(cast, "storage/stats")
    seen = {line["part"]: (line["bytes"], line["files"], line["counted"]) for line in found["parts"]}
    assert seen == {
        "original": (300, 1, True),
        "trash": (100, 1, True),
        "quarantine": (50, 1, True),
        "derived": (3 * DERIVED, 3 * len(SIZES), False),
    }
    assert {line["storage_class"] for line in found["parts"]} == {"STANDARD"}
    (profile,) = found["profiles"]
    assert (profile["mode"], profile["workspace_id"]) == ("managed_r2", str(cast.press.id))
    assert (profile["bytes"], profile["files"]) == (450 + 3 * DERIVED, 3 + 3 * len(SIZES))
    assert found["downloads"] == {"links": 0, "bytes": 0}


def test_downloads_that_were_issued_are_counted(cast: Cast) -> None:
    asset_id = make_asset(cast)
    assert cast.vera.api.get(cast.url(f"assets/{asset_id}/download")).status_code == 302
    measure(cast)
    assert ask(cast, "storage/stats")["downloads"]["links"] == 1


def test_the_trend_grows_with_the_days(cast: Cast) -> None:
    write_days(cast, [1000 + 5 * n for n in range(30)])
    found = ask(cast, "quota/trend")
    assert (found["trend"], found["daily_average_bytes"], found["projected_monthly_bytes"]) == ("low", 5, 150)
    assert (found["data_points"], found["expected_bytes"], len(found["points"])) == (30, 1300, 30)
    assert found["full_on"] is None  # not within ten years
    assert date.fromisoformat(found["points"][-1]["day"]) == snapshots.today() - timedelta(days=1)
    assert ask(cast, "quota/trend?days=7")["data_points"] == 7


def test_days_that_are_none_are_refused(cast: Cast) -> None:
    for days in ("0", "-1", "366", "x"):
        answer = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/quota/trend?days={days}")
        assert (answer.status_code, answer.get_json()["field"]) == (422, "days")


def test_a_person_sees_what_their_own_uploads_hold_in_every_tenant(cast: Cast) -> None:
    with cast.app.app_context():
        admin.add_user(cast.evil.slug, cast.alice.email, TenantRole.MEMBER, None)
        admin.set_member(cast.evil.slug, "lair", cast.alice.email, WorkspaceRole.EDITOR)
    make_asset(cast)
    make_asset(cast, workspace=cast.lair)
    assert cast.alice.api.get("/v1/me/usage").get_json()["items"] == [], "not measured yet"
    with cast.app.app_context():
        measurement.measure(cast.acme.id, cast.press.id)
        measurement.measure(cast.evil.id, cast.lair.id)
    items = {each["name"]: each for each in cast.alice.api.get("/v1/me/usage").get_json()["items"]}
    assert items["Press"]["files"] == 1 and items["Press"]["bytes"] > 0
    assert cast.bob.api.get("/v1/me/usage").get_json()["items"] == []
    with cast.app.app_context():
        admin.set_member(cast.acme.slug, "press", cast.bob.email, WorkspaceRole.OWNER)
        admin.remove_member(cast.acme.slug, "press", cast.alice.email)
    assert "Press" not in {each["name"] for each in cast.alice.api.get("/v1/me/usage").get_json()["items"]}
