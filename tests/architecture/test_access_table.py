"""docs/access.md is what the application does: every address and method, asked by every role."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from werkzeug.test import TestResponse

from portal.web.access import mark_of
from tests.architecture.test_routes import address, is_json, marked
from tests.support import access_table
from tests.support.people import Actor, Cast

TABLE = Path(__file__).parent.parent.parent / "docs" / "access.md"
NOTHING = "There is nothing at this address"  # the refusal of the access mark; a missing file has other words


def test_the_table_is_up_to_date(app: Flask) -> None:
    assert TABLE.read_text(encoding="utf-8") == access_table.document(app), (
        "an address or a right has changed: look at it, then python -m tests.support.access_table > docs/access.md"
    )


def test_every_role_gets_what_the_table_says(app: Flask, cast: Cast) -> None:
    """Whoever may not is refused with every method; whoever may reads every page and list."""
    roles = {"viewer": cast.vera, "editor": cast.bob, "owner": cast.alice, "admin": cast.tina}
    places = {"w": cast.press.id, "t": cast.acme.id, "tenant_slug": cast.acme.slug, "workspace_slug": "press"}
    wrong = []
    for rule, method in marked(app, "member", "tenant"):
        mark = mark_of(app.view_functions[rule.endpoint])
        assert mark is not None and mark.permission is not None
        allowed = access_table.roles_with(mark.permission)
        # Where the address names no workspace, a role in one counts for nothing.
        if not rule.arguments & {"w", "workspace_slug"}:
            allowed = [role for role in allowed if role == "admin"]
        for role, actor in roles.items():
            if role in allowed and method != "GET":
                continue  # it would be done
            answer = _ask(actor, address(app, rule, **places), method, is_json(rule))
            if _is_refused(answer) == (role in allowed):
                wrong.append((role, method, rule.rule, answer.status_code))
    assert wrong == [], wrong


def _ask(actor: Actor, place: str, method: str, as_json: bool) -> TestResponse:
    client = actor.api if as_json else actor.browser
    answer = client.open(place, method=method)
    answer.get_data()  # a download keeps its request's context until it was read
    return answer


def _is_refused(answer: TestResponse) -> bool:
    return answer.status_code == 403 or (answer.status_code == 404 and NOTHING in answer.text)
