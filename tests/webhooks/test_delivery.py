"""What happens reaches whoever wants it, signed, at least once, and a bad receiver harms nobody but itself."""

from __future__ import annotations

import logging
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from portal.database import transaction
from portal.events import service as events
from portal.events.models import EventType
from portal.network import egress
from portal.webhooks import delivery as delivering
from portal.webhooks import http_client
from tests.support import secret_canary
from tests.support.certificate import make_certificate
from tests.support.engines import TestEngines
from tests.support.stores.listener import Listener
from tests.support.webhook_receiver import Endless, Misbehaviour, drips, never, no_http
from tests.webhooks.conftest import Hooks


def test_a_file_is_told_to_a_receiver_that_verifies(hooks: Hooks, text: bytes) -> None:
    hook = hooks.add("/told?key=value", event_types=["asset.available"])
    sent = hooks.scene.alice.upload("notes.txt", text)
    assert hooks.scene.site.run_jobs() == ["take_in", "dispatch", "deliver"]
    (call,) = hooks.receiver.calls
    event = call.verified(hook["secret"])
    assert set(event) == {"id", "type", "time", "tenant_id", "workspace_id", "data"}
    assert (event["type"], event["data"]["asset_id"]) == ("asset.available", sent.asset_id)
    assert event["data"]["file_name"] == "notes.txt"  # docs/adr/0020-names-and-admins.md
    assert call.id == event["id"]
    assert call.path == "/told?key=value"
    assert call.headers["content-type"] == "application/json"
    listed = hooks.cast.tina.api.get(f"/v1/tenants/{hooks.cast.acme.id}/events?type=asset.available").get_json()
    assert event == listed["items"][0], "the same as the list of events says"
    (delivery,) = hooks.deliveries(hook)
    assert (delivery["state"], delivery["status_code"], delivery["attempts"]) == ("delivered", 200, 1)
    assert delivery["next_attempt_at"] is None
    assert hooks.show(hook)["state"] == "healthy" and hooks.show(hook)["last_delivered_at"]
    assert hooks.call("GET", hook["id"], "deliveries", delivery["id"])["body"].encode() == call.body
    with pytest.raises(WebhookVerificationError):
        Webhook(hook["secret"]).verify(call.body + b" ", call.headers)


def test_an_endpoint_hears_of_what_it_wants_and_of_nothing_before_it(hooks: Hooks) -> None:
    first = hooks.add("/first")
    hooks.happen(number=0)
    all_of_it, some, here = (
        hooks.add("/all"),
        hooks.add("/some", event_types=["asset.deleted"]),
        hooks.add("/here", workspace_ids=[str(hooks.cast.press.id)]),
    )
    hooks.happen(number=1)
    hooks.happen(EventType.ASSET_DELETED, here=True, number=2)
    hooks.tell()
    for hook in (first, all_of_it, some, here):
        hooks.deliver(hook)
    paths = {"/first": first, "/all": all_of_it, "/some": some, "/here": here}
    heard = [(call.path, call.verified(paths[call.path]["secret"])["data"]["number"]) for call in hooks.receiver.calls]
    assert sorted(heard) == [
        ("/all", 1),
        ("/all", 2),
        ("/first", 0),
        ("/first", 1),
        ("/first", 2),
        ("/here", 2),
        ("/some", 2),
    ]
    assert len({call.id for call in hooks.receiver.calls}) == 3, "an event has one id, whoever hears of it"


def test_what_was_told_is_not_told_again(hooks: Hooks) -> None:
    hook = hooks.add()
    hooks.happen()
    for _ in range(2):
        hooks.tell()
        hooks.deliver(hook)
    assert len(hooks.receiver.calls) == 1


def test_the_scheduler_dispatches_by_itself(hooks: Hooks) -> None:
    hook = hooks.add()
    hooks.happen()
    hooks.scene.site.app.extensions["portal.redis"].flushdb()
    assert hooks.scene.site.sweep()["dispatch"] == 1
    assert hooks.scene.site.run_jobs() == ["deliver"]
    assert hooks.receiver.calls[0].verified(hook["secret"])


