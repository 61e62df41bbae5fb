"""An object arrives whole, by whichever way, or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from portal.errors import Conflict, NotFound
from portal.migration.copy import PART, Route, copy
from portal.migration.rate_limit import RateLimit, Stopped
from portal.objectstore.bucket import Bucket, bucket_at
from portal.objectstore.location import Location
from tests.support.engines import TestEngines
from tests.support.stores.no_post_proxy import Proxy
from tests.support.stores.unruly import copies


class Kept:
    """What the item's row remembers."""

    def __init__(self) -> None:
        self.uploads: dict[str, str | None] = {}

    def find(self, key: str) -> str | None:
        return self.uploads.get(key)

    def keep(self, key: str, upload_id: str | None) -> None:
        self.uploads[key] = upload_id


def location(engines: TestEngines, bucket: str, endpoint: str | None = None) -> Location:
    settings = engines.settings()
    place = endpoint or settings.s3_endpoint
    keys = settings.s3_access_key_id, settings.s3_secret_access_key
    return Location(place, place, settings.s3_region, bucket, *keys)


@pytest.fixture(scope="module")
def source(engines: TestEngines) -> Bucket:
    bucket = bucket_at(location(engines, "moving-from"))
    bucket.ensure_exists(["http://localhost:5000"])
    return bucket


@pytest.fixture(scope="module")
def neighbour(engines: TestEngines) -> Bucket:
    """Another bucket of the same store."""
    bucket = bucket_at(location(engines, "moving-to"))
    bucket.ensure_exists(["http://localhost:5000"])
    return bucket


@pytest.fixture(scope="module")
def elsewhere(engines: TestEngines, neighbour: Bucket) -> Iterator[Bucket]:
    """The same bucket at another address: another store, as far as anyone can tell."""
    with Proxy(engines.settings().s3_endpoint) as proxy:
        yield bucket_at(replace(neighbour.location, endpoint=proxy.url, public_endpoint=proxy.url))


@pytest.fixture(params=["neighbour", "elsewhere"])
def target(request: pytest.FixtureRequest) -> Bucket:
    bucket: Bucket = request.getfixturevalue(request.param)
    return bucket


def make(bucket: Bucket, content: bytes) -> str:
    key = f"workspaces/{uuid4()}/assets/{uuid4()}/original/a.bin"
    bucket.put(key, io.BytesIO(content), content_type="image/png", size=len(content))
    return key


def read(bucket: Bucket, key: str) -> bytes:
    with bucket.get(key) as stream:
        return stream.read()


def route(source: Bucket, target: Bucket, limit: RateLimit | None = None) -> Route:
    return Route(source, target, limit or RateLimit(None), Kept())


def test_an_object_arrives_with_its_type(source: Bucket, target: Bucket) -> None:
    content = os.urandom(300_000)
    key = make(source, content)
    copy(route(source, target), key, sha256=hashlib.sha256(content).hexdigest())
    facts = target.head(key)
    assert facts and facts.content_type == "image/png"
    assert read(target, key) == content
    assert read(source, key) == content


def test_a_second_time_costs_no_copy(source: Bucket, neighbour: Bucket) -> None:
    key = make(source, b"once")
    copy(route(source, neighbour), key)
    before = neighbour.head(key)
    time.sleep(1.1)  # stores keep the time of a change in seconds
    copy(route(source, neighbour), key)
    assert neighbour.head(key) == before


def test_a_missing_source_is_said(source: Bucket, target: Bucket) -> None:
    with pytest.raises(NotFound):
        copy(route(source, target), "workspaces/x/assets/y/original/none.bin")


def test_what_was_replaced_after_its_check_stays_where_it_is(source: Bucket, target: Bucket) -> None:
    key = make(source, b"another content")
    with pytest.raises(Conflict, match="replaced"):
        copy(route(source, target), key, sha256=hashlib.sha256(b"the checked content").hexdigest())
    assert target.head(key) is None


def test_a_large_object_goes_on_where_a_killed_worker_was(source: Bucket, elsewhere: Bucket) -> None:
    content = os.urandom(PART + 3_000_000)
    key = make(source, content)
    way = route(source, elsewhere)
    parts = elsewhere.multipart(key)
    upload_id = parts.create("image/png")
    way.unfinished.keep(key, upload_id)
    first = parts.upload_part(upload_id, 1, io.BytesIO(content[:PART]), PART)
    copy(way, key, sha256=hashlib.sha256(content).hexdigest())
    assert parts.list_parts(upload_id) is None
    assert way.unfinished.find(key) is None
    facts = elsewhere.head(key)
    assert facts and facts.size == len(content) and first
    assert hashlib.sha256(read(elsewhere, key)).digest() == hashlib.sha256(content).digest()


def test_an_upload_that_the_store_forgot_is_begun_again(source: Bucket, elsewhere: Bucket) -> None:
    content = os.urandom(PART + 1)
    key = make(source, content)
    way = route(source, elsewhere)
    parts = elsewhere.multipart(key)
    forgotten = parts.create("image/png")
    parts.abort(forgotten)
    way.unfinished.keep(key, forgotten)
    copy(way, key)
    facts = elsewhere.head(key)
    assert facts and facts.size == len(content)


def test_a_limit_holds_the_threads_back(source: Bucket, elsewhere: Bucket) -> None:
    key = make(source, os.urandom(3 * 1024 * 1024))
    began = time.monotonic()
    copy(route(source, elsewhere, RateLimit(1024 * 1024)), key)
    assert time.monotonic() - began > 1  # three seconds' worth, of which one is free


def test_who_was_told_to_stop_leaves_no_object(source: Bucket, elsewhere: Bucket) -> None:
    limit = RateLimit(None)
    key = make(source, b"something")
    limit.stop()
    with pytest.raises(Stopped):
        copy(route(source, elsewhere, limit), key)
    assert elsewhere.head(key) is None


def test_copies_stay_inside_a_store_where_they_can(engines: TestEngines, source: Bucket) -> None:
    from tests.support.stores.unruly import Unruly

    with Unruly(engines.settings().s3_endpoint) as store:
        here = bucket_at(replace(source.location, endpoint=store.url, public_endpoint=store.url))
        there = bucket_at(replace(here.location, bucket="moving-to"))
        key = make(here, b"inside")
        with store.failing(503, copies):
            copy(route(here, there), key)  # the store does not: so the bytes come through here
        assert read(there, key) == b"inside"
