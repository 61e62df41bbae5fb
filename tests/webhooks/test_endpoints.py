"""Admins add, change, try and remove webhooks and replace secrets; others may not; what can't be right is refused."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from portal.events.models import EventType
from portal.lifecycle import vault_rotation
from portal.network.egress import Egress
from portal.webhooks import service
from portal.webhooks.message import headers_of, new_secret
from portal.webhooks.urls import checked, without_path
from tests.architecture.test_routes import NOBODYS
from tests.webhooks.conftest import Hooks


def test_a_webhook_is_added_shown_changed_and_removed(hooks: Hooks) -> None:
    added = hooks.add(description=" Our archive ", event_types=["asset.purged", "asset.deleted", "asset.deleted"])
    assert added["secret"].startswith("whsec_") and len(added["secret"]) == 50
    shown = hooks.show(added)
    assert shown == {name: value for name, value in added.items() if name != "secret"}
    assert (shown["description"], shown["event_types"]) == ("Our archive", ["asset.deleted", "asset.purged"])
    assert (shown["state"], shown["enabled"], shown["workspace_ids"]) == ("healthy", True, [])
    changed = hooks.call("PATCH", added["id"], body={"workspace_ids": [str(hooks.cast.press.id)], "event_types": []})
    assert (changed["workspace_ids"], changed["event_types"]) == ([str(hooks.cast.press.id)], [])
    assert changed["description"] == "Our archive", "what is left out stays"
    off = hooks.call("PATCH", added["id"], body={"enabled": False})
    assert (off["state"], off["enabled"], off["reason"]) == ("disabled", False, service.DISABLED_BY_PERSON.english)
    assert hooks.call("GET")["items"] == [off]
    hooks.call("DELETE", added["id"], status=204)
    assert hooks.call("GET")["items"] == []
    acts = hooks.cast.tina.api.get(f"/v1/tenants/{hooks.cast.acme.id}/audit").get_json()["items"]
    done = [act["action"] for act in acts if act["action"].startswith("webhook.")]
    assert done == ["webhook.removed", "webhook.changed", "webhook.changed", "webhook.added"]
    assert all(act["facts"]["endpoint"] == hooks.receiver.url for act in acts[:4]), "without path and query"


def test_webhooks_are_for_admins_of_the_tenant(hooks: Hooks) -> None:
    hook = hooks.add()
    hooks.call("POST", hook["id"], "test", status=202)
    (delivery,) = hooks.deliveries(hook)
    ways = [("GET", ()), ("POST", ()), *((method, (hook["id"],)) for method in ("GET", "PATCH", "DELETE"))]
    ways += [("POST", (hook["id"], "rotate")), ("POST", (hook["id"], "test")), ("GET", (hook["id"], "deliveries"))]
    ways += [("GET", (hook["id"], "deliveries", delivery["id"]))]
    ways += [("POST", (hook["id"], "deliveries", delivery["id"], "retry"))]
    for method, path in ways:
        for actor, status in ((hooks.cast.mallory, 404), (hooks.cast.alice, 403), (hooks.cast.vera, 403)):
            assert actor.api.open(hooks.path(*path), method=method, json={}).status_code == status, (method, path)
    theirs = f"/v1/tenants/{hooks.cast.evil.id}/webhooks/{hook['id']}"
    foreign = hooks.cast.mallory.api.get(theirs)
    missing = hooks.cast.mallory.api.get(theirs.replace(hook["id"], NOBODYS))
    assert foreign.status_code == missing.status_code == 404 and foreign.data == missing.data
    assert hooks.call("GET", hook["id"], "deliveries", uuid4(), status=404)["code"] == "not_found"
    lair = {"url": hooks.receiver.url, "workspace_ids": [str(hooks.cast.lair.id)]}
    assert hooks.call("POST", body=lair, status=422)["field"] == "workspace_ids"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "Enter the address"),
        ("https://2852039166/latest/meta-data", "not a public address"),  # 169.254.169.254 in decimal
        ("https://0xa9fea9fe/", "not a public address"),
        ("https://169.254.169.254/", "not a public address"),
        ("https://[::ffff:169.254.169.254]/", "not a public address"),
        ("https://127.1/", "not a public address"),
        ("https://999999999999/", "not a name"),
        ("https://user:pass@example.com/", "user name and password"),
        ("http://example.com/", "Plain http"),
        ("ftp://example.com/", "begins with https://"),
        ("example.com/told", "begins with https://"),
        ("https://example.com:22/", "Port 22"),
        ("https://example.com:0/", "Port 0"),
        ("https://example.com:99999/", "not an address"),
        ("https://localhost/", "inside a network"),
        ("https://printer.localhost/", "inside a network"),
        ("https://example.com/#part", "Leave the #"),
        ("https://exa mple.com/", "no spaces"),
        ("https://bücher.example/", "only ASCII"),
        ("https://example.com/\r\nX-Evil: 1", "no spaces"),
        ("https:///told", "not a name"),
        ("https://example.com/" + "x" * 2000, "at most 1024 characters"),
    ],
)
def test_an_address_that_can_not_be_right_is_refused_in_words(hooks: Hooks, url: str, words: str) -> None:
    problem = hooks.call("POST", body={"url": url}, status=422)
    assert problem["field"] == "url" and words in problem["detail"], problem
    assert hooks.call("GET")["items"] == []


def test_an_address_is_brought_into_one_form() -> None:
    rules = Egress.parse(["10.0.0.5:8443", "http://hooks.internal:8080"])
    assert checked(" https://Example.COM ", rules) == "https://example.com/"
    assert checked("https://example.com./a?b=c&d=%20", rules) == "https://example.com/a?b=c&d=%20"
    assert checked("https://167772165:8443/x", rules) == "https://10.0.0.5:8443/x"
    assert checked("http://hooks.internal:8080/x", rules) == "http://hooks.internal:8080/x"
    assert checked("https://[2606:4700::1111]/x", rules) == "https://[2606:4700::1111]/x"
    assert without_path("https://example.com:8443/secret?token=1") == "https://example.com:8443"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"event_types": ["no.such"]}, "event_types"),
        ({"event_types": ["webhook.test"]}, "event_types"),
        ({"event_types": "asset.deleted"}, "event_types"),
        ({"workspace_ids": [NOBODYS]}, "workspace_ids"),
        ({"workspace_ids": ["no-id"]}, "workspace_ids.0"),
        ({"description": "x" * 201}, "description"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
def test_what_it_is_to_hear_must_exist(hooks: Hooks, body: dict[str, Any], field: str) -> None:
    assert hooks.call("POST", body={"url": hooks.receiver.url, **body}, status=422)["field"] == field
    hook = hooks.add()
    assert hooks.call("PATCH", hook["id"], body=body, status=422)["field"] == field
    assert hooks.show(hook) == {name: value for name, value in hook.items() if name != "secret"}


def test_a_tenant_has_at_most_twenty(hooks: Hooks) -> None:
    for _ in range(service.MOST):
        hooks.add()
    assert hooks.call("POST", body={"url": hooks.receiver.url}, status=409)["code"] == "conflict"


def test_while_a_secret_is_replaced_both_verify(hooks: Hooks) -> None:
    hook = hooks.add()
    replaced = hooks.call("POST", hook["id"], "rotate", body={})
    assert replaced["secret"] != hook["secret"] and replaced["old_secret_until"]
    hooks.call("POST", hook["id"], "test", status=202)
    hooks.scene.site.run_jobs()
    (call,) = hooks.receiver.calls
    assert call.verified(hook["secret"]) == call.verified(replaced["secret"])
    assert len(call.headers["webhook-signature"].split(" ")) == 2
    over = "UPDATE webhook_secrets SET ends_at = now() WHERE endpoint_id = %s AND ends_at IS NOT NULL"
    hooks.scene.site.sql(over, UUID(hook["id"]))
    hooks.call("POST", hook["id"], "test", status=202)
    hooks.scene.site.run_jobs()
    assert hooks.receiver.calls[1].verified(replaced["secret"])
    with pytest.raises(WebhookVerificationError):
        hooks.receiver.calls[1].verified(hook["secret"])
    assert hooks.show(hook)["old_secret_until"] is None


def test_a_secret_that_others_saw_ends_at_once(hooks: Hooks) -> None:
    hook = hooks.add()
    replaced = hooks.call("POST", hook["id"], "rotate", body={"keep_old": False})
    assert replaced["old_secret_until"] is None
    hooks.call("POST", hook["id"], "test", status=202)
    hooks.scene.site.run_jobs()
    assert hooks.receiver.calls[0].verified(replaced["secret"])
    with pytest.raises(WebhookVerificationError):
        hooks.receiver.calls[0].verified(hook["secret"])


def test_of_two_who_replace_it_at_once_both_have_one_that_holds(hooks: Hooks) -> None:
    hook = hooks.add()
    made: list[str] = []

    def replace_it() -> None:
        made.append(hooks.call("POST", hook["id"], "rotate", body={})["secret"])

    threads = [threading.Thread(target=replace_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hooks.call("POST", hook["id"], "test", status=202)
    hooks.scene.site.run_jobs()
    (call,) = hooks.receiver.calls
    assert len({hook["secret"], *made}) == 3
    for secret in (hook["secret"], *made):
        assert call.verified(secret)
    present = "SELECT count(*) FROM webhook_secrets WHERE endpoint_id = %s AND ends_at IS NULL"
    assert hooks.scene.site.sql(present, UUID(hook["id"])) == [(1,)]
    for _ in range(2):
        hooks.call("POST", hook["id"], "rotate", body={})
    assert hooks.call("POST", hook["id"], "rotate", body={}, status=409)["code"] == "conflict"


def test_a_test_is_sent_now_and_once(hooks: Hooks) -> None:
    hook = hooks.add(event_types=["asset.purged"])
    hooks.receiver.answer(500)
    sent = hooks.call("POST", hook["id"], "test", status=202)
    assert (sent["state"], sent["type"]) == ("waiting", "webhook.test")
    assert hooks.scene.site.run_jobs() == ["deliver"]
    (call,) = hooks.receiver.calls
    event = call.verified(hook["secret"])
    assert (event["id"], event["type"]) == (sent["id"], "webhook.test")
    (delivery,) = hooks.deliveries(hook)
    assert (delivery["state"], delivery["attempts"], delivery["next_attempt_at"]) == ("failed", 1, None)
    assert hooks.show(hook)["state"] == "failing"
    hooks.receiver.answer(200)
    hooks.call("POST", hook["id"], "test", status=202)
    hooks.scene.site.run_jobs()
    assert hooks.show(hook)["state"] == "healthy", "a person who asks does not wait for its rest"
    hooks.call("PATCH", hook["id"], body={"enabled": False})
    assert hooks.call("POST", hook["id"], "test", status=409)["code"] == "conflict"


def test_what_failed_or_was_lost_is_sent_again_with_the_same_id(hooks: Hooks) -> None:
    hook = hooks.add()
    hooks.happen(EventType.ASSET_DELETED, here=True)
    hooks.tell()
    hooks.scene.site.run_jobs()
    (delivery,) = hooks.deliveries(hook)
    again = hooks.call("POST", hook["id"], "deliveries", delivery["id"], "retry", status=202)
    assert (again["state"], again["attempts"]) == ("waiting", 0)
    hooks.scene.site.run_jobs()
    first, second = hooks.receiver.calls
    assert (first.id, first.body) == (second.id, second.body)
    assert [each["state"] for each in hooks.deliveries(hook, state="delivered")] == ["delivered"]
    assert hooks.deliveries(hook, state="failed") == []


def test_too_many_tests_are_refused(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "REQUESTS", replace(service.REQUESTS, limit="1 per hour", name=f"wish-{uuid4()}"))
    hook = hooks.add()
    hooks.call("POST", hook["id"], "test", status=202)
    assert hooks.call("POST", hook["id"], "test", status=429)["code"] == "rate_limited"


def test_what_waited_goes_on_when_it_is_switched_on_again(hooks: Hooks) -> None:
    hook = hooks.add()
    hooks.happen(number=1)
    hooks.tell()
    hooks.call("PATCH", hook["id"], body={"enabled": False})
    hooks.happen(number=2)
    hooks.tell()
    hooks.deliver(hook)
    assert hooks.receiver.calls == []
    hooks.call("PATCH", hook["id"], body={"enabled": True})
    hooks.scene.site.run_jobs()
    assert [call.verified(hook["secret"])["data"]["number"] for call in hooks.receiver.calls] == [1]


def test_deliveries_come_page_by_page(hooks: Hooks) -> None:
    hook = hooks.add()
    for number in range(5):
        hooks.happen(number=number)
    hooks.tell()
    found, cursor = [], ""
    while True:
        page = hooks.call("GET", hook["id"], f"deliveries?limit=2{cursor}")
        found += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(found) == 5 and found == sorted(found, reverse=True)


def test_a_new_vault_key_seals_secrets_of_webhooks_too(hooks: Hooks) -> None:
    hook, app = hooks.add(), hooks.scene.site.app
    settings = app.extensions["portal.settings"]
    app.extensions["portal.settings"] = replace(settings, vault_keys=("n" * 40, *settings.vault_keys))
    try:
        with app.app_context():
            assert vault_rotation.rotate().rewrapped >= 1
        app.extensions["portal.settings"] = replace(settings, vault_keys=("n" * 40,))
        hooks.call("POST", hook["id"], "test", status=202)
        hooks.scene.site.run_jobs()
        assert hooks.receiver.calls[0].verified(hook["secret"])
        app.extensions["portal.settings"] = replace(settings, vault_keys=("x" * 40,))
        hooks.call("POST", hook["id"], "test", status=202)
        hooks.scene.site.run_jobs()
    finally:
        app.extensions["portal.settings"] = replace(settings, vault_keys=(*settings.vault_keys, "n" * 40))
        with app.app_context():
            vault_rotation.rotate()
        app.extensions["portal.settings"] = settings
    shown = hooks.show(hook)
    assert (shown["state"], shown["reason"]) == (
        "failing",
        "Its secret can't be decrypted. Replace it, or ask an operator to check the vault keys.",
    )
    waiting = hooks.deliveries(hook, state="waiting")
    assert [each["attempts"] for each in waiting] == [0], "no attempt is burned"


def test_signatures_are_those_of_the_official_library() -> None:
    from datetime import UTC, datetime

    at, key, other = datetime.now(UTC), new_secret(), new_secret()
    message, body = uuid4(), '{"name":"Bücher"}'.encode()
    headers = headers_of(message, at, body, [key, other])
    mine, theirs = headers["webhook-signature"].split(" ")
    assert mine == Webhook(key).sign(str(message), at, body.decode())
    assert theirs == Webhook(other).sign(str(message), at, body.decode())
