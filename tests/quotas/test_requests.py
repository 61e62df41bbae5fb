"""A member asks for more space, an admin answers, both hear of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from portal.audit import AuditEvent
from portal.database import db, enter
from portal.mail.models import Email
from portal.quotas import limits, requests
from tests.support.people import Actor, Cast

GB = 1 << 30
ASK = "more-space"


def ask(cast: Cast, actor: Actor | None = None, **data: Any) -> Any:
    return (actor or cast.bob).browser.post(cast.page(ASK), data={"wanted": str(10 * GB), "note": "The film", **data})


def waiting(cast: Cast) -> list[requests.RequestDetails]:
    with cast.app.app_context():
        enter(cast.acme.id)
        return requests.list_open(cast.acme.id)


def answer(cast: Cast, request_id: UUID, how: str, actor: Actor | None = None) -> Any:
    return (actor or cast.tina).browser.post(f"/t/{cast.acme.slug}/quotas/requests/{request_id}/{how}")


def letters(cast: Cast, actor: Actor) -> list[Email]:
    with cast.app.app_context():
        return list(db.session.scalars(select(Email).where(Email.recipient == actor.email).order_by(Email.id)))


def limit(cast: Cast, size: int | None) -> None:
    with cast.app.app_context():
        limits.set_limit(cast.acme.id, cast.press.id, None, size)


def limit_now(cast: Cast) -> Any:
    return cast.tina.api.get(cast.url("quota")).get_json()["limit_bytes"]


def test_a_member_asks_and_an_admin_gives_with_one_click(cast: Cast) -> None:
    limit(cast, 5 * GB)
    assert "Send request" in cast.bob.browser.get(cast.page(ASK)).text
    assert ask(cast).status_code == 303
    (asked,) = waiting(cast)
    assert (asked.user_name, asked.requested_bytes, asked.note) == ("Bob", 10 * GB, "The film")
    (letter,) = letters(cast, cast.tina)
    assert "Bob" in letter.subject and "The film" in letter.text
    page = cast.tina.browser.get(f"/t/{cast.acme.slug}/quotas").text
    assert "Approve 10 GB" in page and "The film" in page
    assert answer(cast, asked.id, "grant").status_code == 303
    assert (limit_now(cast), waiting(cast)) == (15 * GB, [])
    (told,) = letters(cast, cast.bob)
    assert told.template == "quota_answer" and "Tina" in told.text
    with cast.app.app_context():
        enter(cast.acme.id)
        actions = set(db.session.scalars(select(AuditEvent.action).where(AuditEvent.action.like("quota.%"))))
    assert {"quota.requested", "quota.request_granted", "quota.limit_set"} <= actions


def test_an_admin_may_decline_and_nothing_changes(cast: Cast) -> None:
    limit(cast, 5 * GB)
    ask(cast)
    assert answer(cast, waiting(cast)[0].id, "decline").status_code == 303
    assert (limit_now(cast), waiting(cast)) == (5 * GB, [])
    assert letters(cast, cast.bob)[0].template == "quota_answer"
    assert ask(cast).status_code == 303  # and may ask again


def test_of_two_admins_one_answers_and_the_other_is_told(cast: Cast) -> None:
    limit(cast, 5 * GB)
    ask(cast)
    request_id = waiting(cast)[0].id
    assert answer(cast, request_id, "grant").status_code == 303
    for how in ("grant", "decline"):
        late = answer(cast, request_id, how)
        assert (late.status_code, "answered this request already" in late.text) == (409, True)
    assert limit_now(cast) == 15 * GB
    assert len(letters(cast, cast.bob)) == 1


def test_a_workspace_asks_once_at_a_time(cast: Cast) -> None:
    assert ask(cast).status_code == 303
    assert ask(cast, cast.alice).status_code == 409
    assert "The request waits for an answer" in cast.alice.browser.get(cast.page(ASK)).text
    assert len(letters(cast, cast.tina)) == 1


def test_without_a_limit_of_its_own_there_is_nothing_to_raise(cast: Cast) -> None:
    ask(cast)
    request_id = waiting(cast)[0].id
    assert "Approve 10 GB" not in cast.tina.browser.get(f"/t/{cast.acme.slug}/quotas").text
    assert answer(cast, request_id, "grant").status_code == 409
    assert len(waiting(cast)) == 1


def test_who_may_not(cast: Cast) -> None:
    assert ask(cast, cast.vera).status_code == 403
    assert ask(cast, cast.mallory).status_code == 404
    ask(cast)
    request_id = waiting(cast)[0].id
    assert answer(cast, request_id, "grant", cast.alice).status_code == 403
    assert answer(cast, request_id, "grant", cast.mallory).status_code == 404
    theirs = f"/t/{cast.evil.slug}/quotas/requests/{request_id}/grant"
    assert cast.mallory.browser.post(theirs).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"), [("wanted", ""), ("wanted", "0"), ("wanted", "-1"), ("wanted", "9999 PB"), ("note", "x" * 1001)]
)
def test_a_bad_request_is_refused(cast: Cast, field: str, value: str) -> None:
    assert ask(cast, cast.bob, **{field: value}).status_code == 422
    assert waiting(cast) == []


def test_a_refused_request_keeps_what_was_entered(cast: Cast) -> None:
    page = ask(cast, cast.bob, wanted=str(50 * GB), note="The film. " * 101).text
    assert "The film. The film." in page and 'role="alert"' in page
    assert f'value="{50 * GB}" checked' in page


def test_line_breaks_of_a_form_count_once(cast: Cast) -> None:
    assert ask(cast, cast.bob, note="x\r\n" * 400).status_code == 303


def test_owners_see_the_warning_until_they_hide_it_and_again_when_it_gets_worse(cast: Cast) -> None:
    from tests.quotas.test_warnings import hold

    limit(cast, 1000)
    files = cast.page("files")
    hold(cast, 800)
    assert "This workspace is 80% full." in cast.alice.browser.get(files).text
    assert "quota-banner" not in cast.vera.browser.get(files).text
    assert cast.alice.browser.post(cast.page("quota/hide")).status_code == 303
    assert "quota-banner" not in cast.alice.browser.get(files).text
    hold(cast, 100)
    assert "This workspace is 90% full." in cast.alice.browser.get(files).text


def test_every_member_sees_how_full_it_is_and_asks_for_that_part_alone(cast: Cast) -> None:
    from tests.quotas.test_warnings import hold

    limit(cast, 1000)
    hold(cast, 800)
    part = cast.vera.browser.get(cast.page("quota"), headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert part.text.strip().startswith('<div class="side-foot"')
    assert "80%" in part.text
    assert part.text.strip() in cast.vera.browser.get(cast.page("files")).text
    assert "Ask for more space" not in part.text  # she may not upload
    assert "Ask for more space" in cast.bob.browser.get(cast.page("quota")).text
    assert cast.mallory.browser.get(cast.page("quota")).status_code == 404
