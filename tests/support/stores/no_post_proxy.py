"""A proxy before a real store that answers form uploads with 501 NotImplemented, as Cloudflare R2 and Backblaze B2 do.

Everything else passes unchanged, in both directions and as a stream: the Host header too, so that signatures made for
the proxy's address hold at the store behind it.

    with Proxy("http://127.0.0.1:8333") as proxy: ...            # proxy.url
    python -m tests.stores.no_post_proxy --upstream http://127.0.0.1:8333 --port 0
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import threading
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

CHUNK = 64 * 1024
TIMEOUT = 120  # seconds without a byte
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"}
REFUSAL = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NotImplemented</Code>'
    b"<Message>Uploading by a form is not implemented.</Message></Error>"
)


class Proxy:
    """A running proxy on a loopback port (0: a free one); stops at the end of its ``with``."""

    def __init__(
        self,
        upstream: str,
        port: int = 0,
        *,
        cut_downloads_at: int | None = None,
        before: Callable[[str, str, Message], bool] | None = None,
    ) -> None:
        """More faults, for tests: ``cut_downloads_at`` breaks the connection after so many bytes of an answer's body;
        ``before`` is called with method, path and headers of each request, and refuses it by answering True.
        """
        parts = urlsplit(upstream)
        settings = {"store": (parts.hostname, parts.port or 80), "cut_at": cut_downloads_at, "before": [before]}
        handler = type("Handler", (_Handler,), settings)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self) -> None:
        """Serve in this thread until ``stop``."""
        self._server.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        """Take no more requests; those under way end on their own."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve, name="no-post-proxy", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT
    disable_nagle_algorithm = True
    store: tuple[str, int]
    cut_at: int | None
    before: list[Callable[[str, str, Message], bool] | None]  # in a list: a bare function would become a method

    def _refused(self) -> bool:
        if self.command == "POST" and self.headers.get_content_type() == "multipart/form-data":
            return True
        return any(before(self.command, self.path, self.headers) for before in self.before if before)

    def _pass(self) -> None:
        if self._refused():
            for _ in self._body():  # a client that is still sending would see a broken pipe instead of the answer
                pass
            self._answer(501, REFUSAL)
            return
        upstream = self._upstream()
        try:
            self._ask(upstream)
            self._relay(upstream.getresponse())
        except OSError:
            self.close_connection = True
        finally:
            upstream.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = _pass  # noqa: N815 (names of http.server)

    def _upstream(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.store, timeout=TIMEOUT)

    def _ask(self, upstream: http.client.HTTPConnection) -> None:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                upstream.putheader(name, value)
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
        if chunked:
            upstream.putheader("Transfer-Encoding", "chunked")
        upstream.endheaders()
        try:
            for piece in self._body():
                upstream.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                upstream.send(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the store has answered before the end: its answer is what counts

    def _relay(self, response: http.client.HTTPResponse) -> None:
        length = response.getheader("Content-Length")
        bodiless = self.command == "HEAD" or response.status in (204, 304)
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if length is None and not bodiless:
            self.close_connection = True
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        sent = 0
        while piece := response.read1(CHUNK):
            if self.cut_at is not None:
                piece = piece[: self.cut_at - sent]
            self.wfile.write(piece)
            sent += len(piece)
            if sent == self.cut_at:
                self.close_connection = True
                return

    def _body(self) -> Any:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while left := int(self.rfile.readline().split(b";")[0], 16):
                yield from self._exactly(left)
                self.rfile.readline()
            self.rfile.readline()
        else:
            yield from self._exactly(int(self.headers.get("Content-Length") or 0))

    def _exactly(self, left: int) -> Any:
        while left > 0:
            piece = self.rfile.read1(min(left, CHUNK))
            if not piece:
                raise ConnectionAbortedError("the client went away")
            left -= len(piece)
            yield piece

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Say nothing."""


def _main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--upstream", required=True, help="the store's address, e.g. http://127.0.0.1:8333")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    arguments = parser.parse_args()
    proxy = Proxy(arguments.upstream, arguments.port)
    print(proxy.url, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        proxy.serve()


if __name__ == "__main__":
    _main()
