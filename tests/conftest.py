"""One set of real engines and one application a run; a fresh tenant with its people for every test that wants one.

``make test`` runs several at a time, each with engines of its own; a test never sees the others'.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from flask import Flask
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from portal.app import create_app
from portal.database import db
from portal.storage.service import prepare_managed_store
from tests.support import secret_canary
from tests.support.client import either, post_site, put_site, scene, site, text
from tests.support.deployment import Live, start_live
from tests.support.engines import TestEngines, start_engines
from tests.support.people import Cast, make_cast
from tests.support.processes import make_tables

pytest_plugins = ["tests.support.stores.fixtures"]
__all__ = ["either", "post_site", "put_site", "scene", "site", "text"]  # fixtures that live beside what they make

# Tests that share many processes which take long to start stay together in one of ours, and begin first. The browser's
# are two such groups: together they would take longer than all other tests.
BROWSER, FAULTS = "tests/browser/test_", "tests/faults/"


class ByFile(LoadScopeScheduling):
    """Shares the tests out by file, and those that share processes together."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(BROWSER):
            return f"{BROWSER}{'a-m' if nodeid[len(BROWSER)] <= 'm' else 'n-z'}"
        return FAULTS if nodeid.startswith(FAULTS) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """How ``make test`` shares the tests out."""
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the largest groups begin first, where the tests are shared out."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith((BROWSER, FAULTS)))


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestEngines]:
    """Postgres with our tables, Valkey, SeaweedFS and, when installed, clamd. In the end the canary is looked for."""
    logging.getLogger().addHandler(secret_canary.SecretLogHandler())
    running = start_engines()
    try:
        make_tables(running)
        yield running
        assert secret_canary.search(running, tmp_path_factory.getbasetemp()) == []
    finally:
        running.stop()


@pytest.fixture(scope="session")
def app(engines: TestEngines) -> Iterator[Flask]:
    """The whole application on these engines, its store prepared."""
    settings = engines.settings()
    application = secret_canary.listen(create_app(settings))
    with application.app_context():
        prepare_managed_store(settings)
    yield application
    with application.app_context():
        db.engine.dispose()
    application.extensions["portal.redis"].close()
    application.extensions["portal.rates"].close()


@pytest.fixture
def in_app(app: Flask) -> Iterator[Flask]:
    """Inside the application, for a test that calls services."""
    with app.app_context():
        yield app


@pytest.fixture
def cast(app: Flask) -> Cast:
    """Alice owns, bob edits, vera views, tina administers the tenant, mallory is from another tenant."""
    return make_cast(app)


@pytest.fixture(scope="session")
def live_portal(engines: TestEngines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Web, workers and clock as processes of their own, on a database, a queue and a bucket of their own."""
    with start_live(engines, tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture
def live(live_portal: Live) -> Iterator[Live]:
    """The same, all well before and after."""
    live_portal.all_well()
    yield live_portal
    live_portal.all_well()
