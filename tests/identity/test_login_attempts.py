"""Guessing is slowed down by account and network; nobody is locked out by somebody else's guesses."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from portal.identity import login_attempts
from portal.web.rate_limits import Rate, network_of
from tests.identity.test_login import form_token
from tests.support.people import PASSWORD, Actor, Cast, Client


@pytest.fixture(autouse=True)
def few_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five wrong passwords in place of a hundred, in counters of this test's own."""
    for name, limit in (
        ("FAILURES_OF_ACCOUNT", "5 per hour"),
        ("ACCOUNT_UNDER_ATTACK", "3 per hour"),
        ("NETWORK", "60 per 5 minutes"),
    ):
        monkeypatch.setattr(login_attempts, name, Rate(f"{name}-{uuid4()}", limit))


def attempt(cast: Cast, who: Actor, place: str, password: str, client: Client | None = None) -> int:
    client = client or Client(cast.app)
    client.environ_base["REMOTE_ADDR"] = place
    form = {"email": who.email, "password": password, "csrf_token": form_token(client.get("/login"))}
    answer = client.post("/login", data=form)
    answer.close()  # as a server does: what is left to do after the answer is done now
    return answer.status_code


def known_device(cast: Cast, who: Actor) -> Client:
    client = Client(cast.app)
    assert attempt(cast, who, "192.0.2.1", PASSWORD, client) == 302
    for name in ("stowage_session", "stowage_remember"):
        client.delete_cookie(name, domain="localhost")
    return client


def guess_from_everywhere(cast: Cast, who: Actor, number: int = 8) -> None:
    assert {attempt(cast, who, f"198.51.100.{index}", "wrong") for index in range(number)} == {200}


def entries(cast: Cast, who: Actor) -> list[dict[str, Any]]:
    found = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/audit?action=login.failed").get_json()["items"]
    return [each["facts"] for each in found if each["target_id"] == str(who.id)]


def test_the_right_password_opens_an_account_that_many_networks_guess_at(cast: Cast) -> None:
    guess_from_everywhere(cast, cast.vera)
    assert attempt(cast, cast.vera, "203.0.113.5", PASSWORD) == 302


def test_a_network_gets_three_guesses_at_an_account_that_is_under_attack(cast: Cast) -> None:
    guess_from_everywhere(cast, cast.vera)
    answers = [attempt(cast, cast.vera, "203.0.113.6", "wrong") for _ in range(4)]
    assert answers == [200, 200, 200, 429]
    assert attempt(cast, cast.alice, "203.0.113.6", PASSWORD) == 302  # of that account alone


def test_a_known_device_comes_through_from_the_network_that_guesses(cast: Cast) -> None:
    device = known_device(cast, cast.vera)
    guess_from_everywhere(cast, cast.vera)
    for _ in range(12):
        attempt(cast, cast.vera, "203.0.113.7", "wrong")
    assert attempt(cast, cast.vera, "203.0.113.7", PASSWORD) == 429
    assert attempt(cast, cast.vera, "203.0.113.7", PASSWORD, device) == 302


def test_a_device_is_counted_too_and_known_for_its_own_account_alone(cast: Cast) -> None:
    device = known_device(cast, cast.vera)
    answers = [attempt(cast, cast.vera, "203.0.113.8", "wrong", device) for _ in range(11)]
    assert answers == [200] * 10 + [429]
    assert attempt(cast, cast.vera, "203.0.113.9", PASSWORD) == 302
    guess_from_everywhere(cast, cast.alice)
    answers = [attempt(cast, cast.alice, "203.0.113.10", "wrong", device) for _ in range(4)]
    assert answers == [200, 200, 200, 429]


def test_a_forged_device_cookie_is_none(cast: Cast) -> None:
    cookie = known_device(cast, cast.vera).get_cookie("stowage_device", domain="localhost")
    assert cookie and cast.vera.email not in cookie.value and cookie.http_only
    guess_from_everywhere(cast, cast.vera)
    forged = Client(cast.app)
    forged.set_cookie("stowage_device", cookie.value[:-2] + "xx", domain="localhost")
    assert [attempt(cast, cast.vera, "203.0.113.11", "wrong", forged) for _ in range(4)] == [200] * 3 + [429]


def test_an_ipv6_network_is_its_64(cast: Cast) -> None:
    guesses = [attempt(cast, cast.vera, f"2001:db8:1:1::{index:x}", "wrong") for index in range(1, 12)]
    assert guesses == [200] * 8 + [429] * 3  # five, then three of an account under attack
    assert attempt(cast, cast.vera, "2001:db8:1:2::1", PASSWORD) == 302


@pytest.mark.parametrize(
    ("remote", "network"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::2", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_network_is_what_one_subscriber_has(remote: str, network: str) -> None:
    assert network_of(remote) == network


def test_wrong_passwords_are_in_the_audit_log_and_in_the_metrics(cast: Cast) -> None:
    def wrong() -> float:
        return REGISTRY.get_sample_value("portal_logins_total", {"outcome": "wrong", "device": "unknown"}) or 0

    before = wrong()
    device = known_device(cast, cast.vera)
    attempt(cast, cast.vera, "203.0.113.12", "wrong")
    attempt(cast, cast.vera, "203.0.113.12", "wrong", device)
    assert entries(cast, cast.vera) == [
        {"network": "203.0.113.12/32", "known_device": True},
        {"network": "203.0.113.12/32", "known_device": False},
    ]
    assert wrong() == before + 1
    page = cast.tina.browser.get(f"/t/{cast.acme.slug}/audit").text
    assert "Somebody entered a wrong password for a person" in page


def test_the_audit_log_is_not_filled_with_wrong_passwords(cast: Cast) -> None:
    device = known_device(cast, cast.vera)
    for index in range(14):
        attempt(cast, cast.vera, "203.0.113.13", "wrong", device if index > 9 else None)
    assert len(entries(cast, cast.vera)) == 10
