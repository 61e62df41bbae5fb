"""Where a release needs two persons, one alone can't make the rules looser, the rule of two persons least of all."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text

from portal.audit import AuditEvent
from portal.database import db, enter
from portal.mail.models import Email
from tests.quarantine.test_policy import DEFAULTS, url
from tests.support.people import Actor, Cast
from tests.support.quarantine import make_admin

STRICT = DEFAULTS | {"macros": "hold", "scanner_required": True, "two_persons": True}


@pytest.fixture
def bob(cast: Cast) -> Actor:
    """A second admin; release needs two persons."""
    put(cast, cast.tina, STRICT)
    return make_admin(cast, cast.bob)


def put(cast: Cast, actor: Actor, rules: dict[str, Any], status: int = 200) -> Any:
    answer = actor.api.put(url(cast), json={name: value for name, value in rules.items() if name != "pending"})
    assert answer.status_code == status, answer.text
    return answer.get_json()


def answer(cast: Cast, actor: Actor, what: str, at: Any) -> int:
    return actor.api.post(f"{url(cast)}/{what}", json={"at": at}).status_code


def acts(cast: Cast) -> list[str]:
    with cast.app.app_context():
        enter(cast.acme.id)
        asked = select(AuditEvent.action).where(AuditEvent.action.startswith("scan_policy."))
        return list(db.session.scalars(asked.order_by(AuditEvent.id)))


LOOSER = [
    {"two_persons": False},
    {"release_infected": True},
    {"encrypted": "release"},
    {"scanner_required": False},
    {"two_persons": False, "unscannable": "release", "too_large": "hold"},
]


@pytest.mark.parametrize("change", LOOSER)
def test_a_looser_rule_waits_until_another_admin_confirms_it(cast: Cast, bob: Actor, change: dict[str, Any]) -> None:
    told = put(cast, cast.tina, STRICT | change)
    pending = told.pop("pending")
    assert {**told, "pending": None} == STRICT
    really = {name: value for name, value in change.items() if STRICT[name] != value}
    assert (pending["changes"], pending["by"]) == (really, str(cast.tina.id))
    assert answer(cast, cast.tina, "confirm", pending["at"]) == 403
    assert cast.tina.api.get(url(cast)).get_json()["two_persons"] is True
    assert answer(cast, bob, "confirm", pending["at"]) == 200
    assert bob.api.get(url(cast)).get_json() == STRICT | change
    assert answer(cast, bob, "confirm", pending["at"]) == 409
    assert acts(cast) == ["scan_policy.changed", "scan_policy.proposed", "scan_policy.changed"]


def test_the_other_admins_get_a_letter_and_the_page_asks_them(cast: Cast, bob: Actor) -> None:
    put(cast, cast.tina, STRICT | {"two_persons": False})
    with cast.app.app_context():
        letters = list(db.session.scalars(select(Email.recipient).where(text("template = 'rules_proposed'"))))
    assert bob.email in letters and cast.tina.email not in letters
    address = f"/t/{cast.acme.slug}/scan-policy"
    mine, theirs = cast.tina.browser.get(address).text, bob.browser.get(address).text
    assert "Withdraw" in mine and 'value="confirm"' not in mine
    assert 'value="confirm"' in theirs and "Releases need two people" in theirs
    at = theirs.split('name="at" value="')[1].split('"')[0]
    assert bob.browser.post(f"{address}/answer", data={"at": at, "answer": "confirm"}).status_code == 303
    assert bob.api.get(url(cast)).get_json()["two_persons"] is False


def test_stricter_rules_hold_at_once_and_answer_what_waited(cast: Cast, bob: Actor) -> None:
    waits = put(cast, cast.tina, STRICT | {"two_persons": False})["pending"]
    assert put(cast, bob, STRICT | {"macros": "hold"}) == STRICT
    assert answer(cast, bob, "confirm", waits["at"]) == 409
    assert cast.tina.api.get(url(cast)).get_json()["two_persons"] is True


def test_what_was_exchanged_meanwhile_is_not_confirmed_unseen(cast: Cast, bob: Actor) -> None:
    harmless = put(cast, cast.tina, STRICT | {"macros": "release"})["pending"]
    put(cast, cast.tina, STRICT | {"two_persons": False})
    assert answer(cast, bob, "confirm", harmless["at"]) == 409
    assert cast.tina.api.get(url(cast)).get_json()["two_persons"] is True


def test_what_waits_can_be_dropped_by_either(cast: Cast, bob: Actor) -> None:
    for actor in (cast.tina, bob):
        waits = put(cast, cast.tina, STRICT | {"two_persons": False})["pending"]
        assert answer(cast, actor, "withdraw", waits["at"]) == 200
        assert answer(cast, bob, "confirm", waits["at"]) == 409
    assert acts(cast)[-1] == "scan_policy.withdrawn"


def test_an_only_admin_is_told_what_to_do(cast: Cast) -> None:
    put(cast, cast.tina, STRICT)
    refused = put(cast, cast.tina, STRICT | {"two_persons": False}, 409)
    assert "second administrator" in refused["detail"]
    assert cast.tina.api.get(url(cast)).get_json() == STRICT


def test_without_the_rule_one_admin_decides(cast: Cast) -> None:
    assert put(cast, cast.tina, DEFAULTS | {"release_infected": True})["release_infected"] is True


def test_who_is_no_admin_answers_nothing(cast: Cast, bob: Actor) -> None:
    waits = put(cast, bob, STRICT | {"two_persons": False})["pending"]
    for what in ("confirm", "withdraw"):
        assert answer(cast, cast.alice, what, waits["at"]) == 403
        assert answer(cast, cast.mallory, what, waits["at"]) == 404
        assert answer(cast, cast.tina, what, "yesterday") == 422
    assert cast.tina.browser.post(f"/t/{cast.acme.slug}/scan-policy/answer", data={"at": "x"}).status_code == 422
