"""A store that does what it should not: a proxy before a real one, told by a script which requests to treat how.

    with Faulty(place) as store:                       # place: a Location with every right
        with store.playing(slow(20), reads):           # until the block ends, reads take twenty seconds
            ...
        with store.playing(lax("content-length")):     # signed lengths are ignored
            ...

What it can play: ``answers`` (500, 503, 403 … with S3's code), ``slow``, ``drips``, ``reset``, ``truncated``,
``short`` (a length that fits, and too few bytes), ``says`` (lying headers: an ETag, a clock), ``page``, ``redirects``,
``lax`` (what was signed is not held to: policies, lengths, types, checksums, if-match) and ``open_to_all``. All other
requests pass.
"""

from __future__ import annotations

import base64
import contextlib
import email.parser
import email.policy
import hashlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from portal.objectstore.location import Location
from tests.support.stores.unruly import ERROR, Unruly, Wanted, anything

Play = Callable[[Any], bool]  # gets the request's handler; True when it has answered
SIGNED = "X-Amz-"


def methods(*names: str) -> Wanted:
    """Requests with these methods."""
    return lambda method, _path, _headers: method in names


def writes(method: str, path: str, _headers: Message) -> bool:
    """What stores objects or parts, and begins uploads."""
    return method == "PUT" or (method == "POST" and not path.endswith("?delete"))


def with_key(method: str, path: str, headers: Message) -> bool:
    """What carries a signature."""
    return "Authorization" in headers or "X-Amz-Signature" in path


def deletions(method: str, path: str, _headers: Message) -> bool:
    """What removes objects."""
    return method == "DELETE" or path.endswith("?delete")


def answers(status: int, code: str = "", **headers: str) -> Play:
    """This status with S3's error code instead of an answer; ``_`` in a header's name stands for ``-``."""

    def play(handler: Any) -> bool:
        handler._swallow()
        body = ERROR % code.encode() if code and handler.command != "HEAD" else b""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.reply(status, {"Content-Type": "application/xml", "x-amz-request-id": "1", **named}, body)
        return True

    return play


def page(handler: Any) -> bool:
    """A web page, whatever was asked."""
    handler._swallow()
    handler.reply(200, {"Content-Type": "text/html"}, b"<!doctype html><html><title>Console</title></html>")
    return True


def a_part_called_whole(handler: Any) -> bool:
    """The part that was asked for, with the status of the whole."""
    handler.status = 200
    return says()(handler)


def other_protocol(handler: Any) -> bool:
    """What a store answers by another protocol that it speaks, where nothing is signed."""
    handler._swallow()
    handler.reply(412, {"Content-Type": "text/html"}, b"Bad URL")
    return True


def listing(handler: Any) -> bool:
    """A listing of nothing, whatever was asked of the bucket: what it was asked for is not known, and not read."""
    handler._swallow()
    body = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name></ListBucketResult>'
    handler.reply(200, {"Content-Type": "application/xml", "x-amz-request-id": "1"}, body)
    return True


def ignores_prefixes(handler: Any) -> bool:
    """A listing of the whole bucket, whatever it was asked for."""
    path, _, query = handler.path.partition("?")
    if "list-type" not in query:
        return False
    kept = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "prefix"]
    handler._swallow()
    handler.as_owner("GET", f"{path}?{urlencode(kept, quote_via=quote)}", {}, b"")
    return True


def done_without_a_word(handler: Any) -> bool:
    """It says that it is done, and nothing of what belongs in the answer."""
    handler._swallow()
    handler.reply(200, {"x-amz-request-id": "1"}, b"")
    return True


def echoes_encryption(handler: Any) -> bool:
    """Shows of an object whatever cipher its writer named, and has done nothing of it."""
    name = handler.path.partition("?")[0]
    if handler.command == "PUT":
        _TOLD[name] = handler.headers.get("x-amz-server-side-encryption", "")
        return lax("x-amz-server-side-encryption")(handler)
    return says(x_amz_server_side_encryption=_TOLD.get(name, ""))(handler)


_TOLD: dict[str, str] = {}


def redirects(to: str) -> Play:
    """Somewhere else, by a plain redirect of HTTP."""

    def play(handler: Any) -> bool:
        handler._swallow()
        handler.reply(302, {"Location": to}, b"")
        return True

    return play


def slow(seconds: float) -> Play:
    """As it should be, only later."""

    def play(_handler: Any) -> bool:
        time.sleep(seconds)
        return False

    return play


