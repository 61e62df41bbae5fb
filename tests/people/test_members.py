"""Members of a workspace and people of a tenant: roles, removal, disabling; each holds from the next request on."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.admin import service as admin
from portal.audit import AuditEvent
from portal.database import db, enter
from portal.events.models import Event
from portal.tenancy import people
from portal.tenancy.models import TenantRole, WorkspaceRole
from portal.web.paging import Paging
from tests.support.people import Actor, Cast

UPLOAD = {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 5}


def members(cast: Cast) -> dict[str, str]:
    with cast.app.app_context():
        enter(cast.acme.id)
        return {each.name: each.role.value for each in people.list_members(cast.press.id, Paging())[0]}


def people_url(cast: Cast, actor: Actor | None = None) -> str:
    return f"/v1/tenants/{cast.acme.id}/people" + (f"/{actor.id}" if actor else "")


def begin(cast: Cast, actor: Actor) -> Any:
    return actor.api.post(cast.url("uploads"), json=UPLOAD)


def actions(cast: Cast) -> list[str]:
    with cast.app.app_context():
        enter(cast.acme.id)
        return list(db.session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))


def test_members_are_listed_for_owners_and_admins(cast: Cast) -> None:
    for actor in (cast.alice, cast.tina):
        items = actor.api.get(cast.url("members")).get_json()["items"]
        assert [(each["name"], each["role"]) for each in items] == [
            ("Alice", "owner"),
            ("Bob", "editor"),
            ("Vera", "viewer"),
        ]
    assert items[1]["email"] == cast.bob.email and items[1]["joined_at"].endswith("Z") and not items[1]["disabled"]
    page = cast.alice.api.get(cast.url("members?limit=2")).get_json()
    rest = cast.alice.api.get(cast.url(f"members?limit=2&cursor={page['next_cursor']}")).get_json()
    assert [each["name"] for each in page["items"] + rest["items"]] == ["Alice", "Bob", "Vera"]
    assert cast.bob.api.get(cast.url("members")).status_code == 403
    assert cast.mallory.api.get(cast.url("members")).status_code == 404


def test_another_role_holds_from_the_next_request_on(cast: Cast) -> None:
    assert begin(cast, cast.bob).status_code == 201
    upload = begin(cast, cast.bob).get_json()
    assert cast.alice.api.patch(cast.url(f"members/{cast.bob.id}"), json={"role": "viewer"}).status_code == 204
    assert begin(cast, cast.bob).status_code == 403
    commit = cast.bob.api.post(cast.url(f"uploads/{upload['upload_id']}/commit"), json={})
    assert commit.status_code == 403
    quota = cast.alice.api.get(cast.url("quota")).get_json()
    assert quota["reserved_bytes"] == 0, "what the unfinished uploads reserved is free"
    assert "workspace.member_set" in actions(cast)


def test_who_is_removed_is_out_with_the_next_request_and_their_files_stay(cast: Cast) -> None:
    upload = begin(cast, cast.bob).get_json()
    assert cast.alice.api.delete(cast.url(f"members/{cast.bob.id}")).status_code == 204
    assert cast.bob.api.get(cast.url("assets")).status_code == 404
    assert cast.bob.browser.get(cast.page("files")).status_code == 404
    assert cast.bob.api.post(cast.url(f"uploads/{upload['upload_id']}/commit"), json={}).status_code == 404
    assert cast.alice.api.get(cast.url("quota")).get_json()["reserved_bytes"] == 0
    with cast.app.app_context():
        enter(cast.acme.id)
        assert "member.removed" in set(db.session.scalars(select(Event.type)))
    assert cast.alice.api.delete(cast.url(f"members/{cast.bob.id}")).status_code == 404


def test_a_workspace_is_never_without_an_owner(cast: Cast) -> None:
    calls: tuple[Callable[[], TestResponse], ...] = (
        lambda: cast.alice.api.delete(cast.url(f"members/{cast.alice.id}")),
        lambda: cast.alice.api.patch(cast.url(f"members/{cast.alice.id}"), json={"role": "viewer"}),
        lambda: cast.alice.api.post(cast.url("leave")),
        lambda: cast.tina.api.delete(people_url(cast, cast.alice)),
    )
    for call in calls:
        answer = call()
        assert answer.status_code == 409 and "only owner" in answer.get_json()["detail"]
    assert cast.alice.api.patch(cast.url(f"members/{cast.bob.id}"), json={"role": "owner"}).status_code == 204
    assert cast.alice.api.post(cast.url("leave")).status_code == 204
    assert members(cast) == {"Bob": "owner", "Vera": "viewer"}


def test_two_owners_who_leave_at_once_leave_one(cast: Cast) -> None:
    with cast.app.app_context():
        admin.set_member(cast.acme.slug, "press", cast.bob.email, WorkspaceRole.OWNER)
    statuses = at_once(
        lambda: cast.alice.api.post(cast.url("leave")).status_code,
        lambda: cast.bob.api.post(cast.url("leave")).status_code,
        tokens_of=(cast.alice, cast.bob),
    )
    assert sorted(statuses) == [204, 409]


def test_two_admins_who_remove_each_other_leave_one(cast: Cast) -> None:
    with cast.app.app_context():
        admin.add_user(cast.acme.slug, cast.mallory.email, TenantRole.ADMIN, None)
    statuses = at_once(
        lambda: cast.tina.api.delete(people_url(cast, cast.mallory)).status_code,
        lambda: cast.mallory.api.delete(people_url(cast, cast.tina)).status_code,
        tokens_of=(cast.tina, cast.mallory),
    )
    assert sorted(statuses) in ([204, 404], [204, 409]), "the second one is no member any more, or the last admin"


def at_once(*calls: Any, tokens_of: tuple[Actor, ...]) -> list[int]:
    assert all(actor.token for actor in tokens_of)  # made here: threads would race for it
    barrier, statuses = Barrier(len(calls)), []

    def run(call: Any) -> None:
        barrier.wait()
        statuses.append(call())

    threads = [Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def test_a_tenant_is_never_without_an_admin(cast: Cast) -> None:
    calls: tuple[Callable[[], TestResponse], ...] = (
        lambda: cast.tina.api.delete(people_url(cast, cast.tina)),
        lambda: cast.tina.api.patch(people_url(cast, cast.tina), json={"role": "member"}),
        lambda: cast.tina.api.patch(people_url(cast, cast.tina), json={"disabled": True}),
    )
    for call in calls:
        assert call().status_code == 409
    assert cast.tina.api.patch(people_url(cast, cast.bob), json={"role": "admin"}).status_code == 204
    assert cast.bob.api.delete(people_url(cast, cast.tina)).status_code == 204
    assert cast.tina.api.get(people_url(cast)).status_code == 404


def test_a_disabled_membership_opens_nothing_here_and_everything_elsewhere(cast: Cast) -> None:
    with cast.app.app_context():
        admin.add_user(cast.evil.slug, cast.bob.email, TenantRole.ADMIN, None)
    begin(cast, cast.bob)
    assert cast.tina.api.patch(people_url(cast, cast.bob), json={"disabled": True}).status_code == 204
    assert cast.bob.api.get(cast.url("assets")).status_code == 404
    assert cast.bob.browser.get(cast.page("files")).status_code == 404
    assert [each["slug"] for each in cast.bob.api.get("/v1/me").get_json()["tenants"]] == [cast.evil.slug]
    assert cast.bob.api.get(f"/v1/tenants/{cast.evil.id}/people").status_code == 200
    assert cast.alice.api.get(cast.url("quota")).get_json()["reserved_bytes"] == 0
    assert cast.tina.api.patch(people_url(cast, cast.bob), json={"disabled": True}).status_code == 409
    assert cast.tina.api.patch(people_url(cast, cast.bob), json={"disabled": False}).status_code == 204
    assert begin(cast, cast.bob).status_code == 201, "with the role from before"


def test_whoever_is_disabled_gets_no_mail_of_the_tenant(cast: Cast) -> None:
    with cast.app.app_context():
        admin.add_user(cast.acme.slug, cast.mallory.email, TenantRole.ADMIN, None)
        admin.set_member(cast.acme.slug, "press", cast.bob.email, WorkspaceRole.OWNER)
    for actor in (cast.mallory, cast.bob):
        assert cast.tina.api.patch(people_url(cast, actor), json={"disabled": True}).status_code == 204
    with cast.app.app_context():
        enter(cast.acme.id)
        assert [each.email for each in people.admins_of(cast.acme.id)] == [cast.tina.email]
        assert [each.email for each in people.owners_of(cast.press.id)] == [cast.alice.email]


def test_a_person_who_is_removed_from_the_tenant_is_out_of_its_workspaces(cast: Cast) -> None:
    assert cast.tina.api.delete(people_url(cast, cast.vera)).status_code == 204
    assert "Vera" not in members(cast)
    assert cast.vera.api.get("/v1/me").get_json()["tenants"] == []
    assert cast.tina.api.delete(people_url(cast, cast.vera)).status_code == 404
    assert cast.tina.api.delete(people_url(cast, cast.mallory)).status_code == 404
    assert "tenant.member_removed" in actions(cast)


def test_people_are_listed_and_found(cast: Cast) -> None:
    listed = cast.tina.api.get(people_url(cast)).get_json()["items"]
    assert [each["name"] for each in listed] == ["Alice", "Bob", "Tina", "Vera"]
    assert listed[1]["workspaces"] == [{"workspace_id": str(cast.press.id), "name": "Press", "role": "editor"}]
    for words, names in (("BO", ["Bob"]), (cast.vera.email[:8], ["Vera"]), ("%", []), ("_", [])):
        found = cast.tina.api.get(people_url(cast), query_string={"q": words}).get_json()["items"]
        assert [each["name"] for each in found] == names, words
    assert cast.alice.api.get(people_url(cast)).status_code == 403
    assert cast.mallory.api.get(people_url(cast)).status_code == 404


@pytest.mark.parametrize("body", [{}, {"role": "king"}, {"disabled": "yes"}, {"other": 1}])
def test_a_change_that_says_nothing_is_refused(cast: Cast, body: dict[str, object]) -> None:
    assert cast.tina.api.patch(people_url(cast, cast.bob), json=body).status_code == 422


def test_an_owner_works_on_the_page(cast: Cast) -> None:
    page = cast.alice.browser.get(cast.page("members")).text
    assert "Alice" in page and cast.bob.email in page and "(you)" in page and "Invite people" in page
    changed = cast.alice.browser.post(cast.page(f"members/{cast.bob.id}/role"), data={"role": "viewer"})
    assert changed.status_code == 303
    assert members(cast)["Bob"] == "viewer"
    assert cast.alice.browser.post(cast.page(f"members/{cast.bob.id}/role"), data={"role": "x"}).status_code == 422
    assert cast.alice.browser.post(cast.page(f"members/{cast.vera.id}/remove")).status_code == 303
    assert "Vera" not in members(cast)
    kept = cast.alice.browser.post(cast.page(f"members/{cast.alice.id}/remove"), follow_redirects=True)
    assert "only owner" in kept.text
    cast.alice.browser.post(cast.page(f"members/{cast.bob.id}/role"), data={"role": "owner"})
    left = cast.alice.browser.post(cast.page("leave"), follow_redirects=True)
    assert left.status_code == 200 and "You have left “Press”." in left.text


def test_an_owner_who_gives_up_the_role_lands_on_a_page_that_they_may_see(cast: Cast) -> None:
    cast.alice.browser.post(cast.page(f"members/{cast.bob.id}/role"), data={"role": "owner"})
    down = cast.alice.browser.post(cast.page(f"members/{cast.alice.id}/role"), data={"role": "viewer"})
    assert down.location == "/workspaces"


def test_an_admin_works_on_the_page(cast: Cast) -> None:
    here = f"/t/{cast.acme.slug}/people"
    page = cast.tina.browser.get(here).text
    assert "4 people belong to “Acme”." in page and cast.bob.email in page and "Press" in page
    assert cast.bob.email not in cast.tina.browser.get(f"{here}?q=vera").text
    assert "Nobody is called" in cast.tina.browser.get(f"{here}?q=zzz").text
    for act, said in (("disable", "was disabled"), ("enable", "was enabled"), ("remove", "was removed")):
        answer = cast.tina.browser.post(f"{here}/{cast.bob.id}/{act}", follow_redirects=True)
        assert answer.status_code == 200 and said in answer.text, act
    refused = cast.tina.browser.post(f"{here}/{cast.alice.id}/remove", follow_redirects=True)
    assert "only owner of Press" in refused.text
    assert cast.alice.browser.get(here).status_code == 403
    assert cast.mallory.browser.get(here).status_code == 404


def test_an_admin_who_is_no_member_manages_members_and_sees_no_files(cast: Cast) -> None:
    assert cast.tina.browser.get(cast.page("members")).status_code == 200
    assert cast.tina.browser.post(cast.page(f"members/{cast.bob.id}/role"), data={"role": "owner"}).status_code == 303
    assert cast.tina.browser.get(cast.page("files")).status_code == 404
    assert members(cast)["Bob"] == "owner"
