"""An admin of the tenant sees names of files in every place alike, and opens none (docs/adr/0020-names-and-admins.md).

``tina`` is such an admin, and a member of no workspace.
"""

from __future__ import annotations

import pytest

from portal.usage import measurement
from tests.support.client import Scene
from tests.support.engines import EICAR

NAME = "secret-plan.txt"


@pytest.fixture
def asset_id(scene: Scene, text: bytes) -> str:
    """A file of alice, checked, moved to the trash and measured."""
    sent = scene.alice.upload(NAME, text)
    scene.site.run_jobs()
    scene.alice.wait(sent.asset_id, "available")
    assert scene.alice.call("DELETE", f"assets/{sent.asset_id}").status_code == 204
    return sent.asset_id


def test_the_audit_log_shows_names_as_page_json_and_spreadsheet(scene: Scene, asset_id: str) -> None:
    cast = scene.cast
    listed = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/audit?action=asset.deleted").get_json()["items"]
    assert [(each["target_id"], each["file_name"]) for each in listed] == [(asset_id, NAME)]
    for page in ("audit", "audit.csv"):
        shown = cast.tina.browser.get(f"/t/{cast.acme.slug}/{page}").text
        assert NAME in shown and f"/assets/{asset_id}" not in shown


def test_events_have_names_and_so_have_the_webhooks_that_send_them(scene: Scene, asset_id: str) -> None:
    cast = scene.cast
    listed = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/events?type=asset.available").get_json()["items"]
    assert [each["data"]["file_name"] for each in listed if each["data"]["asset_id"] == asset_id] == [NAME]


def test_the_page_about_a_workspaces_space_shows_names_that_lead_nowhere(scene: Scene, asset_id: str) -> None:
    cast = scene.cast
    with cast.app.app_context():
        measurement.measure(cast.acme.id, cast.press.id)
    page = cast.tina.browser.get(f"/t/{cast.acme.slug}/quotas/{cast.press.id}").text
    assert NAME in page and asset_id not in page


def test_the_quarantine_shows_names(scene: Scene) -> None:
    cast = scene.cast
    sent = scene.alice.upload("invoice.txt", EICAR)
    scene.site.run_jobs()
    scene.alice.wait(sent.asset_id, "quarantined")
    listed = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/quarantine").get_json()["items"]
    assert [each["file_name"] for each in listed] == ["invoice.txt"]
    assert "invoice.txt" in cast.tina.browser.get(f"/t/{cast.acme.slug}/quarantine").text
    mailed = (
        "SELECT count(*) FROM emails WHERE template = 'infected' AND recipient = %s AND text LIKE '%%invoice.txt%%'"
    )
    assert scene.site.sql(mailed, cast.tina.email) == [(1,)]


@pytest.mark.parametrize("path", ["assets", "assets/{a}", "assets/{a}/download", "assets/{a}/download?variant=small"])
def test_no_name_opens_a_file_to_somebody_who_is_no_member(scene: Scene, asset_id: str, path: str) -> None:
    cast = scene.cast
    assert cast.tina.api.get(cast.url(path.format(a=asset_id))).status_code == 404
    assert cast.tina.browser.get(cast.page(path.replace("assets", "files").format(a=asset_id))).status_code == 404
