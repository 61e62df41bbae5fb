"""Inviting people to a workspace: by JSON and on the page, one and many, and everything that a link can be."""

from __future__ import annotations

import secrets
from datetime import timedelta
from threading import Barrier, Thread
from uuid import UUID

import pytest
from sqlalchemy import select, update

from portal.audit import AuditEvent
from portal.database import db, enter, now, transaction
from portal.events.models import Event
from portal.people.forms import split_addresses
from portal.people.models import Invitation
from tests.people.conftest import Mailbox
from tests.support.people import Browser, Cast

NEW = {"name": "Nina", "password": "several words of hers", "again": "several words of hers"}


def address() -> str:
    return f"nina-{secrets.token_hex(4)}@stowage.example"


def role_of(cast: Cast, email: str) -> str | None:
    members = cast.alice.api.get(cast.url("members")).get_json()["items"]
    return next((each["role"] for each in members if each["email"] == email), None)


def change(cast: Cast, invitation_id: UUID, **values: object) -> None:
    with cast.app.app_context(), transaction(cast.acme.id):
        db.session.execute(update(Invitation).where(Invitation.id == invitation_id).values(values))


def test_somebody_without_an_account_joins_by_the_link(cast: Cast, mailbox: Mailbox) -> None:
    email = address()
    _id, link = mailbox.invite(email.upper().replace("@STOWAGE.EXAMPLE", "@Stowage.Example"), "viewer")
    invitation = mailbox.newest(email)
    assert invitation.subject == "Alice invites you to Press"
    browser = Browser(cast.app)
    page = browser.get(link)
    assert page.status_code == 200 and email in page.text and "Your role: Viewer." in page.text
    browser.sign_in("nobody")  # the form's token, without a session of anybody
    joined = browser.post(f"{link}/sign-up", data=NEW)
    assert joined.status_code == 303, joined.text
    assert joined.location == cast.page("files")
    assert browser.get(joined.location).status_code == 200
    assert role_of(cast, email) == "viewer"
    assert browser.get(cast.page("members")).status_code == 403


def test_somebody_with_an_account_joins_another_tenant(cast: Cast, mailbox: Mailbox) -> None:
    _id, link = mailbox.invite(cast.mallory.email)
    anonymous = cast.nobody.get(link)
    assert f"Log in as {cast.mallory.email}" in anonymous.text and "password" not in anonymous.text
    assert cast.mallory.browser.post(f"{link}/accept").location == cast.page("files")
    assert role_of(cast, cast.mallory.email) == "editor"
    assert cast.mallory.api.get(cast.url("assets")).status_code == 200


def test_an_invitation_is_bound_to_its_address(cast: Cast, mailbox: Mailbox) -> None:
    email = address()
    _id, link = mailbox.invite(email)
    page = cast.mallory.browser.get(link)
    assert page.status_code == 200 and f"is for {email}" in page.text
    refused = cast.mallory.browser.post(f"{link}/accept")
    assert refused.status_code == 409
    assert cast.mallory.api.get(cast.url("assets")).status_code == 404


def test_a_link_is_used_once(cast: Cast, mailbox: Mailbox) -> None:
    _id, link = mailbox.invite(cast.mallory.email)
    cast.mallory.browser.post(f"{link}/accept")
    again = cast.mallory.browser.get(link)
    assert again.status_code == 409 and "used already" in again.text
    assert cast.mallory.browser.post(f"{link}/accept").status_code == 409


def test_revoked_expired_and_forged_links_say_what_to_do(cast: Cast, mailbox: Mailbox) -> None:
    revoked, link = mailbox.invite(address())
    assert cast.alice.api.delete(cast.url(f"invitations/{revoked}")).status_code == 204
    answer = cast.nobody.get(link)
    assert answer.status_code == 409 and "was revoked" in answer.text and "Someone was faster" not in answer.text
    expired, link = mailbox.invite(address())
    change(cast, expired, expires_at=now() - timedelta(seconds=1))
    answer = cast.nobody.get(link)
    assert answer.status_code == 409 and "has expired" in answer.text
    browser = Browser(cast.app)
    browser.get(link)
    browser.sign_in("nobody")
    assert browser.post(f"{link}/sign-up", data=NEW).status_code == 409
    forged = cast.nobody.get("/invitations/" + secrets.token_urlsafe(32))
    assert forged.status_code == 404 and "not valid" in forged.text


