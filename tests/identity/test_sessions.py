"""Sessions that can be ended: by logging out, from another device, by another password, by time, by being blocked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update

from portal.database import db, now, transaction
from portal.identity import service, sessions
from portal.identity.models import Session
from tests.identity.test_login import form_token, log_in
from tests.support.people import PASSWORD, Actor, Browser, Cast, Client


def rows(cast: Cast, actor: Actor) -> list[Any]:
    with cast.app.app_context():
        asked = select(Session.id, Session.ended_at, Session.device, Session.address, Session.secret_hash)
        return list(db.session.execute(asked.where(Session.user_id == actor.id).order_by(Session.id)))


def change(cast: Cast, actor: Actor, **values: Any) -> None:
    with cast.app.app_context(), transaction():
        db.session.execute(update(Session).where(Session.user_id == actor.id).values(values))


def goes_on(browser: Client) -> bool:
    status = browser.get("/account").status_code
    assert status in (200, 302)
    return status == 200


def cookie_of(client: Client) -> str:
    cookie = client.get_cookie("stowage_session", domain="localhost")
    assert cookie
    return cookie.value


def test_a_cookie_that_was_copied_before_logout_is_worth_nothing_after_it(cast: Cast) -> None:
    client = cast.nobody
    log_in(client, cast.alice.email, remember="y")
    thief = cast.nobody
    for name in ("stowage_session", "stowage_remember"):
        cookie = client.get_cookie(name, domain="localhost")
        assert cookie
        thief.set_cookie(name, cookie.value, domain="localhost")
    assert goes_on(thief)
    token = form_token(client.get("/account"))
    assert client.post("/logout", data={"csrf_token": token}).status_code == 302
    assert not goes_on(client)
    assert not goes_on(thief)


def test_being_remembered_survives_the_cookie_of_the_session(cast: Cast) -> None:
    client = cast.nobody
    log_in(client, cast.alice.email, remember="y")
    client.delete_cookie("stowage_session", domain="localhost")
    assert goes_on(client)
    assert len(rows(cast, cast.alice)) == 1


def test_the_row_knows_the_device_and_no_secret(cast: Cast) -> None:
    client = cast.nobody
    token = form_token(client.get("/login"))
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    data = {"email": cast.alice.email, "password": PASSWORD, "csrf_token": token}
    client.post("/login", data=data, headers={"User-Agent": agent})
    ((_id, _ended, device, address, secret_hash),) = rows(cast, cast.alice)
    assert (device, address) == ("Firefox on Windows", "127.0.0.1")
    assert secret_hash not in cookie_of(client) and len(secret_hash) == 64


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1 Version/17.5 Safari/605.1", "Safari on macOS"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537 Chrome/140.0 Mobile Safari/537", "Chrome on Android"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/140.0 Safari/537 Edg/140.0", "Edge on Windows"),
        ("curl/8.0", ""),
        ("", ""),
    ],
)
def test_a_device_is_told_in_a_few_words(agent: str, words: str) -> None:
    assert sessions.device_of(agent) == words


def test_another_device_is_logged_out_from_this_one(cast: Cast) -> None:
    here, there = cast.alice.browser, cast.alice.another_browser()
    page = here.get("/account").text
    assert page.count("Firefox on Linux") >= 2 and "This one" in page
    (_here, other) = [row.id for row in rows(cast, cast.alice)]
    assert here.post(f"/account/sessions/{other}/end").status_code == 303
    assert goes_on(here) and not goes_on(there)
    assert here.post(f"/account/sessions/{other}/end").status_code == 404  # over is over


def test_everywhere_else_is_everywhere_but_here(cast: Cast) -> None:
    here, others = cast.alice.browser, [cast.alice.another_browser() for _ in range(3)]
    bystander = cast.bob.browser
    assert here.post("/account/sessions/end-others").status_code == 303
    assert goes_on(here) and goes_on(bystander)
    assert not any(goes_on(other) for other in others)


def test_mallory_ends_nobody_elses_session(cast: Cast) -> None:
    assert goes_on(cast.alice.browser)
    (row,) = rows(cast, cast.alice)
    missing = UUID(int=row.id.int ^ 1)
    answers = [cast.mallory.browser.post(f"/account/sessions/{each}/end").status_code for each in (row.id, missing)]
    assert answers == [404, 404]
    assert goes_on(cast.alice.browser)


def change_password(browser: Browser, **changed: str) -> Any:
    form = {"current": PASSWORD, "password": "another good one", "again": "another good one"} | changed
    return browser.post("/account/password", data=form)


def test_another_password_ends_every_other_session(cast: Cast) -> None:
    here, there = cast.alice.browser, cast.alice.another_browser()
    assert change_password(here).status_code == 303
    assert goes_on(here) and not goes_on(there)
    assert log_in(cast.nobody, cast.alice.email).status_code == 200
    assert log_in(cast.nobody, cast.alice.email, "another good one").status_code == 302


@pytest.mark.parametrize(
    "changed",
    [
        {"current": "guessed"},
        {"password": "short", "again": "short"},
        {"again": "something else"},
        {"password": "x" * 129, "again": "x" * 129},
        {"current": "nul\0inside"},
        {"password": "nul\0inside here", "again": "nul\0inside here"},
    ],
)
def test_a_password_is_changed_by_who_knows_it_and_for_one_that_may_be_one(cast: Cast, changed: dict[str, str]) -> None:
    there = cast.alice.another_browser()
    answer = change_password(cast.alice.browser, **changed)
    assert answer.status_code == 422 and "invalid-feedback" in answer.text
    assert goes_on(there)


def test_guessing_the_password_of_a_session_left_open_is_limited(cast: Cast) -> None:
    answers = [change_password(cast.alice.browser, current="guess").status_code for _ in range(11)]
    assert answers == [422] * 10 + [429]


def test_a_session_ends_without_use_and_thirty_days_after_the_login(cast: Cast) -> None:
    assert goes_on(cast.alice.browser) and goes_on(cast.bob.browser)
    change(cast, cast.alice, last_seen_at=now() - timedelta(days=7, seconds=1))
    change(cast, cast.bob, created_at=now() - timedelta(days=30, seconds=1))
    assert not goes_on(cast.alice.browser) and not goes_on(cast.bob.browser)


def test_use_is_noted_every_few_minutes_and_no_more_often(cast: Cast) -> None:
    def seen() -> Any:
        with cast.app.app_context():
            return db.session.scalar(select(Session.last_seen_at).where(Session.user_id == cast.alice.id))

    assert goes_on(cast.alice.browser)
    just_now, earlier = now() - timedelta(minutes=4), now() - timedelta(minutes=6)
    change(cast, cast.alice, last_seen_at=just_now)
    assert goes_on(cast.alice.browser) and seen() == just_now
    change(cast, cast.alice, last_seen_at=earlier)
    assert goes_on(cast.alice.browser) and seen() > now() - timedelta(minutes=1)
    assert rows(cast, cast.alice)[0].address == "127.0.0.1"


def test_who_is_blocked_is_logged_out_and_stays_so(cast: Cast) -> None:
    assert goes_on(cast.bob.browser)
    with cast.app.app_context(), transaction():
        service.block(cast.bob.id, cast.alice.id)
    assert not goes_on(cast.bob.browser)
    with cast.app.app_context(), transaction():
        service.unblock(cast.bob.id, cast.alice.id)
    assert not goes_on(cast.bob.browser)


def test_a_login_with_a_password_that_changes_at_that_moment_begins_no_session(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands = service.stands

    def change_before(user_id: UUID, hashed: str | None) -> bool:
        with ThreadPoolExecutor(1) as another:
            assert another.submit(lambda: change_password(cast.alice.browser).status_code).result() == 303
        return stands(user_id, hashed)

    monkeypatch.setattr(service, "stands", change_before)
    client = cast.nobody
    log_in(client, cast.alice.email)
    assert not goes_on(client)
    assert len(rows(cast, cast.alice)) == 1  # of the browser that changed it
    monkeypatch.setattr(service, "stands", stands)
    assert log_in(client, cast.alice.email, "another good one").status_code == 302
    assert goes_on(client)


def test_what_ended_long_ago_is_forgotten(cast: Cast, app: Flask) -> None:
    actors = (cast.alice, cast.bob, cast.vera, cast.tina)
    assert all(goes_on(actor.browser) for actor in actors)
    change(cast, cast.alice, ended_at=now() - timedelta(days=31))
    change(cast, cast.bob, last_seen_at=now() - timedelta(days=38))
    change(cast, cast.vera, ended_at=now() - timedelta(days=29))
    with app.app_context():
        assert "ended more than 30 days ago" in sessions.forget().english
        assert db.session.scalar(select(func.count()).select_from(Session).where(text("ended_at < now()"))) is not None
    assert [len(rows(cast, actor)) for actor in actors] == [0, 0, 1, 1]


def test_what_a_cookie_named_before_is_no_session(cast: Cast) -> None:
    with cast.app.app_context():
        uniquifier = db.session.scalar(text("SELECT fs_uniquifier FROM users WHERE id = :id"), {"id": cast.alice.id})
    assert not goes_on(Browser(cast.app).sign_in(uniquifier))


@pytest.mark.parametrize("part", ["whole", "capitals", "name"])
def test_ones_own_address_is_no_password(cast: Cast, part: str) -> None:
    email = cast.alice.email
    password = {"whole": email, "capitals": f" {email.upper()}", "name": email.partition("@")[0]}[part]
    answer = change_password(cast.alice.browser, password=password, again=password)
    assert answer.status_code == 422 and "can&#39;t be your password" in answer.text
