"""Admins do it all on pages: the secret is seen once, what went wrong is said, what was sent is shown as text."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from werkzeug.test import TestResponse

from tests.webhooks.conftest import Hooks


def page(hooks: Hooks, *path: object) -> str:
    """An address of the pages."""
    return "/".join(map(str, (f"/t/{hooks.cast.acme.slug}/webhooks", *path)))


def see(hooks: Hooks, *path: object, status: int = 200, part: bool = False) -> str:
    headers = {"HX-Request": "true"} if part else {}
    answer = hooks.cast.tina.browser.get(page(hooks, *path), headers=headers)
    assert answer.status_code == status, answer.text
    return answer.text


def post(hooks: Hooks, *path: object, status: int = 303, **form: Any) -> TestResponse:
    answer = hooks.cast.tina.browser.post(page(hooks, *path), data=form)
    assert answer.status_code == status, answer.text
    return answer


def test_the_first_page_teaches(hooks: Hooks) -> None:
    words = see(hooks)
    assert "No webhooks yet" in words and "from standardwebhooks import Webhook" in words
    assert page(hooks) in hooks.cast.tina.browser.get(f"/t/{hooks.cast.acme.slug}/overview").text, "in the sidebar"


def test_a_secret_is_seen_once(hooks: Hooks) -> None:
    url = f"{hooks.receiver.url}/told?a=<b>"
    assert "no spaces" not in post(hooks, "new", status=201, url=url, description="<i>Ours</i>").text
    (hook,) = hooks.call("GET")["items"]
    added = post(hooks, "new", status=201, url=url, event_types=["asset.deleted"], workspace_ids=[hooks.cast.press.id])
    secret = re.search(r"whsec_[\w+/=]+", added.text.partition("readonly")[2])
    assert secret and secret[0] not in see(hooks) + see(hooks, hook["id"])
    newest = hooks.call("GET")["items"][0]
    assert (newest["event_types"], newest["workspace_ids"]) == (["asset.deleted"], [str(hooks.cast.press.id)])
    assert "<i>" not in see(hooks) and "&lt;i&gt;Ours" in see(hooks)
    replaced = post(hooks, hook["id"], "secret", status=200, end_old="yes").text
    assert "whsec_" in replaced.partition("readonly")[2] and hooks.show(hook)["old_secret_until"] is None


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"url": ""}, "Enter the address"),
        ({"url": "http://169.254.169.254/"}, "Plain http"),
        ({"url": "https://169.254.169.254/"}, "not a public address"),
        ({"url": "https://example.com/" + "x" * 2000}, "at most 1024"),
        ({"url": "https://example.com/", "event_types": "no.such"}, "Not a valid choice"),
        ({"url": "https://example.com/", "workspace_ids": "x"}, "Not a valid choice"),
    ],
)
def test_what_is_wrong_is_said_in_the_form(hooks: Hooks, form: dict[str, str], words: str) -> None:
    assert words.lower() in post(hooks, "new", status=422, **form).text.lower()
    hook = hooks.add()
    assert words.lower() in post(hooks, hook["id"], "edit", status=422, **form).text.lower()
    assert "is-invalid" in post(hooks, "new", status=422, url="ftp://x").text


def test_it_is_tried_changed_switched_and_removed(hooks: Hooks) -> None:
    hook = hooks.add()
    tried = post(hooks, hook["id"], "test").location
    assert "hx-get" in see(hooks, *tried.split("/")[-3:]), "it asks again while it waits"
    hooks.scene.site.run_jobs()
    part = see(hooks, *tried.split("/")[-3:], part=True)
    assert "Delivered" in part and "hx-get" not in part and "<html" not in part
    assert "&#34;type&#34;:&#34;webhook.test&#34;" in see(hooks, *tried.split("/")[-3:])
    post(hooks, hook["id"], "deliveries", tried.rpartition("/")[2], "send")
    hooks.scene.site.run_jobs()
    assert len(hooks.receiver.calls) == 2
    post(hooks, hook["id"], "edit", url=hooks.receiver.url + "/other", event_types=["asset.deleted", "asset.purged"])
    assert hooks.show(hook)["url"].endswith("/other") and "A file was moved to the trash" in see(hooks, hook["id"])
    assert "checked" in see(hooks, hook["id"], "edit")
    post(hooks, hook["id"], "switch", enabled="no")
    assert "Enable</button>" in see(hooks, hook["id"])
    post(hooks, hook["id"], "test")
    assert "Enable it first" in see(hooks, hook["id"])
    post(hooks, hook["id"], "switch", enabled="yes")
    assert hooks.show(hook)["enabled"]
    post(hooks, hook["id"], "remove")
    assert "No webhooks yet" in see(hooks)
    see(hooks, hook["id"], status=404)


def test_a_webhook_disabled_by_failures_is_seen_on_the_overview(hooks: Hooks) -> None:
    hook = hooks.add()
    hooks.receiver.answer(410)
    hooks.happen()
    hooks.tell()
    hooks.deliver(hook)
    assert "1 webhook was disabled because its receiver could not be reached" in see(hooks)
    assert "410 Gone" in see(hooks, hook["id"])
    overview = hooks.cast.tina.browser.get(f"/t/{hooks.cast.acme.slug}/overview").text
    assert "1 webhook was disabled" in overview and page(hooks) in overview


def test_lists_come_page_by_page(hooks: Hooks) -> None:
    hook = hooks.add()
    for number in range(25):
        hooks.happen(number=number)
    hooks.tell()
    words = see(hooks, hook["id"])
    more = re.search(r'hx-get="([^"]+cursor=[^"]+)"', words)
    assert more and words.count("Send now") == 20
    rest = hooks.cast.tina.browser.get(more[1].replace("&amp;", "&"), headers={"HX-Request": "true"}).text
    assert rest.count("Send now") == 5 and "<html" not in rest
    assert "There are no deliveries with this state" in see(hooks, f"{hook['id']}?state=failed")


def test_the_form_of_a_webhook_that_is_not_theirs_is_not_found_whatever_it_has(hooks: Hooks) -> None:
    answer = hooks.cast.tina.browser.post(page(hooks, str(uuid4()), "edit"), data={"url": "no address"})
    assert answer.status_code == 404


def test_pages_are_for_admins(hooks: Hooks) -> None:
    hook = hooks.add()
    for path in ((), ("new",), (hook["id"],), (hook["id"], "edit")):
        assert hooks.cast.alice.browser.get(page(hooks, *path)).status_code == 403
        assert hooks.cast.mallory.browser.get(page(hooks, *path)).status_code == 404
    for act in ("switch", "secret", "test", "remove"):
        assert hooks.cast.alice.browser.post(page(hooks, hook["id"], act)).status_code == 403
        assert hooks.cast.mallory.browser.post(page(hooks, hook["id"], act)).status_code == 404
    assert page(hooks) not in hooks.cast.alice.browser.get(hooks.cast.page("files")).text


def test_the_operator_sees_what_waits(hooks: Hooks) -> None:
    hook = hooks.add()
    hooks.receiver.answer(500)
    hooks.happen()
    hooks.tell()
    hooks.deliver(hook)
    site = hooks.scene.site
    site.sql("UPDATE users SET is_operator = true WHERE id = %s", UUID(str(hooks.cast.bob.id)))
    board = hooks.cast.bob.browser.get("/operator").text
    assert "1 webhook fails" in board
    site.app.extensions.pop("portal.numbers.kept", None)
    numbers = hooks.cast.nobody.get("/metrics").text
    assert 'portal_webhooks{state="failing"} 1.0' in numbers
    assert 'portal_webhook_deliveries{state="waiting"} 1.0' in numbers
    assert re.search(r'portal_webhook_attempts_total\{outcome="failed"\} [1-9]', numbers)
