"""The bucket port before a store that misbehaves: its errors mapped, its answers never believed, never short."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from portal.errors import Conflict, Unavailable
from portal.objectstore import bucket as port
from portal.objectstore.bucket import Bucket
from portal.objectstore.location import Location
from tests.support.stores.faulty import (
    Faulty,
    Play,
    answers,
    changes_etags,
    ignores_prefixes,
    lax,
    redirects,
    reset,
    short,
    slow,
    truncated,
)
from tests.support.stores.unruly import copies

SIZE = 300_000


@pytest.fixture(scope="module")
def faulty(seaweedfs: Location) -> Iterator[Faulty]:
    with Faulty(seaweedfs) as running:
        yield running


@pytest.fixture
def bucket(faulty: Faulty, seaweedfs: Location, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Reached through the faulty store, by a client that waits two seconds for a byte."""
    monkeypatch.setattr(port, "READ_TIMEOUT", 2)
    return Bucket(replace(seaweedfs, endpoint=faulty.url, public_endpoint=faulty.url))


@pytest.fixture
def key(seaweedfs: Location) -> Iterator[str]:
    """An object that is there."""
    below, whole = f"workspaces/{uuid4()}/", Bucket(seaweedfs)
    whole.put(below + "a", os.urandom(SIZE), content_type="text/plain")
    yield below + "a"
    whole.delete_prefix(below)


FAULTS: dict[str, tuple[Play, str]] = {
    "500": (answers(500, "InternalError"), "answered with an error"),
    "503": (answers(503, "SlowDown"), "busy"),
    "403": (answers(403, "AccessDenied"), "refused our key"),
    "redirect": (redirects("http://127.0.0.1:1/"), ""),
    "reset": (reset, "can't be reached"),
    "slow": (slow(3), "can't be reached"),
}


CALLS = ("head", "get", "put", "delete", "list", "promote")
# Waiting is the same for all calls, and takes its time.
PAIRS = [(fault, call) for fault in FAULTS for call in CALLS if fault != "slow" or call == "put"]


@pytest.mark.parametrize(("fault", "call"), PAIRS)
def test_each_fault_is_mapped_to_unavailable(faulty: Faulty, bucket: Bucket, key: str, fault: str, call: str) -> None:
    play, words = FAULTS[fault]

    def read() -> None:
        with bucket.get(key) as stream:
            stream.read()

    calls: dict[str, Callable[[], object]] = {
        "head": lambda: bucket.head(key),
        "get": read,
        "put": lambda: bucket.put(key, b"x", content_type="text/plain"),
        "delete": lambda: bucket.delete(key),
        "list": lambda: list(bucket.list(key)),
        "promote": lambda: bucket.copy(key, key + "2", if_etag="0"),
    }
    with faulty.playing(play), pytest.raises(Unavailable) as refusal:
        calls[call]()
    assert words in refusal.value.detail
    assert "Told to fail" not in refusal.value.detail


def test_a_body_that_breaks_off_is_unavailable_and_never_short(faulty: Faulty, bucket: Bucket, key: str) -> None:
    with faulty.playing(truncated(SIZE // 2)), bucket.get(key) as stream, pytest.raises(Unavailable):
        stream.read()


def test_a_length_that_does_not_fit_shows_at_the_stream(faulty: Faulty, bucket: Bucket, key: str) -> None:
    facts = bucket.head(key)
    assert facts is not None
    with faulty.playing(short), bucket.get(key) as stream:
        assert stream.size == len(stream.read()) == facts.size - 1  # intake compares with what was promised


def test_an_etag_that_lies_stops_a_copy(faulty: Faulty, bucket: Bucket, key: str) -> None:
    facts = bucket.head(key)
    assert facts is not None
    with faulty.playing(changes_etags), pytest.raises(Conflict):
        bucket.copy(key, key + "2", if_etag=facts.etag)
    assert bucket.head(key + "2") is None


def test_a_store_that_ignores_if_match_copies_nothing_that_changed(faulty: Faulty, bucket: Bucket, key: str) -> None:
    with faulty.playing(lax("x-amz-copy-source-if-match"), copies), pytest.raises(Conflict):
        bucket.copy(key, key + "2", if_etag="0" * 32)
    assert bucket.head(key + "2") is None


@pytest.mark.parametrize("prefix", ["", "customer"])
def test_where_a_listing_is_of_the_whole_bucket_nothing_is_removed(
    faulty: Faulty, bucket: Bucket, key: str, seaweedfs: Location, prefix: str
) -> None:
    bucket = Bucket(replace(bucket.location, key_prefix=prefix))
    with faulty.playing(ignores_prefixes), pytest.raises(Unavailable, match="does not support this request"):
        bucket.delete_prefix(f"workspaces/{uuid4()}/uploads/{uuid4()}/")
    assert Bucket(seaweedfs).head(key) is not None
