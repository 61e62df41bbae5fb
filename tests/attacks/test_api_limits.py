"""The API answers a person, and a tenant, so many requests a minute, says how many are left, and stops nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from portal.web import rate_limits
from tests.support.engines import TestEngines
from tests.support.people import Cast, make_cast
from tests.support.processes import application, close

OF_A_PERSON, OF_A_TENANT = 60, 100


@pytest.fixture(scope="module")
def limited(engines: TestEngines) -> Iterator[Flask]:
    app = application(replace(engines.settings(), api_requests=OF_A_PERSON, api_tenant_requests=OF_A_TENANT))
    yield app
    close(app)


@pytest.fixture
def cast(limited: Flask) -> Cast:
    return make_cast(limited)


def test_each_answer_says_the_limit_and_what_is_left_of_it(cast: Cast) -> None:
    answers = [cast.alice.api.get("/v1/me") for _ in range(2)]
    assert [answer.headers["RateLimit"] for answer in answers] == ['"person";r=59', '"person";r=58']
    assert answers[0].headers["RateLimit-Policy"] == '"person";q=60;w=60'


def test_above_a_persons_limit_the_api_says_when_to_come_back(cast: Cast) -> None:
    codes = [cast.alice.api.get(cast.url("quota")).status_code for _ in range(OF_A_PERSON)]
    assert set(codes) == {200}
    refused = cast.alice.api.get(cast.url("quota"))
    problem = refused.get_json()
    assert (refused.status_code, problem["code"], problem["scope"]) == (429, "rate_limited", "person")
    assert 0 < int(refused.headers["Retry-After"]) <= 61
    assert refused.headers["RateLimit"] == f'"person";r=0;t={refused.headers["Retry-After"]}'
    assert cast.bob.api.get(cast.url("quota")).status_code == 200, "nobody else is stopped"


def test_another_token_of_the_person_and_their_browser_count_together(cast: Cast) -> None:
    for _ in range(OF_A_PERSON):
        cast.alice.api.get("/v1/me")
    assert cast.alice.browser.get("/v1/me").status_code == 429


def test_pages_are_never_refused_for_what_a_script_of_the_person_does(cast: Cast) -> None:
    for _ in range(OF_A_PERSON + 1):
        cast.alice.api.get("/v1/me")
    pages = [cast.alice.browser.get("/account/tokens") for _ in range(5)]
    assert {page.status_code for page in pages} == {200} and "RateLimit" not in pages[0].headers


def test_people_of_one_tenant_together_have_a_limit_and_other_tenants_are_answered(cast: Cast) -> None:
    who = (cast.alice, cast.bob, cast.vera)
    codes = [who[number % 3].api.get(cast.url("quota")).status_code for number in range(OF_A_TENANT)]
    assert set(codes) == {200}
    refused = cast.bob.api.get(cast.url("quota"))
    assert (refused.status_code, refused.get_json()["scope"]) == (429, "tenant")
    assert refused.headers["RateLimit-Policy"] == '"tenant";q=100;w=60'
    assert cast.mallory.api.get(f"/v1/workspaces/{cast.lair.id}/quota").status_code == 200


def test_a_person_of_another_tenant_uses_up_nothing_of_it(cast: Cast) -> None:
    codes = {cast.mallory.api.get(cast.url("quota")).status_code for _ in range(OF_A_PERSON)}
    assert codes == {404}
    assert cast.alice.api.get(cast.url("quota")).status_code == 200


def test_without_valkey_requests_are_counted_in_memory_and_valkey_is_not_waited_for_each_time(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters, failed = rate_limits.Rates("redis://127.0.0.1:1/0"), []
    monkeypatch.setitem(cast.app.extensions, "portal.rates", counters)
    monkeypatch.setattr(rate_limits.log, "warning", lambda *words: failed.append(words))
    codes = [cast.alice.api.get("/v1/me").status_code for _ in range(OF_A_PERSON + 1)]
    counters.close()
    assert codes == [200] * OF_A_PERSON + [429]
    assert len(failed) <= 3
