"""The quota of a workspace over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from portal.database import new_id, transaction
from portal.errors import Invalid
from portal.quotas import service as quotas
from tests.support.people import Cast


def _hold(cast: Cast, size: int) -> None:
    with cast.app.app_context(), transaction(cast.acme.id):
        quotas.reserve(cast.acme.id, cast.press.id, new_id(), size)


def test_members_and_admins_see_how_a_workspace_stands(cast: Cast) -> None:
    _hold(cast, 1 << 30)
    for actor in (cast.alice, cast.vera, cast.tina):
        answer = actor.api.get(cast.url("quota"))
        assert answer.status_code == 200, answer.text
        assert answer.get_json() == {
            "limit_bytes": None,
            "used_bytes": 0,
            "reserved_bytes": 1 << 30,
            "remaining_bytes": 99 << 30,
            "percent": 1.0,
            "level": "ok",
        }


def test_an_admin_limits_a_workspace_and_lifts_the_limit(cast: Cast) -> None:
    _hold(cast, 850)
    limited = cast.tina.api.put(cast.url("quota"), json={"limit_bytes": 1000})
    assert limited.status_code == 200, limited.text
    assert limited.get_json() == cast.vera.api.get(cast.url("quota")).get_json()
    assert (limited.get_json()["remaining_bytes"], limited.get_json()["level"]) == (150, "medium")
    below = cast.tina.api.put(cast.url("quota"), json={"limit_bytes": 500}).get_json()
    assert (below["percent"], below["level"], below["remaining_bytes"]) == (170.0, "exceeded", 0)
    lifted = cast.tina.api.put(cast.url("quota"), json={"limit_bytes": None}).get_json()
    assert (lifted["limit_bytes"], lifted["level"]) == (None, "ok")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"limit_bytes": -1},
        {"limit_bytes": 1.5},
        {"limit_bytes": "5"},
        {"limit_bytes": True},
        {"limit_bytes": 2**63},
    ],
)
def test_a_limit_that_is_none_is_refused_with_its_field(cast: Cast, body: dict[str, Any]) -> None:
    answer = cast.tina.api.put(cast.url("quota"), json=body)
    assert answer.status_code == 422
    assert (answer.get_json()["code"], answer.get_json()["field"].split(".")[0]) == ("invalid", "limit_bytes")


def test_a_limit_may_be_written_with_its_unit(cast: Cast) -> None:
    answer = cast.tina.api.put(cast.url("quota"), json={"limit_bytes": "10 GB"})
    assert (answer.status_code, answer.get_json()["limit_bytes"]) == (200, 10 << 30)


@pytest.mark.parametrize(
    ("limit", "words"),
    [(-1, "negative"), (1e99, "more than"), ("-1 GB", "negative"), ("10 apples", "a unit")],
)
def test_a_bad_limit_is_refused_in_clear_words(cast: Cast, limit: Any, words: str) -> None:
    answer = cast.tina.api.put(cast.url("quota"), json={"limit_bytes": limit})
    assert (answer.status_code, answer.get_json()["field"]) == (422, "limit_bytes")
    assert words in answer.get_json()["detail"]


def test_of_two_admins_who_edit_one_limit_the_second_is_told(cast: Cast) -> None:
    first = {"limit_bytes": 1000, "seen_limit_bytes": None}
    assert cast.tina.api.put(cast.url("quota"), json=first).status_code == 200
    answer = cast.tina.api.put(cast.url("quota"), json={"limit_bytes": 2000, "seen_limit_bytes": None})
    assert (answer.status_code, answer.get_json()["code"], answer.get_json()["limit_bytes"]) == (409, "conflict", 1000)
    assert "Tina set the limit to 1,000 bytes" in answer.get_json()["detail"]
    assert cast.tina.api.get(cast.url("quota")).get_json()["limit_bytes"] == 1000
    again = {"limit_bytes": 2000, "seen_limit_bytes": 1000}
    assert cast.tina.api.put(cast.url("quota"), json=again).status_code == 200


def test_members_may_not_set_it_and_mallory_sees_nothing(cast: Cast) -> None:
    for actor in (cast.alice, cast.bob, cast.vera):
        assert actor.api.put(cast.url("quota"), json={"limit_bytes": None}).status_code == 403
    for method in ("get", "put"):
        answer = getattr(cast.mallory.api, method)(
            cast.url("quota"), **({"json": {"limit_bytes": 5}} if method == "put" else {})
        )
        assert answer.status_code == 404
    assert cast.nobody.get(cast.url("quota")).status_code == 401


def test_the_help_that_a_refusal_names_is_there(cast: Cast) -> None:
    cast.tina.api.put(cast.url("quota"), json={"limit_bytes": 10})
    with pytest.raises(Invalid) as refused:
        _hold(cast, 11)
    page = cast.nobody.get(
        refused.value.facts["help_url"].removeprefix(cast.app.extensions["portal.settings"].base_url)
    )
    assert page.status_code == 200
    assert "Empty the trash" in page.text
