"""kill -9 of the worker at each step of its work: another one finishes every file, and nothing is left over."""

from __future__ import annotations

from collections.abc import Callable
from email.message import Message

import pytest

from portal.database import transaction
from portal.events import service as events
from portal.events.models import EventType
from tests.support import pictures
from tests.support.api_client import ApiClient, Sent
from tests.support.clamd_daemons import LIMIT_BYTES
from tests.support.deployment import Live, eventually
from tests.support.stores.unruly import Wanted, copies, deletions, derived, reads


def after(first: Wanted, then: Wanted) -> Wanted:
    """``then``, once ``first`` was seen."""
    seen = False

    def wanted(method: str, path: str, headers: Message) -> bool:
        nonlocal seen
        seen = seen or first(method, path, headers)
        return seen and then(method, path, headers)

    return wanted


def heads_of_copies(method: str, path: str, _headers: Message) -> bool:
    return method == "HEAD" and "/original/" in path


def lists_of_staging(method: str, path: str, _headers: Message) -> bool:
    return method == "GET" and "list-type=2" in path and "uploads" in path


STEPS: dict[str, Callable[[], Wanted]] = {
    "before the copy": lambda: copies,
    "after the copy": lambda: after(copies, heads_of_copies),
    "while it reads": lambda: reads,
    "before the verdict": lambda: after(reads, heads_of_copies),
    "before the staging key goes": lambda: lists_of_staging,
    "while the staging key goes": lambda: deletions,
    "while it stores previews": lambda: derived,
}


def comes_out_well(live: Live, alice: ApiClient, sent: Sent) -> None:
    live.expire_leases()
    live.sweep()
    asset = alice.wait(sent.asset_id)
    assert asset["status"] == "available", live.stack.words()
    assert asset["previews"] in ("ready", "none")


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_is_killed(live: Live, step: str) -> None:
    live.one_worker()
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    with live.store.hold(STEPS[step]()) as held:
        sent = alice.upload("sea.heif", pictures.heic())  # HEIC: a name that is nearly right, so that its type is set
        held.wait()
        live.stack.workers[0].kill()
    live.one_worker()
    comes_out_well(live, alice, sent)
    assert alice.asset(sent.asset_id)["mime_type"] == "image/heic"
    live.sound(cast, alice, sent)


def test_a_worker_is_killed_while_the_scanner_reads(live: Live) -> None:
    live.one_worker()
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    live.scanner_proxy.hold()
    sent = alice.upload("long.txt", b"A text that takes a while to scan.\n" * 10_000)
    assert len(sent.content) < LIMIT_BYTES
    assert live.scanner_proxy.arrived.wait(60)
    live.stack.workers[0].kill()
    live.scanner_proxy.release()
    live.one_worker()
    comes_out_well(live, alice, sent)
    live.sound(cast, alice, sent)


def test_a_worker_is_killed_while_it_purges(live: Live) -> None:
    live.one_worker()
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    sent = alice.upload("sea.jpg", pictures.exif_orientation(3))
    alice.wait(sent.asset_id)
    with live.store.hold(deletions) as held:
        assert alice.call("DELETE", f"assets/{sent.asset_id}?permanent=true").status_code == 204
        held.wait()
        live.stack.workers[0].kill()
    live.one_worker()
    live.expire_leases()
    live.sweep()
    eventually(lambda: alice.call("GET", f"assets/{sent.asset_id}").status_code == 404)
    assert alice.quota() == (0, 0)
    live.forms_run_out()
    assert live.objects(cast) == set()
    assert live.broken(cast.acme.id) == []


def test_a_worker_is_killed_while_it_tells_a_webhook(live: Live) -> None:
    live.one_worker()
    cast, ids = live.cast(), []

    def told(_method: str, path: str, headers: Message) -> bool:
        if path == "/told":
            ids.append(headers["webhook-id"])
        return path == "/told"

    # The store will do as a receiver: it listens, and is allowed.
    hooks = f"/v1/tenants/{cast.acme.id}/webhooks"
    added = cast.tina.api.post(hooks, json={"url": f"{live.store.url}/told"})
    assert added.status_code == 201, added.text
    with live.store.hold(told) as held:
        with live.stack.app.app_context(), transaction(cast.acme.id):
            events.record(EventType.QUOTA_WARNING, cast.acme.id, None)
        held.wait()
        live.stack.workers[0].kill()
    live.one_worker()
    with live.store.hold(told) as held:
        live.expire_leases()
        live.sweep()
        held.wait()
    first, second = ids
    assert first == second
    assert cast.tina.api.delete(f"{hooks}/{added.get_json()['id']}").status_code == 204
