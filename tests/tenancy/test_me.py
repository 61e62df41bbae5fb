"""Who am I, and where: /v1/me."""

from __future__ import annotations

from tests.support.people import Cast


def test_me_lists_memberships_only(cast: Cast) -> None:
    answer = cast.bob.api.get("/v1/me")
    assert answer.status_code == 200, answer.text
    me = answer.get_json()
    assert me["user"] == {"id": str(cast.bob.id), "email": cast.bob.email, "name": "Bob"}
    assert me["tenants"] == [{"id": str(cast.acme.id), "slug": cast.acme.slug, "name": "Acme", "role": "member"}]
    place = {"id": str(cast.press.id), "tenant_id": str(cast.acme.id), "slug": "press", "name": "Press"}
    assert me["workspaces"] == [{**place, "role": "editor"}]


def test_an_admin_without_workspaces_sees_none(cast: Cast) -> None:
    me = cast.tina.api.get("/v1/me").get_json()
    assert [tenant["role"] for tenant in me["tenants"]] == ["admin"]
    assert me["workspaces"] == []