def test_many_events_of_one_command_are_one_job(hooks: Hooks) -> None:
    hooks.add()
    with hooks.scene.site.app.app_context(), transaction(hooks.cast.acme.id):
        for number in range(5):
            events.record(EventType.QUOTA_WARNING, hooks.cast.acme.id, None, number=number)
    assert hooks.scene.site.run_jobs() == ["dispatch", "deliver"]
    assert len(hooks.receiver.calls) == 5


def test_of_those_that_fail_one_is_tried_at_a_time(hooks: Hooks) -> None:
    dead, dead_too, well = hooks.add("/dead"), hooks.add("/dead"), hooks.add("/well")
    hooks.happen()
    hooks.tell()
    fails = "UPDATE webhook_endpoints SET state = 'failing' WHERE url LIKE '%%/dead' AND tenant_id = %s"
    hooks.scene.site.sql(fails, hooks.cast.acme.id)
    tried: list[str] = []

    def others_meanwhile() -> None:
        if not tried:
            tried.append("once")
            hooks.deliver(dead_too)
            hooks.deliver(well)

    hooks.receiver.during = others_meanwhile
    hooks.deliver(dead)
    assert [call.path for call in hooks.receiver.calls] == ["/dead", "/well"]
    hooks.pass_time(dead_too, "1 second")
    hooks.deliver(dead_too)
    assert len(hooks.receiver.calls) == 3


def test_nothing_is_written_down_where_nobody_listens(hooks: Hooks) -> None:
    hooks.happen()
    waiting = "SELECT count(*) FROM tasks WHERE kind = 'dispatch' AND tenant_id = %s"
    assert hooks.scene.site.sql(waiting, hooks.cast.acme.id) == [(0,)]
    hook = hooks.add()
    hooks.happen()
    assert hooks.scene.site.sql(waiting, hooks.cast.acme.id) == [(1,)]
    hooks.tell()
    hooks.call("PATCH", hook["id"], body={"enabled": False})
    hooks.happen()
    assert hooks.scene.site.sql(waiting, hooks.cast.acme.id) == [(0,)]


def test_ten_attempts_in_three_days_then_it_is_given_up_and_people_are_told(hooks: Hooks) -> None:
    hooks.receiver.answer(500)
    hook = hooks.add()
    hooks.happen()
    hooks.tell()
    waits = []
    for number in range(10):
        hooks.deliver(hook)
        (delivery,) = hooks.deliveries(hook)
        assert (delivery["attempts"], delivery["reason"]) == (number + 1, "It answered 500.")
        if delivery["state"] == "waiting":
            due = datetime.fromisoformat(delivery["next_attempt_at"]) - datetime.now(UTC)
            waits.append(due / delivering.WAITS[number])
            assert hooks.show(hook)["state"] == "failing"
            hooks.pass_time(hook)
        since = "UPDATE webhook_endpoints SET failing_since = failing_since - interval '8 hours' WHERE id = %s"
        hooks.scene.site.sql(since, UUID(hook["id"]))
    assert len(waits) == 9 and all(0.7 < wait <= 1.1 for wait in waits), waits
    assert sum(delivering.WAITS, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)
    assert len({call.id for call in hooks.receiver.calls}) == 1, "the same id at every attempt"
    assert len(hooks.receiver.calls) == 10
    shown = hooks.show(hook)
    assert (delivery["state"], shown["state"], shown["enabled"]) == ("failed", "disabled", False)
    assert shown["reason"] == "Nothing has arrived for 3 days. It answered 500."
    letters = "SELECT subject, text FROM emails WHERE recipient = %s AND template = 'webhook_disabled'"
    ((subject, words),) = hooks.scene.site.sql(letters, hooks.cast.tina.email)
    assert subject == "A webhook of Acme was disabled"
    assert f"/webhooks/{hook['id']}" in words and "/told" not in words