def drips(seconds: float, *, content: int = 0) -> Play:
    """Headers without end, a byte every so many seconds; with ``content``, an object of that size, in the same way."""

    def play(handler: Any) -> bool:
        handler._swallow()
        handler.close_connection = True
        length = f"Content-Length: {content}\r\n\r\n" if content else "X-Slow: "
        with contextlib.suppress(OSError):
            handler.wfile.write(f"HTTP/1.1 200 OK\r\n{length}".encode())
            for _ in range(content or 1000):
                time.sleep(seconds)
                handler.wfile.write(b"x")
                handler.wfile.flush()
        return True

    return play


def reset(handler: Any) -> bool:
    """Nothing: the line is broken."""
    handler._reset()
    return True


def truncated(after: int) -> Play:
    """The line is broken in the middle of the answer, after so many bytes of its body."""

    def play(handler: Any) -> bool:
        handler.cut_at = after
        return False

    return play


def short(handler: Any) -> bool:
    """An answer that is whole by itself, and one byte less than the object."""
    handler.alter = lambda _headers, body: ({}, body[:-1])
    return False


def says(**headers: str) -> Play:
    """The true answer with other headers."""

    def play(handler: Any) -> bool:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.alter = lambda _headers, body: (named, body)
        return False

    return play


def changes_etags(handler: Any) -> bool:
    """An ETag that is another one at every look."""
    lie = hashlib.md5(str(time.monotonic_ns()).encode(), usedforsecurity=False).hexdigest()
    return says(ETag=f'"{lie}"')(handler)


class NewEtags:
    """Every write has an ETag of its own, a copy onto itself, too; so it is where each gets a key of its own (SSE-KMS).

    It holds to the if-match of a copy, with these ETags.
    """

    def __init__(self) -> None:
        self._written: dict[str, int] = {}

    def __call__(self, handler: Any) -> bool:
        """Play."""
        name = unquote(handler.path.partition("?")[0])
        if handler.command != "PUT":
            return says(ETag=self._etag(name))(handler)
        wanted = handler.headers.get("x-amz-copy-source-if-match")
        source = "/" + unquote(handler.headers.get("x-amz-copy-source", "")).lstrip("/")
        if wanted and wanted != self._etag(source):
            return answers(412, "PreconditionFailed")(handler)
        self._written[name] = self._written.get(name, 0) + 1
        return lax("x-amz-copy-source-if-match")(handler)

    def _etag(self, name: str) -> str:
        told = f"{name} {self._written.get(name, 0)}".encode()
        return f'"{hashlib.md5(told, usedforsecurity=False).hexdigest()}"'


def lax(*dropped: str) -> Play:
    """Whatever was signed: these headers are forgotten, and the request is done by the store's own right."""

    def play(handler: Any) -> bool:
        body = b"".join(handler._body())
        kept = {
            name: value
            for name, value in handler.headers.items()
            if name.lower() not in (*dropped, "authorization", "host", "x-amz-date", "x-amz-content-sha256")
            and (name.lower().startswith("x-amz-") or name.lower() in ("content-type", "range", "origin"))
        }
        handler.as_owner(handler.command, handler.path, kept, body)
        return True

    return play


def takes_any_form(handler: Any) -> bool:
    """A form is stored at its key, whatever its policy says."""
    parts = _form(handler.headers["Content-Type"], b"".join(handler._body()))
    path = f"{urlsplit(handler.path).path.rstrip('/')}/{quote(parts['key'].decode())}"
    kind = parts.get("Content-Type", b"text/plain").decode()
    handler.as_owner("PUT", path, {"Content-Type": kind}, parts["file"], status=204)
    return True


def takes_unsigned_fields(handler: Any) -> bool:
    """A form is held to its policy, but for fields that the policy does not name."""
    parts = _form(handler.headers["Content-Type"], b"".join(handler._body()))
    policy = json.loads(base64.b64decode(parts["policy"]))
    signed = {name: value for each in policy["conditions"] if isinstance(each, dict) for name, value in each.items()}
    (least, most) = next(each[1:] for each in policy["conditions"] if isinstance(each, list))
    keeps = all(parts.get(name, b"").decode() == value for name, value in signed.items() if name != "bucket")
    if (
        keeps
        and least <= len(parts["file"]) <= most
        and datetime.now(UTC) < datetime.fromisoformat(policy["expiration"])
    ):
        path = f"{urlsplit(handler.path).path.rstrip('/')}/{quote(parts['key'].decode())}"
        handler.as_owner("PUT", path, {"Content-Type": parts["Content-Type"].decode()}, parts["file"], status=204)
    else:
        handler.reply(403, {"Content-Type": "application/xml"}, ERROR % b"AccessDenied")
    return True


