"""The web server of the Procfile, on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.engines import TestEngines
from tests.support.processes import Stack, own_settings


@pytest.fixture(scope="package")
def web_server(engines: TestEngines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The portal's web processes alone, as the Procfile starts them."""
    settings = own_settings(engines, "attacked", queue=6)
    stack = Stack(settings, tmp_path_factory.mktemp("attacked"), workers=0)
    try:
        stack.web.start()
        stack.wait_for_web()
        yield stack
    finally:
        stack.stop()
