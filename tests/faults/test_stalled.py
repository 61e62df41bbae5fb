"""A worker that stands still before its copy and wakes after another has finished changes nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest

from portal.objectstore import keys
from portal.storage.service import managed_bucket
from tests.support import pictures
from tests.support.api_client import ApiClient, Sent, done
from tests.support.deployment import Live, eventually
from tests.support.stores.unruly import copies, reads

COPIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<CopyObjectResult><ETag>"%s"</ETag>'
    b"<LastModified>2026-11-23T00:00:00Z</LastModified></CopyObjectResult>"
)


def finish_elsewhere(live: Live, alice: ApiClient, sent: Sent) -> None:
    """The first worker stands still; a minute later another one takes its file in."""
    live.stack.workers[0].freeze()
    live.expire_leases()
    live.stack.workers[1].start()
    live.sweep()
    assert alice.wait(sent.asset_id)["status"] == "available", live.stack.words()


@contextmanager
def quiet_afterwards(live: Live) -> Iterator[None]:
    """What stood still goes on, and comes to its end."""
    yield
    live.stack.workers[0].thaw()
    # It takes its next job only when it is done with this one.
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    live.stack.workers[1].kill()
    alice.wait(alice.upload("next.txt", b"the next file").asset_id)


@pytest.mark.parametrize("obeys", [True, False], ids=["a store that obeys if-match", "a store that ignores it"])
def test_a_worker_that_wakes_late_changes_nothing(live: Live, obeys: bool) -> None:
    """Meanwhile somebody has sent other bytes of the same size to the staging key, by the same form."""
    live.one_worker()
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    content = pictures.exif_orientation(3)
    begun = alice.sent("sea.jpg", content)
    key = keys.staging(cast.press.id, UUID(begun["upload_id"]), "sea.jpg")
    target: list[str] = []

    def copy_anyway() -> bytes:
        with live.stack.app.app_context():
            bucket = managed_bucket()
            bucket.put(target[0], content[::-1], content_type="image/jpeg")
            facts = bucket.head(target[0])
        assert facts
        return COPIED % facts.etag.encode()

    def first_copy(method: str, path: str, headers: object) -> bool:
        if copies(method, path, headers):  # type: ignore[arg-type]
            target.append(path.split("/", 2)[2])
            return True
        return False

    with live.store.hold(first_copy, instead=None if obeys else copy_anyway) as held:
        sent = Sent(begun, done(alice.commit(begun["upload_id"])), content)
        held.wait()
        finish_elsewhere(live, alice, sent)
        before = live.row(sent.asset_id, "state, object_key, sha256, mime_type, charged_bytes, scan_result")
        assert alice.send(begun, content[::-1]).status_code in (200, 201, 204)
        assert key in live.objects(cast)
        with quiet_afterwards(live):
            held.release()
    assert live.row(sent.asset_id, "state, object_key, sha256, mime_type, charged_bytes, scan_result") == before
    assert target[0] != before[1]
    live.sound(cast, alice, sent)


def test_a_worker_that_wakes_after_the_file_was_purged_leaves_nothing(live: Live) -> None:
    live.one_worker()
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    content = pictures.exif_orientation(3)
    with live.store.hold(copies) as held:
        sent = alice.upload("sea.jpg", content)
        held.wait()
        finish_elsewhere(live, alice, sent)
        alice.call("DELETE", f"assets/{sent.asset_id}?permanent=true")
        eventually(lambda: alice.call("GET", f"assets/{sent.asset_id}").status_code == 404)
        alice.send(sent.begun, content)
        with quiet_afterwards(live):
            held.release()
    assert alice.call("GET", f"assets/{sent.asset_id}").status_code == 404
    assert alice.quota() == (0, 0)
    live.forms_run_out()
    assert live.objects(cast) == set()
    assert live.broken(cast.acme.id) == []


def test_bytes_sent_again_while_the_file_is_read_are_not_what_is_served(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    content = pictures.exif_orientation(3)
    with live.store.hold(reads) as held:
        sent = alice.upload("sea.jpg", content)
        held.wait()
        assert alice.send(sent.begun, content[::-1]).status_code in (200, 201, 204)
    assert alice.wait(sent.asset_id)["status"] == "available"
    live.sound(cast, alice, sent)