open_to_all = lax()


def without_key(method: str, path: str, headers: Message) -> bool:
    """What carries no signature, and is no form."""
    return method in ("GET", "HEAD", "PUT") and not with_key(method, path, headers)


def forms(method: str, _path: str, headers: Message) -> bool:
    """Uploads by a form."""
    return method == "POST" and headers.get_content_type() == "multipart/form-data"


def signed_uploads(method: str, path: str, _headers: Message) -> bool:
    """Uploads by a signed URL."""
    return method == "PUT" and "X-Amz-Signature" in path


class Faulty(Unruly):
    """A running store. ``place`` is the real one; ``at`` the same as reached through this."""

    def __init__(self, place: Location) -> None:
        super().__init__(place.endpoint or "")
        self.place = place
        self._plays: list[tuple[Wanted, Play]] = []
        handler: Any = self._server.RequestHandlerClass
        self._server.RequestHandlerClass = type("FaultyHandler", (_Playing, handler), {"proxy": self})

    @contextmanager
    def playing(self, play: Play, wanted: Wanted = anything) -> Iterator[None]:
        """Every such request is treated so until the block ends; the latest told comes first."""
        entry = (wanted, play)
        self._plays.insert(0, entry)
        try:
            yield
        finally:
            self._plays.remove(entry)

    def plays_for(self, method: str, path: str, headers: Message) -> list[Play]:
        """What becomes of one request."""
        return [play for wanted, play in self._plays if wanted(method, path, headers)]


class _Playing:
    proxy: Faulty
    status: int | None  # instead of the true one
    alter: Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]] | None

    def _pass(self: Any) -> None:
        self.alter, self.cut_at, self.status = None, None, None
        for play in self.proxy.plays_for(self.command, self.path, self.headers):
            if play(self):
                return
        cut_at = self.cut_at
        super()._pass() if cut_at is None else self._cut(cut_at)  # type: ignore[misc]

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = _pass  # noqa: N815 (names of http.server)

    def _cut(self: Any, after: int) -> None:
        upstream = self._upstream()
        self._ask(upstream)
        self.cut_at = after
        self._relay(upstream.getresponse())
        upstream.close()

    def _relay(self: Any, response: http.client.HTTPResponse) -> None:
        if self.alter is None:
            super()._relay(response)  # type: ignore[misc]
            return
        length = response.getheader("Content-Length") or "0"
        body = response.read()
        changed, body = self.alter({}, body)
        headers = {name: value for name, value in response.getheaders() if name.lower() not in _OURS}
        for name in changed:
            headers = {each: value for each, value in headers.items() if each.lower() != name.lower()}
        self.reply(
            self.status or response.status,
            {**headers, **changed},
            body,
            length=length if self.command == "HEAD" else None,
        )

    def reply(self: Any, status: int, headers: dict[str, str], body: bytes, *, length: str | None = None) -> None:
        """Answer with exactly this."""
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def as_owner(
        self: Any, method: str, path: str, headers: dict[str, str], body: bytes, *, status: int | None = None
    ) -> None:
        """Do it at the real store with the owner's key, and pass the answer on."""
        place: Location = self.proxy.place
        parts = urlsplit(path)
        pairs = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not pair[0].startswith(SIGNED)]
        query = urlencode(pairs, quote_via=quote)
        url = f"{place.endpoint}{quote(unquote(parts.path))}" + (f"?{query}" if query else "")
        request = AWSRequest(method, url, headers=headers, data=body)
        request.headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
        S3SigV4Auth(Credentials(place.access_key_id, place.secret_access_key), "s3", place.region).add_auth(request)
        upstream = self._upstream()
        try:
            target = urlsplit(url)
            upstream.request(method, target.path + (f"?{target.query}" if query else ""), body, dict(request.headers))
            answer = upstream.getresponse()
            content = answer.read()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OURS}
            length = answer.getheader("Content-Length") if method == "HEAD" else None
            self.reply(status if status and answer.status < 300 else answer.status, kept, content, length=length)
        finally:
            upstream.close()


_OURS = ("content-length", "transfer-encoding", "connection")


def _form(content_type: str, body: bytes) -> dict[str, bytes]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    parts: Any = message.iter_parts()
    return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in parts}
