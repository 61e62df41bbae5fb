"""A data folder and a ``portal up`` for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.stack import Up
from tests.engines import signatures


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the database's own user can pass through, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="stowage-up-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def up(place: Path) -> Iterator[Up]:
    """A stack that is stopped in the end."""
    stack = Up(place / "data", PORTAL_SCANNER_TEST_DATABASE=str(signatures(place / "signatures")))
    yield stack
    stack.clean_up()
