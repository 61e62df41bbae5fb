"""The stores on which the bucket's and the probe's contracts are proved.

SeaweedFS; SeaweedFS by a key that has the least rights and only below one prefix; the same without form uploads. One
more is one line: ``PORTAL_TEST_STORE=https://KEY:SECRET@host/bucket?region=…`` (``style=path|virtual|auto`` and
``name=…`` too; percent-encode what is special in key and secret).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import pytest
import urllib3

from portal.objectstore.bucket import Bucket, bucket_at
from portal.objectstore.location import Location
from portal.storage.probe.results import Result
from tests.support.client import Site, served
from tests.support.engines import LEAST, LEAST_PLACE, TestEngines
from tests.support.probe import ORIGIN, PREFIX, forget, probe, subject
from tests.support.processes import own_settings
from tests.support.stores.no_post_proxy import Proxy
from tests.support.stores.unruly import Unruly

SEAWEEDFS, RESTRICTED, NO_FORMS = "seaweedfs", "seaweedfs-restricted", "seaweedfs-without-forms"


def store_at(url: str) -> tuple[str, Location]:
    """A name and a place from one line."""
    parts = urlsplit(url)
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    place = Location(
        endpoint=f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else ""),
        public_endpoint=None,
        region=options.get("region", "us-east-1"),
        bucket=parts.path.strip("/"),
        access_key_id=unquote(parts.username or ""),
        secret_access_key=unquote(parts.password or ""),
        addressing_style=options.get("style", "auto"),
    )
    return options.get("name", parts.hostname or "more"), place


MORE = dict([store_at(url)] if (url := os.environ.get("PORTAL_TEST_STORE", "")) else [])
STORES = [SEAWEEDFS, RESTRICTED, NO_FORMS, *MORE]


@pytest.fixture(scope="session")
def seaweedfs(engines: TestEngines) -> Location:
    """The embedded store, with a bucket of this suite's own."""
    settings = engines.settings()
    place = Location(
        endpoint=settings.s3_endpoint,
        public_endpoint=settings.s3_public_endpoint,
        region=settings.s3_region,
        bucket=LEAST_PLACE[0],
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
    )
    bucket_at(place).ensure_exists([ORIGIN])
    return place


@pytest.fixture(scope="session")
def restricted(seaweedfs: Location) -> Location:
    """The same bucket by a key with exactly the rights that ``policies`` writes for SeaweedFS, below one prefix."""
    return replace(seaweedfs, access_key_id=LEAST.access_key_id, secret_access_key=LEAST.secret_access_key)


@pytest.fixture(scope="session")
def no_forms(seaweedfs: Location) -> Iterator[Location]:
    """The same store behind a proxy that refuses form uploads, for servers and browsers alike."""
    with Proxy(seaweedfs.endpoint or "") as proxy:
        yield replace(seaweedfs, endpoint=proxy.url, public_endpoint=proxy.url)


@pytest.fixture(scope="session", params=STORES)
def store(request: pytest.FixtureRequest) -> Location:
    """Each store in turn."""
    fixtures = {SEAWEEDFS: "seaweedfs", RESTRICTED: "restricted", NO_FORMS: "no_forms"}
    place: Location = (
        request.getfixturevalue(fixtures[request.param]) if request.param in fixtures else MORE[request.param]
    )
    if request.param in MORE:
        bucket_at(place).ensure_exists([ORIGIN])
    return place


@pytest.fixture(scope="session")
def bucket(store: Location) -> Bucket:
    """The port on one store, set up."""
    return bucket_at(replace(store, key_prefix=PREFIX))


@pytest.fixture(scope="session")
def held(store: Location, request: pytest.FixtureRequest) -> set[str]:
    """The steps of the probe that a store which we know nothing of has passed."""
    run = probe(subject(store, prefix=f"{PREFIX}/held"))
    forget(store, subject(store, prefix=f"{PREFIX}/held"))
    return {name for name, each in run.results.items() if each.result is Result.PASS}


@pytest.fixture(autouse=True)
def _asks_what_was_promised(request: pytest.FixtureRequest) -> None:
    """Of a store more, only what the probe found there is asked; of those that we know, everything."""
    asked = request.node.get_closest_marker("asks_for")
    given = getattr(getattr(request.node, "callspec", None), "params", {})
    if asked and given.get("store") in MORE:
        missing = {name.format(**given).lower() for name in asked.args} - request.getfixturevalue("held")
        if missing:
            pytest.skip(f"the probe says that this store does not hold to it: {', '.join(sorted(missing))}")


@pytest.fixture(scope="session")
def customers_store(engines: TestEngines) -> Iterator[Unruly]:
    """Where customers have their buckets: it can refuse, hold and hang up."""
    with Unruly(engines.settings().s3_endpoint) as running:
        yield running


@pytest.fixture(scope="session")
def own_bucket_site(engines: TestEngines, customers_store: Unruly) -> Iterator[Site]:
    """A portal of its own that may connect to that store."""
    allowed = (*engines.settings().egress_allow, customers_store.url)
    yield from served(own_settings(engines, "customers", queue=13, egress_allow=allowed))


@pytest.fixture
def below(bucket: Bucket) -> Iterator[str]:
    """A prefix of this test's own; emptied afterwards."""
    prefix = f"workspaces/{uuid4()}/"
    yield prefix
    bucket.delete_prefix(prefix)


@pytest.fixture(scope="session")
def browser() -> Iterator[urllib3.PoolManager]:
    """What sends signed requests as a browser would: knows no key."""
    with urllib3.PoolManager(timeout=30, retries=False) as http:
        yield http


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out forms where the world has none, and what a key for one prefix may not do.

    Both stores are asked about them by tests of their own.
    """
    asked = [item for item in items if not _in_vain(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in asked])
    items[:] = asked


def _in_vain(item: pytest.Item) -> bool:
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if parameters.get("store") == RESTRICTED and item.get_closest_marker("needs_all_rights"):
        return True
    return parameters.get("store") in (NO_FORMS, RESTRICTED) and parameters.get("method") == "POST"
