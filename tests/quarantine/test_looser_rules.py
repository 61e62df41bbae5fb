"""Where a release needs two persons, one admin alone can't make the rules looser."""

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
    rules = put(cast, cast.tina, STRICT | change)
    pending = rules.pop("pending")
    assert {**rules, "pending": None} == STRICT
    really = {name: value for name, value in change.items() if STRICT[name] != value}
    assert (pending["changes"], pending["by"]) == (really, str(cast.tina.id))
    assert answer(cast, cast.tina, "confirm", pending["at"]) == 403
    assert cast.tina.api.get(url(cast)).get_json()["two_persons"] is True
    assert answer(cast, bob, "confirm", pending["at"]) == 200
    assert bob.api.get(url(cast)).get_json() == STRICT | change
    assert answer(cast, bob, "confirm", pending["at"]) == 409
    assert acts(cast) == ["scan_policy.changed", "scan_policy.proposed", "scan_policy.changed"]


def test_the_other_admins_get_an_e_mail_and_the_page_asks_them(cast: Cast, bob: Actor) -> None:
    put(cast, cast.tina, STRICT | {"two_persons": False})
    with cast.app.app_context():
        recipients = list(db.session.scalars(select(Email.recipient).where(text("template = 'rules_proposed'"))))
    assert bob.email in recipients and cast.tina.email not in recipients
    address = f"/t/{cast.acme.slug}/scan-policy"
    mine, theirs = cast.tina.browser.get(address).text, bob.browser.get(address).text
    assert "Withdraw" in mine and 'value="confirm"' not in mine
    assert 'value="confirm"' in theirs and "Releases need two people" in theirs
    at = theirs.split('name="at" value="')[1].split('"')[0]
    assert bob.browser.post(f"{address}/answer", data={"at": at, "answer": "confirm"}).status_code == 303
    assert bob.api.get(url(cast)).get_json()["two_persons"] is False


def test_stricter_rules_apply_at_once_and_replace_a_proposal(cast: Cast, bob: Actor) -> None:
    waits = put(cast, cast.tina, STRICT | {"two_persons": False})["pending"]
    assert put(cast, bob, STRICT | {"macros": "hold"}) == STRICT
    assert answer(cast, bob, "confirm", waits["at"]) == 409
    assert cast.tina.api.get(url(cast)).get_json()["two_persons"] is True


def test_a_proposal_that_was_replaced_in_the_meantime_is_not_confirmed(cast: Cast, bob: Actor) -> None:
    harmless = put(cast, cast.tina, STRICT | {"macros": "release"})["pending"]
    put(cast, cast.tina, STRICT | {"two_persons": False})
    assert answer(cast, bob, "confirm", harmless["at"]) == 409
    assert cast.tina.api.get(url(cast)).get_json()["two_persons"] is True


def test_a_proposal_can_be_withdrawn_or_rejected(cast: Cast, bob: Actor) -> None:
    for actor in (cast.tina, bob):
        waits = put(cast, cast.tina, STRICT | {"two_persons": False})["pending"]
        assert answer(cast, actor, "withdraw", waits["at"]) == 200
        assert answer(cast, bob, "confirm", waits["at"]) == 409
    assert acts(cast)[-1] == "scan_policy.withdrawn"


def test_a_single_admin_is_refused_and_learns_what_to_do(cast: Cast) -> None:
    put(cast, cast.tina, STRICT)
    refused = put(cast, cast.tina, STRICT | {"two_persons": False}, 409)
    assert "second administrator" in refused["detail"]
    assert cast.tina.api.get(url(cast)).get_json() == STRICT


def test_without_the_rule_one_admin_decides(cast: Cast) -> None:
    assert put(cast, cast.tina, DEFAULTS | {"release_infected": True})["release_infected"] is True


def test_only_admins_can_answer_a_proposal(cast: Cast, bob: Actor) -> None:
    waits = put(cast, bob, STRICT | {"two_persons": False})["pending"]
    for what in ("confirm", "withdraw"):
        assert answer(cast, cast.alice, what, waits["at"]) == 403
        assert answer(cast, cast.mallory, what, waits["at"]) == 404
        assert answer(cast, cast.tina, what, "yesterday") == 422
    assert cast.tina.browser.post(f"/t/{cast.acme.slug}/scan-policy/answer", data={"at": "x"}).status_code == 422