def test_the_first_failure_does_not_disable_and_a_success_heals(hooks: Hooks) -> None:
    hooks.receiver.answer(503)
    hook = hooks.add()
    hooks.happen()
    hooks.tell()
    hooks.deliver(hook)
    shown = hooks.show(hook)
    assert (shown["state"], shown["reason"]) == ("failing", "It answered 503.") and shown["failing_since"]
    hooks.receiver.answer(204)
    hooks.deliver(hook)
    assert len(hooks.receiver.calls) == 1, "it rests"
    hooks.pass_time(hook)
    hooks.deliver(hook)
    shown = hooks.show(hook)
    assert (shown["state"], shown["reason"], shown["failing_since"]) == ("healthy", None, None)
    assert [each["state"] for each in hooks.deliveries(hook)] == ["delivered"]


@pytest.mark.parametrize(
    ("behaviour", "status", "reason"),
    [
        (500, 500, "It answered 500."),
        (404, 404, "It answered 404."),
        (no_http, None, http_client.BROKE_OFF.english),
        (never, None, http_client.TOO_SLOW.english),
        (drips, None, http_client.TOO_SLOW.english),
    ],
)
def test_a_bad_answer_is_mapped_to_a_reason(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch, behaviour: int | Misbehaviour, status: int | None, reason: str
) -> None:
    monkeypatch.setattr(http_client, "DEADLINE_SECONDS", 0.5)
    hooks.receiver.answer(behaviour)
    hook = hooks.add()
    hooks.happen()
    hooks.tell()
    began = time.monotonic()
    hooks.deliver(hook)
    assert time.monotonic() - began < 2, "nobody holds a worker"
    (delivery,) = hooks.deliveries(hook)
    assert (delivery["state"], delivery["status_code"], delivery["reason"]) == ("waiting", status, reason)


def test_a_body_without_end_is_not_read_to_its_end(hooks: Hooks) -> None:
    body = Endless()
    hooks.receiver.answer(body)
    hook = hooks.add()
    hooks.happen()
    hooks.tell()
    hooks.deliver(hook)
    (delivery,) = hooks.deliveries(hook)
    assert (delivery["state"], delivery["status_code"]) == ("delivered", 200)
    assert body.sent < 32 << 20, "what socket buffers hold"


def test_a_redirect_is_not_followed(hooks: Hooks, engines: TestEngines) -> None:
    with Listener() as trap:
        hooks.receiver.answer(307, {"Location": trap.url})
        hook = hooks.add()
        hooks.happen()
        hooks.tell()
        hooks.deliver(hook)
        assert trap.requests == []
    (delivery,) = hooks.deliveries(hook)
    assert delivery["reason"] == "It answered 307, a redirect. None is followed: enter where it leads to."


def test_who_is_gone_is_told_no_more(hooks: Hooks) -> None:
    hooks.receiver.answer(410)
    hook = hooks.add()
    hooks.happen(number=1)
    hooks.happen(number=2)
    hooks.tell()
    hooks.deliver(hook)
    hooks.deliver(hook)
    shown = hooks.show(hook)
    assert (shown["state"], len(hooks.receiver.calls)) == ("disabled", 1)
    assert sorted(each["state"] for each in hooks.deliveries(hook)) == ["failed", "waiting"]
    hooks.receiver.answer(200)
    assert hooks.call("PATCH", hook["id"], body={"enabled": True})["state"] == "healthy"
    hooks.scene.site.run_jobs()
    assert [each["state"] for each in hooks.deliveries(hook, state="waiting")] == []


@pytest.mark.parametrize(("asked", "granted"), [("120", 120), ("999999999999", 3600), ("-1", 5), ("soon", 5)])
def test_a_receiver_may_ask_for_time_within_reason(hooks: Hooks, asked: str, granted: int) -> None:
    hooks.receiver.answer(429, {"Retry-After": asked})
    hook = hooks.add()
    hooks.happen()
    hooks.tell()
    hooks.deliver(hook)
    (delivery,) = hooks.deliveries(hook)
    due = (datetime.fromisoformat(delivery["next_attempt_at"]) - datetime.now(UTC)).total_seconds()
    assert granted * 0.8 < due <= granted * 1.1 + 1
    rest = "SELECT extract(epoch FROM paused_until - now()) FROM webhook_endpoints WHERE id = %s"
    ((seconds,),) = hooks.scene.site.sql(rest, UUID(hook["id"]))
    assert granted * 0.8 < float(seconds) <= granted * 1.1 + 1


