"""Every route says who may call it, and holds to it."""

from __future__ import annotations

import pytest
from flask import Flask
from werkzeug.routing import AnyConverter, Rule

from portal.web.access import mark_of
from tests.support.people import Cast, Client

NOBODYS = "00000000-0000-7000-8000-000000000000"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


def routes(app: Flask) -> list[tuple[Rule, str]]:
    found = [
        (rule, method)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    return sorted(found, key=lambda pair: (pair[0].rule, pair[1]))


def address(app: Flask, rule: Rule, **places: object) -> str:
    """The rule's address with these places, and ids that nobody has for the rest."""
    values: dict[str, object] = {name: places.get(name, NOBODYS) for name in rule.arguments}
    values |= {name: min(kind.items) for name, kind in rule._converters.items() if isinstance(kind, AnyConverter)}
    with app.test_request_context(base_url="http://localhost"):
        built = app.url_map.bind("localhost").build(rule.endpoint, values)
    return str(built)


def marked(app: Flask, *kinds: str) -> list[tuple[Rule, str]]:
    chosen = []
    for rule, method in routes(app):
        mark = mark_of(app.view_functions[rule.endpoint])
        assert mark is not None
        if mark.kind in kinds:
            chosen.append((rule, method))
    assert chosen
    return chosen


def is_json(rule: Rule) -> bool:
    return rule.rule.startswith(("/v1/", "/tus"))


def test_every_route_carries_exactly_one_mark(app: Flask) -> None:
    for rule, _ in routes(app):
        assert mark_of(app.view_functions[rule.endpoint]) is not None, rule.rule


def test_member_and_tenant_marks_name_a_place_and_a_permission(app: Flask) -> None:
    for rule, _ in marked(app, "member", "tenant"):
        mark = mark_of(app.view_functions[rule.endpoint])
        assert mark is not None and mark.permission, rule.rule
        assert rule.arguments & {"w", "t", "tenant_slug"}, rule.rule


def test_ids_in_addresses_are_typed(app: Flask) -> None:
    for rule, _ in routes(app):
        for name in rule.arguments - {"tenant_slug", "workspace_slug", "filename", "tag", "token"}:
            typed = (f"<uuid:{name}>", "<int:", f"):{name}>")  # the last is any(…): one of some words
            assert any(kind in rule.rule for kind in typed), rule.rule


def test_public_routes_are_these(app: Flask) -> None:
    assert sorted({rule.rule for rule, _ in marked(app, "public")}) == [
        "/forgot-password",
        "/healthz",
        "/help/quota",
        "/invitations/<token>",
        "/invitations/<token>/accept",
        "/invitations/<token>/sign-up",
        "/login",
        "/logout",
        "/metrics",
        "/readyz",
        "/reset-password/<token>",
        "/script-texts/<tag>.js",
        "/static/<path:filename>",
        "/v1/openapi.json",
    ]


def test_nobody_gets_nowhere_without_signing_in(app: Flask, cast: Cast) -> None:
    places = {"w": cast.press.id, "t": cast.acme.id, "tenant_slug": cast.acme.slug, "workspace_slug": "press"}
    for rule, method in marked(app, "signed_in", "operator", "tenant", "member"):
        answer = cast.nobody.open(address(app, rule, **places), method=method)
        if is_json(rule):
            assert answer.status_code == 401, (method, rule.rule, answer.status_code)
            assert answer.get_json()["code"] == "unauthenticated"
        elif method in UNSAFE:
            assert answer.status_code == 400, (method, rule.rule)  # no form of ours
        else:
            assert answer.status_code == 302, (method, rule.rule)
            assert answer.location.startswith("/login")


@pytest.mark.parametrize("way", ["token", "session"])
def test_mallory_gets_404_wherever_alice_lives(app: Flask, cast: Cast, way: str) -> None:
    client: Client = cast.mallory.api if way == "token" else cast.mallory.browser
    theirs = {"w": cast.press.id, "t": cast.acme.id, "tenant_slug": cast.acme.slug, "workspace_slug": "press"}
    missing = {"w": NOBODYS, "t": NOBODYS, "tenant_slug": "no-such", "workspace_slug": "no-such"}
    for rule, method in marked(app, "tenant", "member"):
        if way == "token" and not is_json(rule):
            continue
        foreign = client.open(address(app, rule, **theirs), method=method)
        none = client.open(address(app, rule, **missing), method=method)
        assert foreign.status_code == none.status_code == 404, (
            method,
            rule.rule,
            foreign.status_code,
            none.status_code,
        )
        if is_json(rule):
            assert foreign.data == none.data


def test_operators_only_pages_refuse_others(app: Flask, cast: Cast) -> None:
    for rule, method in routes(app):
        mark = mark_of(app.view_functions[rule.endpoint])
        if mark is not None and mark.kind == "operator":
            assert cast.alice.browser.open(address(app, rule), method=method).status_code == 403


def test_an_admin_of_the_tenant_who_is_no_member_gets_404_for_what_lies_in_a_workspace(app: Flask, cast: Cast) -> None:
    place = {"w": cast.press.id, "tenant_slug": cast.acme.slug, "workspace_slug": "press"}
    for rule, method in marked(app, "member"):
        mark = mark_of(app.view_functions[rule.endpoint])
        assert mark is not None
        if mark.permission not in ("see_quota", "manage_members", "configure_workspace"):
            answer = cast.tina.browser.open(address(app, rule, **place), method=method)
            assert answer.status_code == 404, (method, rule.rule, answer.status_code)