def test_sending_again_replaces_the_link(cast: Cast, mailbox: Mailbox) -> None:
    email = address()
    invitation, old = mailbox.invite(email)
    assert cast.alice.api.post(cast.url(f"invitations/{invitation}/resend")).status_code == 200
    assert mailbox.deliver() == 1
    new = mailbox.link(email)
    assert new != old
    assert cast.nobody.get(old).status_code == 404
    assert cast.nobody.get(new).status_code == 200


def test_a_weak_password_is_refused_at_its_field_and_nothing_is_half_done(cast: Cast, mailbox: Mailbox) -> None:
    email = address()
    _id, link = mailbox.invite(email)
    browser = Browser(cast.app)
    browser.get(link)
    browser.sign_in("nobody")
    for wrong in (
        {**NEW, "password": "12345678", "again": "12345678"},
        {**NEW, "again": "another one altogether"},
        {**NEW, "name": "Ni\u202ena"},
        {**NEW, "name": "x" * 10_000},
        {**NEW, "name": ""},
    ):
        refused = browser.post(f"{link}/sign-up", data=wrong)
        assert refused.status_code == 422 and "is-invalid" in refused.text
    assert role_of(cast, email) is None
    assert browser.post(f"{link}/sign-up", data=NEW).status_code == 303


def test_who_is_invited_already_or_a_member_is_a_conflict(cast: Cast, mailbox: Mailbox) -> None:
    email = address()
    mailbox.invite(email)
    for taken in (email, email.upper(), cast.bob.email):
        answer = cast.alice.api.post(cast.url("invitations"), json={"email": taken, "role": "viewer"})
        assert answer.status_code == 409, taken
    plus = email.replace("@", "+team@")
    assert cast.alice.api.post(cast.url("invitations"), json={"email": plus, "role": "viewer"}).status_code == 201


def test_an_expired_invitation_makes_room_for_another(cast: Cast, mailbox: Mailbox) -> None:
    email = address()
    invitation, _link = mailbox.invite(email)
    change(cast, invitation, expires_at=now() - timedelta(seconds=1))
    (listed,) = cast.alice.api.get(cast.url("invitations")).get_json()["items"]
    assert (listed["email"], listed["state"]) == (email, "expired")
    mailbox.invite(email)


def test_somebody_who_was_removed_can_be_invited_again(cast: Cast, mailbox: Mailbox) -> None:
    assert cast.alice.api.delete(cast.url(f"members/{cast.bob.id}")).status_code == 204
    assert role_of(cast, cast.bob.email) is None
    _id, link = mailbox.invite(cast.bob.email, "viewer")
    assert cast.bob.browser.post(f"{link}/accept").status_code == 303
    assert role_of(cast, cast.bob.email) == "viewer"


def test_a_list_has_a_result_for_each(cast: Cast, mailbox: Mailbox) -> None:
    good, other = address(), address()
    emails = [good, "not an address", cast.vera.email, good, other]
    body = {"items": [{"email": each, "role": "viewer"} for each in emails]}
    answer = cast.alice.api.post(cast.url("invitations/batch"), json=body)
    assert answer.status_code == 200
    items = answer.get_json()["items"]
    assert [each.get("email") or each["code"] for each in items] == [good, "invalid", "conflict", "conflict", other]
    assert mailbox.deliver() == 2
    with cast.app.app_context():
        enter(cast.acme.id)
        types = list(db.session.scalars(select(Event.type).where(Event.tenant_id == cast.acme.id)))
        actions = select(AuditEvent.facts).where(AuditEvent.action == "invitation.created")
        (facts,) = db.session.scalars(actions)
    assert types.count("member.invited") == 2
    assert facts["count"] == 2 and good in facts["email"]


def test_ten_thousand_are_invited_in_one_request(cast: Cast) -> None:
    mark = secrets.token_hex(4)
    items = [{"email": f"p{n}-{mark}@x.example", "role": "viewer"} for n in range(10_000)]
    answer = cast.alice.api.post(cast.url("invitations/batch"), json={"items": items})
    assert answer.status_code == 200
    assert sum(each.get("state") == "pending" for each in answer.get_json()["items"]) == 10_000
    too_many = cast.alice.api.post(cast.url("invitations/batch"), json={"items": [*items, items[0]]})
    assert too_many.status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"email": "x", "role": "viewer"},
        {"email": "a@x.example", "role": "king"},
        {"email": "a@x.example", "role": "viewer", "expires_in_days": 0},
        {"email": "a@x.example", "role": "viewer", "expires_in_days": 91},
        {"email": "a\u202e@x.example", "role": "viewer"},
        {"role": "viewer"},
    ],
)
def test_what_is_wrong_with_an_invitation_is_said(cast: Cast, body: dict[str, object]) -> None:
    answer = cast.alice.api.post(cast.url("invitations"), json=body)
    assert answer.status_code == 422 and answer.get_json()["field"]


