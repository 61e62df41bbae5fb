"""What a store of a customer's says is refused in our words where it makes no sense, and never kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from portal.errors import Unavailable
from portal.storage.bucket import Bucket
from portal.storage.egress import Egress
from portal.storage.location import Location
from portal.storage.parts import MOST_PAGES

DAY = "Tue, 24 Nov 2026 01:00:00 GMT"
PAGE = """<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>%d</NextPartNumberMarker>
<Part><PartNumber>1</PartNumber><Size>5</Size><ETag>"a"</ETag><LastModified>2026-11-24T01:00:00Z</LastModified></Part>
</ListPartsResult>"""


class Liar(BaseHTTPRequestHandler):
    """Answers everything with ``headers`` and ``body``, which is told the number of the request."""

    protocol_version = "HTTP/1.1"
    headers_told: dict[str, str] = {}
    body: Callable[[int], str] = staticmethod(lambda _number: "")
    asked = 0

    def _answer(self) -> None:
        kind = type(self)
        kind.asked += 1
        self.send_response_only(200)
        content = kind.body(kind.asked).encode() if self.command != "HEAD" else b""
        told = {"Content-Length": str(len(content)), **kind.headers_told}
        for name, value in told.items():
            if value:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    do_GET = do_HEAD = do_POST = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def liar() -> Iterator[Any]:
    """Its handler, to tell what it says, and a bucket there as ``bucket``."""
    kind: Any = type("OneLiar", (Liar,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        at = f"http://127.0.0.1:{server.server_port}"
        kind.bucket = Bucket(Location(at, None, "us-east-1", "bucket", "key", "secret", egress=Egress.parse([at])))
        yield kind
        server.shutdown()


@pytest.mark.parametrize(
    "told",
    [
        {"Content-Length": ""},
        {"Content-Length": "-5"},
        {"Content-Length": "many"},
        {"ETag": "x" * 1000},
        {"x-amz-checksum-sha256": "not base 64!"},
        {"x-amz-checksum-sha256": "ä"},
    ],
)
def test_facts_that_make_no_sense_are_no_facts(liar: Any, told: dict[str, str]) -> None:
    liar.headers_told = {"Content-Length": "5", "ETag": '"e"', "Last-Modified": DAY, **told}
    with pytest.raises(Unavailable):
        liar.bucket.head("workspaces/x/a")


@pytest.mark.parametrize("date", [DAY, "yesterday", "Fri, 31 Dec 9999 23:59:00 -2300"])
def test_facts_that_make_sense_are_taken_and_a_date_that_nobody_reads_hurts_nobody(liar: Any, date: str) -> None:
    liar.headers_told = {"Content-Length": "5", "ETag": '"e"', "Last-Modified": date}
    facts = liar.bucket.head("workspaces/x/a")
    assert (facts.size, facts.etag) == (5, "e")


@pytest.mark.parametrize("name", ["x" * 100_000, ""])
def test_a_name_for_an_upload_that_makes_no_sense_is_not_kept(liar: Any, name: str) -> None:
    inner = f"<UploadId>{name}</UploadId>" if name else ""
    liar.body = staticmethod(lambda _number: f"<InitiateMultipartUploadResult>{inner}</InitiateMultipartUploadResult>")
    with pytest.raises(Unavailable):
        liar.bucket.parts("workspaces/x/a").begin("text/plain")


def test_a_list_that_never_ends_is_read_as_far_as_it_makes_sense(liar: Any) -> None:
    liar.body = staticmethod(lambda number: PAGE % number)
    assert len(liar.bucket.parts("workspaces/x/a").there("upload")) <= MOST_PAGES
    assert liar.asked <= MOST_PAGES + 1


def test_parts_without_what_parts_have_are_refused(liar: Any) -> None:
    page = "<ListPartsResult><Part><PartNumber>1</PartNumber></Part></ListPartsResult>"
    liar.body = staticmethod(lambda _number: page)
    with pytest.raises(Unavailable):
        liar.bucket.parts("workspaces/x/a").there("upload")
