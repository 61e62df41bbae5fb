"""A token never does more than its person, its scopes and its workspaces allow."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.admin import service as admin
from portal.database import db, now, transaction
from portal.identity import service as identity
from portal.identity.models import ApiToken
from portal.identity.scopes import Scope
from portal.mail.models import Email
from portal.settings import Settings
from portal.tenancy.models import Workspace, WorkspaceRole
from portal.web.access import mark_of
from tests.architecture.test_routes import NOBODYS, address, is_json, routes
from tests.support.people import Actor, Cast, Client


def client(
    cast: Cast, who: Actor, scopes: Collection[Scope] = tuple(Scope), workspaces: list[UUID] | None = None
) -> Client:
    """A client with a new token of these limits."""
    with cast.app.app_context(), transaction():
        _row, plain = identity.create_token(who.id, "limited", scopes=scopes, workspace_ids=workspaces)
    made = Client(cast.app, use_cookies=False)
    made.fixed = {"Authorization": f"Bearer {plain}"}
    return made


@pytest.fixture
def archive(cast: Cast) -> Workspace:
    """A second workspace of alice's, in the same tenant."""
    with cast.app.app_context():
        made = admin.open_workspace(cast.acme.slug, "archive", "Archive", cast.alice.email)
        db.session.expunge_all()
    return made


@pytest.fixture
def most_days(app: Flask) -> Iterator[None]:
    """An operator who allows two years."""
    before: Settings = app.extensions["portal.settings"]
    app.extensions["portal.settings"] = replace(before, token_days=730)
    yield
    app.extensions["portal.settings"] = before


def needed(app: Flask, endpoint: str, method: str) -> set[str]:
    """The scopes of which one is needed, as docs/api.md has them."""
    mark = mark_of(app.view_functions[endpoint])
    assert mark is not None
    usual = "read" if method == "GET" else "manage"
    return {usual} if mark.permission != "upload" else {"upload"} | ({"read"} if usual == "read" else set())


@pytest.mark.parametrize("scope", list(Scope))
def test_every_route_refuses_a_token_without_its_scope(app: Flask, cast: Cast, scope: Scope) -> None:
    with app.app_context():
        admin.set_member(cast.acme.slug, "press", cast.tina.email, WorkspaceRole.OWNER)
        admin.make_operator(cast.tina.email)
    limited = client(cast, cast.tina, [scope])  # may do everything, were it not for her token
    places = {"w": cast.press.id, "t": cast.acme.id, "tenant_id": cast.acme.id}
    refused = 0
    # Leaving the workspace comes last: after it the rest is foreign.
    for rule, method in sorted(routes(app), key=lambda each: each[0].endpoint == "people_api.leave"):
        if not is_json(rule) or rule.endpoint in ("openapi.document", "tenancy_api.me"):
            continue
        wanted = needed(app, rule.endpoint, method)
        answer = limited.open(address(app, rule, **places), method=method)
        missing = b'"insufficient_scope"' in answer.data
        assert missing == (scope not in wanted), (method, rule.rule, answer.status_code)
        if missing:
            refused += 1
            assert answer.status_code == 403 and answer.get_json()["scope"] in wanted
            assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert refused > 10


def test_a_workspace_that_a_token_is_not_for_is_foreign(app: Flask, cast: Cast, archive: Workspace) -> None:
    limited = client(cast, cast.alice, workspaces=[archive.id])
    for rule, method in routes(app):
        if not is_json(rule) or "w" not in rule.arguments:
            continue
        other = limited.open(address(app, rule, w=cast.press.id), method=method)
        none = limited.open(address(app, rule, w=NOBODYS), method=method)
        assert other.status_code == none.status_code == 404 and other.data == none.data, (method, rule.rule)
    assert limited.get(cast.url("quota", archive)).status_code == 200
    shown = limited.get("/v1/me").get_json()
    assert [each["id"] for each in shown["workspaces"]] == [str(archive.id)]


def test_a_token_of_some_workspaces_reaches_no_tenant_and_no_operators_page(app: Flask, cast: Cast) -> None:
    with app.app_context():
        admin.set_member(cast.acme.slug, "press", cast.tina.email, WorkspaceRole.OWNER)
        admin.make_operator(cast.tina.email)
        other = admin.open_workspace(cast.acme.slug, "board", "Board", cast.alice.email).id
    limited = client(cast, cast.tina, workspaces=[cast.press.id])
    for rule, method in routes(app):
        mark = mark_of(app.view_functions[rule.endpoint])
        if not is_json(rule) or rule.endpoint == "tenancy_api.me" or mark is None or mark.kind == "public":
            continue
        answer = limited.open(address(app, rule, t=cast.acme.id, tenant_id=cast.acme.id, w=other), method=method)
        if "w" in rule.arguments:  # she is an admin of its tenant, her token is not
            assert answer.status_code == 404, (method, rule.rule)
        else:
            assert (answer.status_code, answer.get_json()["code"]) == (403, "token_limited"), (method, rule.rule)
    assert limited.put(cast.url("quota"), json={"limit_bytes": 5000}).status_code == 200


def test_no_token_does_more_than_its_person(cast: Cast) -> None:
    viewer = client(cast, cast.vera)
    refused = viewer.post(cast.url("folders"), json={"name": "Mine"})
    assert (refused.status_code, refused.get_json()["code"]) == (403, "forbidden")
    foreign = client(cast, cast.mallory, workspaces=[cast.press.id])  # written past the service, which refuses it
    assert foreign.get(cast.url("quota")).status_code == 404


