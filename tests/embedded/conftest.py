"""A data folder and a ``portal up`` for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.embedded_stack import Up
from tests.support.engines import signatures


@contextmanager
def passable_folder() -> Iterator[Path]:
    """A folder that the database's own user can pass through, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="stowage-up-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder."""
    with passable_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    """The whole portal, in a folder with a space in its path; a test may kill what comes back by itself."""
    with passable_folder() as folder:
        stack = Up(folder / "all data", real=True, PORTAL_SCANNER_TEST_DATABASE=str(signatures(folder / "signatures")))
        try:
            stack.start()
            yield stack
        finally:
            stack.clean_up()


@pytest.fixture
def up(place: Path) -> Iterator[Up]:
    """A stack that is stopped in the end."""
    stack = Up(place / "data", PORTAL_SCANNER_TEST_DATABASE=str(signatures(place / "signatures")))
    yield stack
    stack.clean_up()
