"""A WSGI application for tests of the web server: ``/wait`` is answered once the file ``WAIT_FOR`` exists."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Any other path is answered at once."""
    while environ["PATH_INFO"] == "/wait" and not Path(os.environ["WAIT_FOR"]).exists():
        time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