def test_a_token_for_uploads_uploads_and_looks_at_nothing_else(cast: Cast) -> None:
    sender = client(cast, cast.alice, [Scope.UPLOAD])
    begun = sender.post(
        cast.url("uploads"), json={"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 5}
    ).get_json()
    here = cast.url(f"uploads/{begun['upload_id']}")
    assert sender.get(here).status_code == 200
    assert sender.get(cast.url("assets")).get_json()["scope"] == "read"
    reader = client(cast, cast.alice, [Scope.READ])
    assert reader.get(here).status_code == 200
    assert reader.delete(here).get_json()["scope"] == "upload"
    assert sender.delete(here).status_code == 204


@pytest.mark.parametrize("scopes", [None, ["read", "upload", "manage"]])
def test_a_token_from_before_there_were_scopes_keeps_its_rights_and_its_date(
    cast: Cast, scopes: list[str] | None
) -> None:
    far = now() + timedelta(days=3000)
    with cast.app.app_context(), transaction():
        hashed = identity.hash_token(cast.alice.token)
        values = {"scopes": scopes, "workspace_ids": None, "expires_at": far}
        db.session.execute(update(ApiToken).where(ApiToken.token_hash == hashed).values(values))
    assert cast.alice.api.post(cast.url("folders"), json={"name": "Mine"}).status_code == 201
    assert cast.alice.api.get("/v1/me/tokens").get_json()["items"][0]["scopes"] == scopes


def test_an_unknown_scope_opens_nothing(cast: Cast) -> None:
    with cast.app.app_context(), transaction():
        hashed = identity.hash_token(cast.alice.token)
        db.session.execute(update(ApiToken).where(ApiToken.token_hash == hashed).values(scopes=["everything"]))
    assert cast.alice.api.get(cast.url("quota")).get_json()["code"] == "insufficient_scope"


def test_a_token_makes_no_token(cast: Cast) -> None:
    answer = cast.alice.api.post("/v1/me/tokens", json={"name": "longer"})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "proof_required")


def test_tokens_are_made_listed_and_ended_by_json(cast: Cast) -> None:
    browser = cast.alice.browser
    wanted = {"name": "Export", "days": 30, "scopes": ["read"], "workspace_ids": [str(cast.press.id)]}
    made = browser.post("/v1/me/tokens", json=wanted)
    assert made.status_code == 201
    plain = made.get_json()["token"]
    api = Client(cast.app, use_cookies=False)
    api.fixed = {"Authorization": f"Bearer {plain}"}
    assert api.get(cast.url("quota")).status_code == 200
    (listed,) = browser.get("/v1/me/tokens").get_json()["items"]
    assert (listed["scopes"], listed["workspace_ids"]) == (["read"], [str(cast.press.id)])
    assert listed["last_used_at"] is not None and "token" not in listed
    assert browser.delete(f"/v1/me/tokens/{listed['id']}").status_code == 204
    assert api.get(cast.url("quota")).status_code == 401
    refused: list[dict[str, object]] = [{"scopes": []}, {"scopes": ["root"]}, {"days": 366}, {"workspace_ids": []}]
    for bad in refused:
        assert browser.post("/v1/me/tokens", json={"name": "bad"} | bad).status_code == 422, bad
    for foreign in (str(cast.lair.id), NOBODYS):
        answer = browser.post("/v1/me/tokens", json={"name": "bad", "workspace_ids": [foreign]})
        assert (answer.status_code, answer.get_json()["field"]) == (422, "workspace_ids")


def test_the_page_makes_a_token_for_what_was_ticked(cast: Cast, archive: Workspace) -> None:
    form = {"name": "Export", "days": "7", "scopes": ["read", "upload"], "workspace_ids": [str(archive.id)]}
    assert cast.alice.browser.post("/account/tokens", data=form).status_code == 201
    page = cast.alice.browser.get("/account/tokens").text
    assert "Only in Archive" in page and "Upload files" in page
    with cast.app.app_context():
        row = db.session.scalars(select(ApiToken).where(ApiToken.user_id == cast.alice.id)).one()
    assert (row.scopes, row.workspace_ids) == (["read", "upload"], [archive.id])
    assert row.expires_at is not None and row.expires_at < now() + timedelta(days=8)


def test_its_person_gets_an_e_mail_when_one_is_made(cast: Cast) -> None:
    cast.alice.browser.post("/account/tokens", data={"name": "Export", "scopes": ["read"]})
    with cast.app.app_context():
        admin.create_token(cast.alice.email, "Shell", 5, [Scope.UPLOAD], [f"{cast.acme.slug}/press"])
        emails = list(db.session.scalars(select(Email).where(Email.recipient == cast.alice.email).order_by(Email.id)))
    assert [("Export" in each.subject, "Shell" in each.subject) for each in emails] == [(True, False), (False, True)]
    assert "Read files" in emails[0].text and "Press" in emails[1].text and "/account/tokens" in emails[1].text
    assert all("stw_" not in each.text + each.html for each in emails)


def test_a_token_lives_a_year_unless_the_operator_allows_more(cast: Cast) -> None:
    with cast.app.app_context(), transaction():
        row, _plain = identity.create_token(cast.alice.id, "usual")
        assert row.expires_at is not None
        assert timedelta(days=364) < row.expires_at - now() <= timedelta(days=365)


@pytest.mark.usefixtures("most_days")
def test_an_operator_allows_longer_tokens(cast: Cast) -> None:
    assert cast.alice.browser.post("/v1/me/tokens", json={"name": "long", "days": 730}).status_code == 201
    assert cast.alice.browser.post("/v1/me/tokens", json={"name": "long", "days": 731}).status_code == 422
