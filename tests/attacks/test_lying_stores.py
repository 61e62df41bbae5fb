"""What a store of a customer's says is refused in our words where it makes no sense, and never kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from portal.errors import Unavailable
from portal.network.egress import Egress
from portal.objectstore import bucket as bucket_port
from portal.objectstore import listing as listing_limits
from portal.objectstore.bucket import Bucket
from portal.objectstore.location import Location
from portal.objectstore.multipart import MAX_PAGES as MAX_PART_PAGES

DAY = "Tue, 24 Nov 2026 01:00:00 GMT"
PAGE = """<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>%d</NextPartNumberMarker>
<Part><PartNumber>1</PartNumber><Size>5</Size><ETag>"a"</ETag><LastModified>2026-11-24T01:00:00Z</LastModified></Part>
</ListPartsResult>"""


class Liar(BaseHTTPRequestHandler):
    """Answers everything with ``headers`` and ``body``, which is told the number of the request.

    ``removals`` are the questions that would remove something.
    """

    protocol_version = "HTTP/1.1"
    headers_told: dict[str, str] = {}
    body: Callable[[int], str] = staticmethod(lambda _number: "")
    asked = 0
    removals: list[str]

    def _answer(self) -> None:
        kind = type(self)
        kind.asked += 1
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.command == "DELETE" or self.path.endswith("?delete"):
            kind.removals.append(self.path + sent)
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

    do_GET = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def liar() -> Iterator[Any]:
    """Its handler, to tell what it says, and a bucket there as ``bucket``."""
    kind: Any = type("OneLiar", (Liar,), {"removals": []})
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
        {"Last-Modified": "yesterday"},
    ],
)
def test_facts_that_make_no_sense_are_no_facts(liar: Any, told: dict[str, str]) -> None:
    liar.headers_told = {"Content-Length": "5", "ETag": '"e"', "Last-Modified": DAY, **told}
    with pytest.raises(Unavailable):
        liar.bucket.head("workspaces/x/a")


@pytest.mark.parametrize("date", [DAY, "Fri, 31 Dec 9999 23:59:00 -2300"])
def test_facts_that_make_sense_are_taken(liar: Any, date: str) -> None:
    liar.headers_told = {"Content-Length": "5", "ETag": '"e"', "Last-Modified": date}
    facts = liar.bucket.head("workspaces/x/a")
    assert (facts.size, facts.etag) == (5, "e")


@pytest.mark.parametrize("name", ["x" * 100_000, ""])
def test_a_name_for_an_upload_that_makes_no_sense_is_not_kept(liar: Any, name: str) -> None:
    inner = f"<UploadId>{name}</UploadId>" if name else ""
    liar.body = staticmethod(lambda _number: f"<InitiateMultipartUploadResult>{inner}</InitiateMultipartUploadResult>")
    with pytest.raises(Unavailable):
        liar.bucket.multipart("workspaces/x/a").create("text/plain")


def test_a_list_that_never_ends_is_read_as_far_as_it_makes_sense(liar: Any) -> None:
    liar.body = staticmethod(lambda number: PAGE % number)
    assert len(liar.bucket.multipart("workspaces/x/a").list_parts("upload")) <= MAX_PART_PAGES
    assert liar.asked <= MAX_PART_PAGES + 1


def listing(*names: str, more: str = "") -> str:
    """A page of a listing; ``more``: the token of the next one."""
    entry = "<Contents><Key>%s</Key><Size>1</Size><LastModified>2026-11-24T01:00:00Z</LastModified></Contents>"
    end = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    return f"<ListBucketResult>{''.join(entry % name for name in names)}{end}</ListBucketResult>"


@pytest.mark.parametrize(
    "names",
    [
        ["payroll/2026.xlsx"],
        ["workspaces/x/uploads/u/a", "payroll/2026.xlsx"],
        ["workspaces/x/uploads/u"],
        ["workspaces/x/uploads/other/a"],
        ["prefix/workspaces/x/uploads/u/a"],
    ],
)
def test_a_store_that_ignores_the_prefix_makes_us_remove_nothing(
    liar: Any, names: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    liar.body = staticmethod(lambda _number: listing(*names))
    with pytest.raises(Unavailable, match="does not support this request"):
        liar.bucket.delete_prefix("workspaces/x/uploads/u/")
    with pytest.raises(Unavailable, match="does not support this request"):
        list(liar.bucket.list("workspaces/x/uploads/u/"))
    assert liar.removals == []
    assert "does not lie below the prefix" in caplog.text
    assert "payroll" not in caplog.text


def test_below_a_profiles_prefix_what_is_named_without_it_is_not_ours(liar: Any) -> None:
    place = replace(liar.bucket.location, key_prefix="team")
    liar.body = staticmethod(lambda _number: listing("workspaces/x/uploads/u/a"))
    with pytest.raises(Unavailable):
        Bucket(place).delete_prefix("workspaces/x/uploads/u/")
    assert liar.removals == []


def test_what_could_not_be_removed_is_tried_again_and_nothing_else_that_the_answer_names(liar: Any) -> None:
    error = "<Error><Key>%s</Key><Code>InternalError</Code></Error>"
    errors = [error % name for name in ("workspaces/x/uploads/u/a", "payroll/2026.xlsx")]
    pages = [listing("workspaces/x/uploads/u/a"), f"<DeleteResult>{''.join(errors)}</DeleteResult>", ""]
    liar.body = staticmethod(lambda number: pages[number - 1])
    assert liar.bucket.delete_prefix("workspaces/x/uploads/u/") == 1
    assert liar.removals[1:] == ["/bucket/workspaces/x/uploads/u/a"]
    assert "payroll" not in "".join(liar.removals)


def test_uploads_elsewhere_in_the_bucket_are_not_told(liar: Any) -> None:
    upload = "<Upload><Key>%s</Key><UploadId>1</UploadId><Initiated>2026-11-24T01:00:00Z</Initiated></Upload>"
    named = [upload % name for name in ("payroll/2026.xlsx", "workspaces/x/uploads/u/a")]
    liar.body = staticmethod(
        lambda _number: f"<ListMultipartUploadsResult>{''.join(named)}</ListMultipartUploadsResult>"
    )
    assert [key for key, _ in liar.bucket.list_uploads("workspaces/x/uploads/")] == ["workspaces/x/uploads/u/a"]


ONE, ALL = "workspaces/x/uploads/u/", "workspaces/x/uploads/"
ENDLESS: dict[str, Callable[[int], str]] = {
    "always more": lambda number: listing(f"{ONE}{number:06}", more=str(number)),
    "always more of nothing": lambda number: listing(more=str(number)),
    "the same token": lambda number: listing(f"{ONE}{number:06}", more="1"),
    "the same page": lambda number: listing(f"{ONE}a", f"{ONE}b", more=str(number)),
    "a page that overlaps": lambda number: listing(f"{ONE}{number:06}", f"{ONE}{number + 1:06}", more=str(number)),
    "round and round": lambda number: listing(f"{ONE}{number % 3}a", f"{ONE}{number % 3}b", more=str(number)),
    "more somewhere": lambda _number: listing(f"{ONE}a", more="nowhere").replace("nowhere", ""),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_list_of_one_uploads_objects_that_never_ends_is_refused(liar: Any, kind: str) -> None:
    liar.body = staticmethod(ENDLESS[kind])
    with pytest.raises(Unavailable, match="does not support this request"):
        list(liar.bucket.list(ONE))
    assert liar.asked <= listing_limits.MAX_PAGES_SMALL
    with pytest.raises(Unavailable, match="does not support this request"):
        liar.bucket.delete_prefix(ONE)
    assert liar.asked <= 3 * listing_limits.MAX_PAGES_SMALL  # to remove a page is a question, too


@pytest.mark.parametrize("kind", [kind for kind in ENDLESS if not kind.startswith("always")])
def test_a_list_of_a_whole_workspace_that_turns_in_circles_is_refused(liar: Any, kind: str) -> None:
    liar.body = staticmethod(ENDLESS[kind])
    with pytest.raises(Unavailable):
        list(liar.bucket.list(ALL))
    assert liar.asked <= 4


def test_a_list_of_a_whole_workspace_may_be_long_and_has_an_end(liar: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pages, limit = 3 * listing_limits.MAX_PAGES_SMALL, 4 * listing_limits.MAX_PAGES_SMALL
    monkeypatch.setattr(bucket_port, "MAX_PAGES", limit)
    liar.body = staticmethod(lambda number: listing(f"{ONE}{number}", more="" if number == pages else str(number)))
    assert len(list(liar.bucket.list(ALL))) == pages
    liar.body = staticmethod(ENDLESS["always more"])
    with pytest.raises(Unavailable):
        list(liar.bucket.list(ALL))
    assert liar.asked == pages + limit


def test_parts_without_what_parts_have_are_refused(liar: Any) -> None:
    page = "<ListPartsResult><Part><PartNumber>1</PartNumber></Part></ListPartsResult>"
    liar.body = staticmethod(lambda _number: page)
    with pytest.raises(Unavailable):
        liar.bucket.multipart("workspaces/x/a").list_parts("upload")
