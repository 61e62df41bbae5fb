"""A store of a customer's that answers without end fills no memory."""

from __future__ import annotations

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from portal.errors import Unavailable
from portal.network.egress import Egress
from portal.objectstore.bucket import Bucket
from portal.objectstore.client import MAX_ANSWER
from portal.objectstore.location import Location


class Endless(BaseHTTPRequestHandler):
    """Answers every question with far more than anybody wants to hear."""

    sent = 0

    def do_GET(self) -> None:
        self.send_response(200 if "list-type" in self.path else 500)
        self.end_headers()
        with suppress(OSError):
            for _ in range(200):
                self.wfile.write(b" " * 1024**2)
                Endless.sent += 1024**2

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("what", ["list", "get"])
def test_what_never_ends_is_not_read_to_its_end(what: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        bucket = Bucket(Location(address, None, "us-east-1", "bucket", "key", "secret", egress=Egress.parse([address])))
        Endless.sent = 0
        with pytest.raises(Unavailable):
            if what == "list":
                list(bucket.list("workspaces/x/"))
            else:
                with bucket.get("workspaces/x/y"):
                    pass
        server.shutdown()
    assert Endless.sent < 3 * MAX_ANSWER
