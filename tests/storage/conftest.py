"""The stores on which the bucket's contract is proved: SeaweedFS, the same without form uploads, and more by request.

``PORTAL_TEST_STORE`` adds a store: JSON with the fields of ``Location`` and a ``name``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import urllib3

from portal.storage.bucket import Bucket, bucket_at
from portal.storage.location import Location
from tests.stores.no_post_proxy import Proxy

SEAWEEDFS, NO_FORMS = "seaweedfs", "seaweedfs-without-forms"
ORIGIN = "http://localhost:5000"

_more = json.loads(os.environ.get("PORTAL_TEST_STORE", "null"))
STORES = [SEAWEEDFS, NO_FORMS, *([_more.pop("name")] if _more else [])]


@pytest.fixture(scope="session")
def seaweedfs(engines: Any) -> Location:
    """The embedded store, with a bucket of this suite's own."""
    settings = engines.settings()
    return Location(
        endpoint=settings.s3_endpoint,
        public_endpoint=settings.s3_public_endpoint,
        region=settings.s3_region,
        bucket="contract",
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
    )


@pytest.fixture(scope="session")
def no_forms(seaweedfs: Location) -> Iterator[Location]:
    """The same store behind a proxy that refuses form uploads, for servers and browsers alike."""
    with Proxy(seaweedfs.endpoint or "") as proxy:
        yield replace(seaweedfs, endpoint=proxy.url, public_endpoint=proxy.url)


@pytest.fixture(scope="session", params=STORES)
def store(request: pytest.FixtureRequest) -> Location:
    """Each store in turn."""
    fixtures = {SEAWEEDFS: "seaweedfs", NO_FORMS: "no_forms"}
    place: Location = (
        request.getfixturevalue(fixtures[request.param]) if request.param in fixtures else Location(**_more)
    )
    return place


@pytest.fixture(scope="session")
def bucket(store: Location) -> Bucket:
    """The port on one store, set up."""
    made = bucket_at(replace(store, key_prefix="customer/files"))
    made.ensure([ORIGIN])
    return made


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
    """Leave out forms where the world has none: the store behind the proxy is asked about them by a test of its own."""
    asked = [item for item in items if not _sends_a_form_in_vain(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in asked])
    items[:] = asked


def _sends_a_form_in_vain(item: pytest.Item) -> bool:
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return parameters.get("store") == NO_FORMS and parameters.get("method") == "POST"