def test_a_retry_after_may_be_a_date(hooks: Hooks) -> None:
    assert http_client._retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    later = datetime.now(UTC) + timedelta(seconds=90)
    assert 85 < (http_client._retry_after(later.strftime("%a, %d %b %Y %H:%M:%S GMT")) or 0) <= 90


def test_a_dead_receiver_rests_longer_each_time(hooks: Hooks) -> None:
    hooks.receiver.answer(500)
    hook = hooks.add()
    for number in range(10):
        hooks.happen(number=number)
    hooks.tell()
    rests = []
    for _ in range(10):
        hooks.deliver(hook)
        row = "SELECT extract(epoch FROM paused_until - now()) FROM webhook_endpoints WHERE id = %s"
        ((seconds,),) = hooks.scene.site.sql(row, UUID(hook["id"]))
        rests.append(round(float(seconds)))
        hooks.pass_time(hook)
    assert len(hooks.receiver.calls) == 10, "one attempt, then others have their turn"
    assert rests == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]


def test_a_worker_killed_after_the_answer_delivers_again_with_the_same_id(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = hooks.add()
    hooks.happen()
    hooks.tell()

    def killed(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(delivering, "_note", killed)
        with pytest.raises(SystemExit):
            hooks.deliver(hook)
    hooks.deliver(hook)
    assert len(hooks.receiver.calls) == 1, "the dead worker's lease lasts for a minute"
    hooks.scene.site.end_leases(hook["id"])
    assert hooks.scene.site.sweep()["deliver"] == 1
    hooks.scene.site.run_jobs()
    first, second = hooks.receiver.calls
    assert first.id == second.id and first.body == second.body
    (delivery,) = hooks.deliveries(hook)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 2)


def test_an_event_that_kills_its_worker_every_time_is_given_up(hooks: Hooks) -> None:
    hook = hooks.add()
    hooks.happen()
    hooks.tell()
    hooks.scene.site.sql("UPDATE webhook_deliveries SET attempts = 10 WHERE endpoint_id = %s", UUID(hook["id"]))
    hooks.deliver(hook)
    (delivery,) = hooks.deliveries(hook)
    assert (delivery["state"], delivery["reason"], hooks.receiver.calls) == (
        "failed",
        delivering.UNFINISHED.english,
        [],
    )


def test_two_workers_never_talk_to_one_receiver_at_once(hooks: Hooks) -> None:
    hook = hooks.add()
    hooks.happen()
    hooks.tell()
    hooks.receiver.during = lambda: hooks.deliver(hook)
    hooks.deliver(hook)
    assert len(hooks.receiver.calls) == 1


def test_a_worker_that_lost_its_lease_sends_nothing_more(hooks: Hooks) -> None:
    hook = hooks.add()
    hooks.happen(number=1)
    hooks.happen(number=2)
    hooks.tell()
    taken = "UPDATE tasks SET lease_token = 'another' WHERE target_id = %s"

    def another_takes_it() -> None:
        hooks.scene.site.sql(taken, UUID(hook["id"]))

    hooks.receiver.during = another_takes_it
    hooks.deliver(hook)
    assert len(hooks.receiver.calls) == 1
    assert sorted(each["state"] for each in hooks.deliveries(hook)) == ["delivered", "waiting"], "what arrived is known"


def test_two_who_tell_at_once_tell_each_event_once(hooks: Hooks) -> None:
    hook = hooks.add()
    for number in range(40):
        hooks.happen(number=number)
    threads = [threading.Thread(target=hooks.tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hooks.deliver(hook)
    assert sorted(call.verified(hook["secret"])["data"]["number"] for call in hooks.receiver.calls) == list(range(40))


@pytest.mark.parametrize("answer", [200, 500, 410])
def test_a_webhook_may_be_removed_while_it_is_told(hooks: Hooks, answer: int) -> None:
    hook = hooks.add()
    hooks.happen()
    hooks.tell()
    hooks.receiver.answer(answer)
    hooks.receiver.during = lambda: hooks.call("DELETE", hook["id"], status=204)
    hooks.deliver(hook)
    assert len(hooks.receiver.calls) == 1
    assert hooks.call("GET", hook["id"], status=404)["code"] == "not_found"
    for table in ("deliveries", "secrets"):
        left = f"SELECT count(*) FROM webhook_{table} WHERE endpoint_id = %s"
        assert hooks.scene.site.sql(left, UUID(hook["id"])) == [(0,)]


@pytest.mark.parametrize("leads_to", ["169.254.169.254", None])
def test_a_name_that_leads_inside_or_nowhere_is_refused_in_the_same_words(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, leads_to: str | None
) -> None:
    hook = hooks.call("POST", body={"url": "https://rebind.example.com/x?token=geheim"}, status=201)
    hooks.happen()
    hooks.tell()

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        if leads_to is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (leads_to, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    hooks.deliver(hook)
    monkeypatch.undo()
    (delivery,) = hooks.deliveries(hook)
    assert (delivery["state"], delivery["reason"]) == ("waiting", http_client.NOT_ALLOWED.english)
    assert (leads_to or "does not exist") in caplog.text and "geheim" not in caplog.text


def test_https_needs_a_certificate_for_that_name(hooks: Hooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _context, authority = make_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(authority.read_bytes() + (tmp_path / "key.pem").read_bytes())
    rules = egress.Egress.parse(["127.0.0.0/8"])
    with Listener(certificate=both, host="127.0.0.1", port=_free(8443, 9443, 9000)) as server:

        def send(host: str) -> http_client.PostResult:
            return http_client.post(f"https://{host}:{server.port}/x", {}, b"{}", rules)

        assert send("localhost").reason == http_client.BAD_CERTIFICATE
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert send("localhost") == http_client.PostResult(200, None)
        assert send("127.0.0.1").reason == http_client.BAD_CERTIFICATE
        assert len(server.requests) == 1


def _free(*ports: int) -> int:
    """The first of them that nobody uses."""
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("each port that webhooks may use is taken")


def test_the_secret_is_written_down_nowhere(
    hooks: Hooks, engines: TestEngines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hook = hooks.add("/x?token=" + "y" * 20)
    hooks.receiver.answer(500)
    hooks.happen()
    hooks.tell()
    hooks.deliver(hook)
    hooks.call("GET", hook["id"])
    assert "y" * 20 not in caplog.text, "an address may hold a secret, too"
    replaced = hooks.call("POST", hook["id"], "rotate", body={})["secret"]
    for secret in (hook["secret"], replaced):
        wanted = secret_canary.spellings(secret.removeprefix("whsec_"))
        assert secret_canary.search(engines, wanted=wanted) == secret_canary.seen
        assert not secret_canary.contains_secret(caplog.text.encode(), wanted)
        assert hooks.call("GET", hook["id"]).keys().isdisjoint({"secret"})


def test_old_deliveries_and_secrets_are_forgotten(hooks: Hooks) -> None:
    from portal.webhooks import dispatch

    hook = hooks.add()
    hooks.happen(number=1)
    hooks.happen(number=2)
    hooks.tell()
    hooks.deliver(hook)
    hooks.call("POST", hook["id"], "rotate", body={"keep_old": False})
    old = "UPDATE webhook_deliveries SET created_at = now() - interval '31 days' WHERE (endpoint_id, id) = (%s, %s)"
    hooks.scene.site.sql(old, UUID(hook["id"]), UUID(hooks.deliveries(hook)[0]["id"]))
    with hooks.scene.site.app.app_context():
        assert dispatch.forget().english == "Deleted: 1 deliveries older than 30 days, 1 expired secrets."
    assert len(hooks.deliveries(hook)) == 1
