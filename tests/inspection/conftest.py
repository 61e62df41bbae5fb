"""Scanners for the tests of intake: one real clamd a session, with small limits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.clamd_daemons import Daemon


@pytest.fixture(scope="session")
def clamd() -> Iterator[Daemon]:
    """A clamd that knows EICAR alone and takes 8 MB."""
    with Daemon() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def dated_clamd() -> Iterator[Daemon]:
    """A clamd that has loaded a dated signature database, as one kept by freshclam has."""
    with Daemon(dated=True) as daemon:
        yield daemon
