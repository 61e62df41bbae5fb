"""Quotas of all tenants, for operators alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from portal.database import now, transaction
from portal.identity.models import User
from portal.usage import measurement, snapshots
from tests.support.factories import make_asset
from tests.support.people import Cast

GB = 1 << 30


@pytest.fixture
def olga(cast: Cast) -> Any:
    """Bob, who runs the installation."""
    with cast.app.app_context(), transaction() as session:
        session.get_one(User, cast.bob.id).is_operator = True
    return cast.bob


def test_an_operator_sees_every_tenant(cast: Cast, olga: Any) -> None:
    make_asset(cast, size_bytes=90 * GB, charged_bytes=90 * GB)
    with cast.app.app_context():
        measurement.measure(cast.acme.id, cast.press.id)
        snapshots.take_of(cast.acme.id)
    page = olga.browser.get("/operator/quotas")
    assert page.status_code == 200
    assert cast.acme.slug in page.text and cast.evil.slug in page.text
    found = olga.browser.get("/operator/quotas/report.json").get_json()
    mine = [each for each in found["near_limit"] if each["tenant_id"] == str(cast.acme.id)]
    assert (mine[0]["percent"], mine[0]["level"], mine[0]["workspace_id"]) == (90.0, "high", None)
    assert any(each["workspace_id"] == str(cast.press.id) for each in found["top_workspaces"])
    assert any(each["user_id"] == str(cast.alice.id) for each in found["top_users"])
    pro = next(each for each in found["by_plan"] if each["plan"] == "pro")
    assert pro["tenants"] >= 2 and pro["bytes"] >= 90 * GB and pro["limit_bytes"] == 100 * GB
    assert olga.api.get("/v1/operator/quota/report").get_json()["summary"] == found["summary"]
    assert "top workspace,Press" in olga.browser.get("/operator/quotas/report.csv").text


def test_an_operator_raises_a_quota_until_a_day(cast: Cast, olga: Any) -> None:
    address = f"/operator/quotas/{cast.acme.id}/override"
    assert olga.browser.post(address, data={"limit": "200 GB", "until": "2999-01-31"}).status_code == 303
    assert "200 GB" in olga.browser.get("/operator/quotas").text
    assert cast.tina.api.get(cast.url("quota")).get_json()["remaining_bytes"] == 200 * GB
    assert "A temporary limit applies until" in cast.tina.browser.get(f"/t/{cast.acme.slug}/quotas").text
    assert olga.browser.post(f"{address}/end").status_code == 303
    assert cast.tina.api.get(cast.url("quota")).get_json()["remaining_bytes"] == 100 * GB
    for data in (
        {"limit": "200 GB", "until": "2020-01-31"},
        {"limit": "200 GB", "until": ""},
        {"limit": "-1", "until": "2999-01-31"},
        {"limit": "1e99", "until": "2999-01-31"},
    ):
        assert olga.browser.post(address, data=data).status_code == 422, data
    assert olga.browser.post(address.replace(str(cast.acme.id), str(cast.press.id)), data=data).status_code == 404


def test_the_same_over_json(cast: Cast, olga: Any) -> None:
    address = f"/v1/operator/tenants/{cast.acme.id}/quota-override"
    until = (now() + timedelta(days=2)).isoformat()
    assert olga.api.put(address, json={"limit_bytes": "200 GB", "until": until}).status_code == 204
    assert cast.tina.api.get(cast.url("quota")).get_json()["remaining_bytes"] == 200 * GB
    yesterday = (now() - timedelta(days=1)).isoformat()
    refused = olga.api.put(address, json={"limit_bytes": 5, "until": yesterday})
    assert (refused.status_code, refused.get_json()["field"]) == (422, "until")
    assert olga.api.delete(address).status_code == 204
    assert cast.tina.api.put(address, json={"limit_bytes": 5, "until": until}).status_code == 403
