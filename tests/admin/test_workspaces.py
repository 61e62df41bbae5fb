"""Administrators create workspaces; owners and administrators rename them."""

from __future__ import annotations

import pytest

from portal.database import enter
from portal.tenancy import service as tenancy
from tests.support.people import Cast


def new(cast: Cast, **changes: object) -> dict[str, object]:
    return {"slug": "studio", "name": "Studio", "owner_email": cast.bob.email, **changes}


def test_an_admin_creates_a_workspace_by_json(cast: Cast) -> None:
    url = f"/v1/tenants/{cast.acme.id}/workspaces"
    made = cast.tina.api.post(url, json=new(cast, quota_bytes=1000))
    assert made.status_code == 201
    place = made.get_json()
    assert (place["slug"], place["name"], place["tenant_id"]) == ("studio", "Studio", str(cast.acme.id))
    assert cast.bob.api.get(f"/v1/workspaces/{place['id']}/quota").get_json()["limit_bytes"] == 1000
    assert cast.bob.api.get(f"/v1/workspaces/{place['id']}/assets").status_code == 200
    assert cast.tina.api.get(f"/v1/workspaces/{place['id']}/assets").status_code == 404, "an admin sees no files"
    assert cast.tina.api.post(url, json=new(cast)).get_json()["field"] == "slug"
    for wrong, status in (
        ({"slug": "Bad Slug"}, 422),
        ({"slug": ""}, 422),
        ({"name": ""}, 422),
        ({"name": "x\u202ey", "slug": "b"}, 422),
        ({"owner_email": cast.mallory.email, "slug": "b"}, 409),
        ({"owner_email": "nobody@x.example", "slug": "b"}, 409),
        ({"quota_bytes": -1, "slug": "b"}, 422),
    ):
        assert cast.tina.api.post(url, json=new(cast, **wrong)).status_code == status, wrong
    assert cast.alice.api.post(url, json=new(cast, slug="c")).status_code == 403
    assert cast.mallory.api.post(url, json=new(cast, slug="c")).status_code == 404


def test_nobody_learns_who_has_an_account_elsewhere(cast: Cast) -> None:
    url = f"/v1/tenants/{cast.acme.id}/workspaces"
    answers = [
        cast.tina.api.post(url, json=new(cast, owner_email=email)).get_json()["detail"].replace(email, "X")
        for email in (cast.mallory.email, "nobody@x.example")
    ]
    assert answers[0] == answers[1]


def test_an_admin_creates_a_workspace_on_the_page(cast: Cast) -> None:
    here = f"/t/{cast.acme.slug}/workspaces/new"
    assert cast.tina.email in cast.tina.browser.get(here).text
    form = {"name": "Presse & Büro", "owner_email": cast.bob.email, "limit": "50 GB"}
    made = cast.tina.browser.post(here, data=form)
    assert (made.status_code, made.location) == (303, f"/t/{cast.acme.slug}/w/presse-buro/members")
    again = cast.tina.browser.post(here, data=form)
    assert again.location == f"/t/{cast.acme.slug}/w/presse-buro-2/members"
    for wrong in ({"name": ""}, {"owner_email": "nobody@x.example"}, {"slug": "press"}, {"limit": "much"}):
        answer = cast.tina.browser.post(here, data={**form, **wrong})
        assert answer.status_code == 422 and "is-invalid" in answer.text, wrong
    assert cast.alice.browser.get(here).status_code == 403


@pytest.mark.parametrize(
    ("name", "slug"), [("Größe", "groe"), ("写真", "workspace"), ("--a  b--", "a-b"), ("x" * 200, "x" * 55)]
)
def test_a_slug_resembles_the_name(cast: Cast, name: str, slug: str) -> None:
    with cast.app.app_context():
        enter(cast.acme.id)
        assert tenancy.suggested_slug(cast.acme.id, name) == slug


def test_owners_and_admins_rename(cast: Cast) -> None:
    for actor, name in ((cast.alice, "Press office"), (cast.tina, "Press room")):
        assert actor.browser.get(cast.page("settings")).status_code == 200
        assert actor.browser.post(cast.page("settings"), data={"name": name}).status_code == 303
        assert name in cast.bob.browser.get(cast.page("files")).text
    assert cast.alice.api.patch(cast.url("").rstrip("/"), json={"name": "Desk"}).get_json()["name"] == "Desk"
    assert cast.alice.api.patch(cast.url("").rstrip("/"), json={}).get_json()["name"] == "Desk"
    for wrong in ("", "x" * 201, "a\u2066b"):
        assert cast.alice.browser.post(cast.page("settings"), data={"name": wrong}).status_code == 422
        assert cast.alice.api.patch(cast.url("").rstrip("/"), json={"name": wrong}).status_code == 422
    assert cast.bob.browser.get(cast.page("settings")).status_code == 403
    assert cast.bob.api.patch(cast.url("").rstrip("/"), json={"name": "Mine"}).status_code == 403
    assert cast.mallory.api.patch(cast.url("").rstrip("/"), json={"name": "Mine"}).status_code == 404
