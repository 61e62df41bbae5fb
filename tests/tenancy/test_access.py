"""Who gets where: members, admins of the tenant, and everybody else."""

from __future__ import annotations

import pytest

from portal.tenancy.models import TenantRole, WorkspaceRole
from portal.tenancy.permissions import Permission, permissions_of
from tests.support.people import Cast

NOBODYS = "00000000-0000-7000-8000-000000000000"


def test_roles_of_a_workspace_contain_each_other() -> None:
    viewer, editor, owner = (permissions_of(None, role) for role in reversed(WorkspaceRole))
    assert viewer < editor < owner
    assert permissions_of(TenantRole.MEMBER, None) == frozenset()
    assert not permissions_of(TenantRole.ADMIN, None) & {Permission.VIEW, Permission.UPLOAD, Permission.EDIT}


@pytest.mark.parametrize(
    ("name", "status"), [("alice", 200), ("bob", 200), ("vera", 200), ("tina", 404), ("mallory", 404)]
)
def test_files_are_for_members_of_the_workspace(cast: Cast, name: str, status: int) -> None:
    actor = getattr(cast, name)
    assert actor.api.get(cast.url("assets")).status_code == status
    assert actor.browser.get(cast.url("assets")).status_code == status
    assert actor.browser.get(cast.page("files")).status_code == status


@pytest.mark.parametrize(
    ("name", "status"), [("alice", 422), ("bob", 422), ("vera", 403), ("tina", 404), ("mallory", 404)]
)
def test_uploading_is_for_editors(cast: Cast, name: str, status: int) -> None:
    assert getattr(cast, name).api.post(cast.url("uploads"), json={}).status_code == status


@pytest.mark.parametrize(("name", "status"), [("alice", 403), ("vera", 403), ("tina", 200), ("mallory", 404)])
def test_limits_are_for_admins_of_the_tenant(cast: Cast, name: str, status: int) -> None:
    for client in (getattr(cast, name).api, getattr(cast, name).browser):
        assert client.put(cast.url("quota"), json={"limit_bytes": None}).status_code == status


@pytest.mark.parametrize(("name", "status"), [("alice", 200), ("vera", 200), ("tina", 200), ("mallory", 404)])
def test_the_quota_is_seen_by_members_and_admins(cast: Cast, name: str, status: int) -> None:
    assert getattr(cast, name).api.get(cast.url("quota")).status_code == status


@pytest.mark.parametrize(("name", "status"), [("alice", 403), ("tina", 200), ("mallory", 404)])
def test_the_overview_is_for_admins(cast: Cast, name: str, status: int) -> None:
    assert getattr(cast, name).browser.get(f"/t/{cast.acme.slug}/overview").status_code == status


def test_foreign_and_missing_workspaces_look_the_same(cast: Cast) -> None:
    foreign = cast.mallory.api.get(cast.url("quota"))
    missing = cast.mallory.api.get(f"/v1/workspaces/{NOBODYS}/quota")
    assert foreign.status_code == missing.status_code == 404
    assert foreign.data == missing.data
    there = cast.mallory.browser.get(cast.page("files"))
    nowhere = cast.mallory.browser.get("/t/no-such/w/nothing/files")
    assert there.status_code == nowhere.status_code == 404


def test_a_member_of_the_tenant_alone_does_not_learn_which_workspaces_there_are(cast: Cast) -> None:
    alone = cast.alice
    hidden = cast.app
    from portal.admin import service as admin

    with hidden.app_context():
        other = admin.open_workspace(cast.acme.slug, "secret", "Secret", cast.bob.email)
    assert alone.api.get(cast.url("quota", other)).status_code == 404
    assert alone.api.put(cast.url("quota", other), json={"limit_bytes": 5}).status_code == 404
    assert alone.browser.get(f"/t/{cast.acme.slug}/w/secret/files").status_code == 404


def test_another_tenants_workspace_under_ones_own_tenants_name_is_nothing(cast: Cast) -> None:
    assert cast.mallory.browser.get(f"/t/{cast.evil.slug}/w/press/files").status_code == 404
    assert cast.alice.browser.get(f"/t/{cast.evil.slug}/w/press/files").status_code == 404


def test_somebody_in_two_tenants_has_their_own_rights_in_each(cast: Cast) -> None:
    from portal.admin import service as admin

    with cast.app.app_context():
        admin.add_user(cast.evil.slug, cast.vera.email, TenantRole.ADMIN, None)
    me = cast.vera.api.get("/v1/me").get_json()
    assert {tenant["slug"]: tenant["role"] for tenant in me["tenants"]} == {
        cast.acme.slug: "member",
        cast.evil.slug: "admin",
    }
    assert cast.vera.api.put(cast.url("quota", cast.lair), json={"limit_bytes": None}).status_code == 200
    assert cast.vera.api.put(cast.url("quota"), json={"limit_bytes": None}).status_code == 403
    assert cast.vera.api.get(cast.url("assets", cast.lair)).status_code == 404


def test_the_switcher_offers_ones_own_places_only(cast: Cast) -> None:
    page = cast.alice.browser.get(cast.page("files")).text
    assert f"/t/{cast.acme.slug}/w/press/files" in page
    assert cast.evil.slug not in page