def test_two_who_invite_the_same_address_at_once_make_one_invitation(cast: Cast) -> None:
    email, barrier, statuses = address(), Barrier(2), []

    def invite() -> None:
        api = cast.alice.api
        barrier.wait()
        statuses.append(api.post(cast.url("invitations"), json={"email": email, "role": "viewer"}).status_code)

    threads = [Thread(target=invite) for _ in range(2)]
    assert cast.alice.token
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 409]


@pytest.mark.parametrize(
    ("name", "status"), [("alice", 201), ("tina", 201), ("bob", 403), ("vera", 403), ("mallory", 404)]
)
def test_owners_and_admins_invite(cast: Cast, name: str, status: int) -> None:
    body = {"email": address(), "role": "viewer"}
    assert getattr(cast, name).api.post(cast.url("invitations"), json=body).status_code == status


def test_the_page_shows_what_became_of_a_pasted_list(cast: Cast, mailbox: Mailbox) -> None:
    email = address()
    pasted = f"Nina <{email}>; {cast.bob.email}\nnonsense"
    answer = cast.alice.browser.post(
        cast.page("members/invite"), data={"addresses": pasted, "role": "viewer", "days": "7"}
    )
    assert answer.status_code == 200
    assert "One person was invited." in answer.text and "nonsense: " in answer.text
    assert f"{cast.bob.email}: This person is a member" in answer.text
    assert email in cast.alice.browser.get(cast.page("members")).text
    for wrong in ({"addresses": ""}, {"days": "0"}, {"days": "x"}, {"role": "king"}):
        data = {"addresses": address(), "role": "viewer", "days": "7", **wrong}
        assert cast.alice.browser.post(cast.page("members/invite"), data=data).status_code == 422, wrong


def test_the_page_sends_again_and_revokes(cast: Cast, mailbox: Mailbox) -> None:
    invitation, _link = mailbox.invite(address())
    assert cast.alice.browser.post(cast.page(f"invitations/{invitation}/resend")).status_code == 303
    assert mailbox.deliver() == 1
    assert cast.alice.browser.post(cast.page(f"invitations/{invitation}/revoke")).status_code == 303
    again = cast.alice.browser.post(cast.page(f"invitations/{invitation}/revoke"), follow_redirects=True)
    assert "accepted or revoked already" in again.text
    assert cast.mallory.browser.post(cast.page(f"invitations/{invitation}/revoke")).status_code == 404


def test_a_disabled_person_can_not_come_back_by_an_invitation(cast: Cast, mailbox: Mailbox) -> None:
    people = f"/v1/tenants/{cast.acme.id}/people"
    assert cast.alice.api.delete(cast.url(f"members/{cast.bob.id}")).status_code == 204
    _id, link = mailbox.invite(cast.bob.email)
    assert cast.tina.api.patch(f"{people}/{cast.bob.id}", json={"disabled": True}).status_code == 204
    refused = cast.bob.browser.post(f"{link}/accept")
    assert refused.status_code == 409 and "disabled" in refused.text
    other = cast.alice.api.post(cast.url("invitations"), json={"email": cast.bob.email, "role": "viewer"})
    assert other.status_code == 409


def test_the_token_is_in_no_log(cast: Cast, mailbox: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    _id, link = mailbox.invite(address())
    with caplog.at_level("DEBUG"):
        cast.nobody.get(link)
    assert cast.nobody.get(link).headers["Cache-Control"] == "no-store"
    assert "GET /invitations/…" in caplog.text
    assert link.rpartition("/")[2] not in caplog.text


def test_addresses_are_split_as_people_paste_them() -> None:
    assert split_addresses("") == []
    assert split_addresses('"Bee, Ann" <ann@x.example>') == ['"Bee', "ann@x.example"]
    assert split_addresses("a@x.example,b@x.example c@x.example\r\n\n d@x.example ;") == [
        "a@x.example",
        "b@x.example",
        "c@x.example",
        "d@x.example",
    ]


def test_the_password_that_was_chosen_logs_in(cast: Cast, mailbox: Mailbox) -> None:
    email = address()
    _id, link = mailbox.invite(email)
    browser = Browser(cast.app)
    browser.get(link)
    browser.sign_in("nobody")
    browser.post(f"{link}/sign-up", data=NEW)
    fresh = Browser(cast.app)
    fresh.get("/login")
    fresh.sign_in("nobody")
    assert fresh.post("/login", data={"email": email, "password": NEW["password"]}).status_code == 302
