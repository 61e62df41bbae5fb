"""The contract of the bucket port, on every store: what the portal itself does there."""

from __future__ import annotations

import hashlib
import io
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import Any
from uuid import uuid4

import pytest
import urllib3
from flask import Flask
from sqlalchemy import text

from portal import database
from portal.errors import Conflict, NotFound, Unavailable
from portal.objectstore import keys
from portal.objectstore.bucket import Bucket, bucket_at
from portal.objectstore.capabilities import supports_post
from portal.objectstore.cors import merged
from portal.objectstore.location import Location
from portal.objectstore.presign import SignedRequest
from tests.support.probe import ORIGIN
from tests.support.stores.fixtures import MORE, NO_FORMS, RESTRICTED, SEAWEEDFS
from tests.support.stores.no_post_proxy import Proxy

MB = 1024**2


def send(browser: urllib3.PoolManager, request: SignedRequest, body: bytes) -> int:
    """Send a signed request as a browser does; the status."""
    if request.method == "PUT":
        return browser.request("PUT", request.url, body=body, headers=request.headers).status
    return browser.request("POST", request.url, fields={**request.fields, "file": ("x", body, "x/y")}).status


def read(bucket: Bucket, key: str) -> bytes:
    with bucket.get(key) as stream:
        return stream.read()


# Objects.


def test_what_was_put_is_seen_and_read(bucket: Bucket, below: str) -> None:
    bucket.put(below + "a.txt", b"content", content_type="text/plain", cache_control="private")
    facts = bucket.head(below + "a.txt")
    assert facts is not None
    assert (facts.size, facts.content_type) == (7, "text/plain")
    assert facts.etag == hashlib.md5(b"content", usedforsecurity=False).hexdigest()
    assert read(bucket, below + "a.txt") == b"content"


def test_a_file_is_streamed_from_where_it_stands(bucket: Bucket, below: str) -> None:
    body = io.BytesIO(b"skipped" + b"content")
    body.seek(7)
    bucket.put(below + "a.txt", body, content_type="text/plain", size=7)
    assert read(bucket, below + "a.txt") == b"content"


def test_reading_is_a_stream_of_small_reads(bucket: Bucket, below: str) -> None:
    content = os.urandom(5 * MB + 17)
    bucket.put(below + "large.bin", io.BytesIO(content), content_type="application/octet-stream")
    pieces = []
    with bucket.get(below + "large.bin") as stream:
        assert stream.size == len(content)
        while piece := stream.read(64 * 1024):
            assert len(piece) <= 64 * 1024
            pieces.append(piece)
        assert stream.read(1) == b""
    assert b"".join(pieces) == content


def test_a_stream_may_be_left_in_the_middle(bucket: Bucket, below: str) -> None:
    bucket.put(below + "large.bin", bytes(5 * MB), content_type="application/octet-stream")
    for _ in range(3):
        with bucket.get(below + "large.bin") as stream:
            assert len(stream.read(10)) == 10


def test_a_missing_object_is_none_and_not_found_and_deleted(bucket: Bucket, below: str) -> None:
    assert bucket.head(below + "missing") is None
    with pytest.raises(NotFound), bucket.get(below + "missing"):
        pass
    bucket.delete(below + "missing")


def test_a_deleted_object_is_gone(bucket: Bucket, below: str) -> None:
    bucket.put(below + "a", b"1", content_type="text/plain")
    bucket.delete(below + "a")
    assert bucket.head(below + "a") is None


def test_listing_and_deleting_below_a_prefix_leaves_its_neighbours(bucket: Bucket, below: str) -> None:
    for number in range(5):
        bucket.put(f"{below}here/{number}", bytes(number), content_type="text/plain")
    bucket.put(f"{below}here-not/5", b"12345", content_type="text/plain")
    listed = list(bucket.list(f"{below}here/"))
    assert [(key, size) for key, size, _ in listed] == [(f"{below}here/{number}", number) for number in range(5)]
    assert all(abs(datetime.now(UTC) - moment) < timedelta(minutes=5) for *_, moment in listed)
    assert bucket.delete_prefix(f"{below}here/") == 5
    assert [key for key, *_ in bucket.list(below)] == [f"{below}here-not/5"]
    assert bucket.delete_prefix(f"{below}here/") == 0


def test_more_objects_than_a_page_are_listed_and_deleted(bucket: Bucket, below: str) -> None:
    def put(number: int) -> None:
        bucket.put(f"{below}{number:04}", b"x", content_type="text/plain")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(1005)))
    assert len({key for key, *_ in bucket.list(below)}) == 1005
    assert bucket.delete_prefix(below) == 1005
    assert list(bucket.list(below)) == []


def test_where_batches_are_refused_objects_are_deleted_one_by_one(seaweedfs: Location) -> None:
    def refuse_batches(method: str, path: str, _headers: Message) -> bool:
        return method == "POST" and path.endswith("?delete")

    below = f"workspaces/{uuid4()}/"
    with Proxy(seaweedfs.endpoint or "", before=refuse_batches) as proxy:
        bucket = Bucket(replace(seaweedfs, endpoint=proxy.url))
        bucket.ensure_exists([ORIGIN])
        for number in range(3):
            bucket.put(f"{below}{number}", b"x", content_type="text/plain")
        assert bucket.delete_prefix(below) == 3
        assert list(bucket.list(below)) == []


@pytest.mark.parametrize("prefix", ["", "/", "workspaces", "workspaces/", ".stowage/", "other/x/", "../workspaces/x/"])
def test_a_prefix_without_an_owner_is_never_deleted(bucket: Bucket, prefix: str) -> None:
    with pytest.raises(ValueError, match="refusing"):
        bucket.delete_prefix(prefix)


@pytest.mark.needs_all_rights
def test_the_profiles_prefix_is_in_front_of_every_key(bucket: Bucket, below: str) -> None:
    bucket.put(below + "a", b"1", content_type="text/plain")
    whole = bucket_at(replace(bucket.location, key_prefix=""))
    assert whole.head("customer/files/" + below + "a") is not None
    assert whole.head(below + "a") is None
    assert [key for key, *_ in bucket.list(below)] == [below + "a"]


# Promotion.


@pytest.mark.parametrize("size", [1, 1000, 9 * MB])
def test_a_promoted_copy_is_the_verified_object_with_the_found_type(bucket: Bucket, below: str, size: int) -> None:
    content = os.urandom(size)
    bucket.put(below + "staging", content, content_type="image/jpeg")
    source = bucket.head(below + "staging")
    assert source is not None
    copy = bucket.copy(below + "staging", below + "final", if_etag=source.etag, content_type="image/png")
    assert (copy.size, copy.content_type) == (size, "image/png")
    assert bucket.head(below + "final") == copy
    assert read(bucket, below + "final") == content
    assert bucket.head(below + "staging") == source


def test_an_object_gets_another_type_and_keeps_its_content(bucket: Bucket, below: str) -> None:
    content = os.urandom(1000)
    bucket.put(below + "a", content, content_type="image/heif")
    bucket.set_content_type(below + "a", "image/heic")
    facts = bucket.head(below + "a")
    assert facts is not None and (facts.size, facts.content_type) == (1000, "image/heic")
    assert read(bucket, below + "a") == content
    with pytest.raises(NotFound):
        bucket.set_content_type(below + "missing", "image/heic")


def test_without_a_type_the_copy_keeps_the_sources(bucket: Bucket, below: str) -> None:
    bucket.put(below + "staging", b"x", content_type="image/jpeg")
    source = bucket.head(below + "staging")
    assert source is not None
    assert bucket.copy(below + "staging", below + "final", if_etag=source.etag).content_type == "image/jpeg"


@pytest.mark.parametrize("part_size", [None, 5 * MB])
def test_a_source_that_changed_after_it_was_verified_is_not_promoted(
    bucket: Bucket, below: str, part_size: int | None
) -> None:
    bucket.put(below + "staging", bytes(6 * MB), content_type="image/jpeg")
    verified = bucket.head(below + "staging")
    assert verified is not None
    bucket.put(below + "staging", os.urandom(6 * MB), content_type="image/jpeg")
    with pytest.raises(Conflict) as refusal:
        bucket.copy(below + "staging", below + "final", if_etag=verified.etag, part_size=part_size)
    assert refusal.value.code == "changed"
    assert bucket.head(below + "final") is None


def test_a_missing_source_is_not_found(bucket: Bucket, below: str) -> None:
    with pytest.raises(NotFound):
        bucket.copy(below + "missing", below + "final", if_etag="0" * 32)


@pytest.mark.asks_for("multipart")
@pytest.mark.parametrize("size", [10 * MB, 11 * MB + 1])
def test_a_large_object_is_copied_part_by_part(bucket: Bucket, below: str, size: int) -> None:
    content = os.urandom(size)
    bucket.put(below + "staging", content, content_type="video/mp4")
    source = bucket.head(below + "staging")
    assert source is not None
    copy = bucket.copy(below + "staging", below + "final", if_etag=source.etag, part_size=5 * MB)
    assert copy.size == size
    assert copy.content_type == "video/mp4"
    assert read(bucket, below + "final") == content


@pytest.mark.parametrize("part_size", [None, 5 * MB])
def test_a_source_that_changes_while_it_is_copied_is_not_promoted(seaweedfs: Location, part_size: int | None) -> None:
    direct, below = bucket_at(seaweedfs), f"workspaces/{uuid4()}/"
    direct.ensure_exists([ORIGIN])
    direct.put(below + "staging", bytes(11 * MB), content_type="image/jpeg")
    verified = direct.head(below + "staging")
    assert verified is not None
    changed_before = "partNumber=2" if part_size else ""

    def change(_method: str, path: str, headers: Message) -> bool:
        if "x-amz-copy-source" in headers and changed_before in path:
            direct.put(below + "staging", os.urandom(11 * MB), content_type="image/jpeg")
        return False

    with Proxy(seaweedfs.endpoint or "", before=change) as late:
        bucket = Bucket(replace(seaweedfs, endpoint=late.url))
        with pytest.raises(Conflict, match="changed"):
            bucket.copy(below + "staging", below + "final", if_etag=verified.etag, part_size=part_size)
    assert [key for key, *_ in direct.list(below)] == [below + "staging"]
    assert "Uploads" not in direct._client.list_multipart_uploads(Bucket=seaweedfs.bucket, Prefix=below)
    direct.delete_prefix(below)


# Forms and signed PUTs.


def test_a_store_is_asked_whether_it_takes_forms(bucket: Bucket, request: pytest.FixtureRequest) -> None:
    expected = {SEAWEEDFS: True, NO_FORMS: False, RESTRICTED: False}.get(request.node.callspec.params["store"])
    answer = supports_post(bucket)
    assert expected is None or answer is expected
    assert list(bucket.list(keys.PROBE_PREFIX)) == []


def sign(bucket: Bucket, method: str, key: str, content: bytes, *, checked: bool = False) -> SignedRequest:
    """A request for exactly this content by either method; skips where the store takes no forms."""
    if method == "POST" and not supports_post(bucket):
        pytest.skip("this store takes no form uploads")
    presign = bucket.presign_post if method == "POST" else bucket.presign_put
    sha256 = hashlib.sha256(content).hexdigest() if checked else None
    return presign(key, content_type="image/jpeg", size=len(content), sha256=sha256, expires_in=60)


both_methods = pytest.mark.parametrize("method", ["POST", "PUT"])


@both_methods
@pytest.mark.parametrize("checked", [False, True])
def test_a_signed_request_stores_what_was_promised(
    bucket: Bucket, below: str, browser: urllib3.PoolManager, method: str, checked: bool
) -> None:
    content = os.urandom(100_000)
    request = sign(bucket, method, below + "a b.jpg", content, checked=checked)
    assert send(browser, request, content) in (200, 201)
    facts = bucket.head(below + "a b.jpg")
    assert facts is not None
    assert (facts.size, facts.content_type) == (len(content), "image/jpeg")
    assert facts.sha256 in (None, hashlib.sha256(content).hexdigest())


@pytest.mark.asks_for("{method}")
@both_methods
@pytest.mark.parametrize("length", [9, 11, 0])
def test_another_length_is_refused(
    bucket: Bucket, below: str, browser: urllib3.PoolManager, method: str, length: int
) -> None:
    request = sign(bucket, method, below + "a.jpg", bytes(10))
    assert 400 <= send(browser, request, bytes(length)) < 500
    assert bucket.head(below + "a.jpg") is None


@pytest.mark.asks_for("{method}")
@both_methods
def test_another_type_is_refused(bucket: Bucket, below: str, browser: urllib3.PoolManager, method: str) -> None:
    request = sign(bucket, method, below + "a.jpg", b"content")
    sent = request.fields if method == "POST" else request.headers
    sent["Content-Type"] = "text/html"
    assert send(browser, request, b"content") == 403
    del sent["Content-Type"]
    assert send(browser, request, b"content") == 403
    assert bucket.head(below + "a.jpg") is None


@pytest.mark.asks_for("{method}")
@both_methods
def test_another_key_is_refused(bucket: Bucket, below: str, browser: urllib3.PoolManager, method: str) -> None:
    request = sign(bucket, method, below + "a.jpg", b"content")
    if method == "POST":
        request.fields["key"] = request.fields["key"].replace("a.jpg", "b.jpg")
    else:
        request = replace(request, url=request.url.replace("a.jpg", "b.jpg"))
    assert send(browser, request, b"content") == 403
    assert bucket.head(below + "a.jpg") is None
    assert bucket.head(below + "b.jpg") is None


@pytest.mark.asks_for("{method}", "sha256")
@both_methods
def test_other_content_than_the_checksum_promises_is_refused(
    bucket: Bucket, below: str, browser: urllib3.PoolManager, method: str
) -> None:
    request = sign(bucket, method, below + "a.jpg", b"content", checked=True)
    assert 400 <= send(browser, request, b"CONTENT") < 500
    sent = request.fields if method == "POST" else request.headers
    sent.pop("x-amz-checksum-algorithm", None)
    del sent["x-amz-checksum-sha256"]
    assert 400 <= send(browser, request, b"CONTENT") < 500
    assert bucket.head(below + "a.jpg") is None


@pytest.mark.asks_for("{method}")
@both_methods
def test_an_expired_request_is_refused(
    bucket: Bucket, below: str, browser: urllib3.PoolManager, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Yesterday(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) - timedelta(days=1)

    sign(bucket, method, below + "a.jpg", b"content")  # skips before the clock is turned
    with monkeypatch.context() as context:
        context.setattr("portal.objectstore.presign.datetime", Yesterday)
        request = (bucket.presign_post if method == "POST" else bucket.presign_put)(
            below + "a.jpg", content_type="image/jpeg", size=7, expires_in=60
        )
    assert 400 <= send(browser, request, b"content") < 500
    assert bucket.head(below + "a.jpg") is None


@pytest.mark.asks_for("{method}", "private")
@pytest.mark.parametrize("method", ["POST"])
def test_a_field_that_was_not_signed_is_refused(
    bucket: Bucket, below: str, browser: urllib3.PoolManager, method: str
) -> None:
    request = sign(bucket, method, below + "a.jpg", b"content")
    request.fields["x-amz-meta-mine"] = "1"
    assert send(browser, request, b"content") == 403


# Reading by URL.


@pytest.mark.asks_for("range")
def test_a_reading_url_answers_with_the_signed_headers(
    bucket: Bucket, below: str, browser: urllib3.PoolManager
) -> None:
    bucket.put(below + "a.bin", b"content", content_type="application/octet-stream")
    url = bucket.presign_get(
        below + "a.bin",
        disposition="attachment; filename=Zurich.jpg; filename*=UTF-8''Z%C3%BCrich.jpg",
        content_type="image/jpeg",
        cache_control="private, immutable",
        expires_in=60,
    )
    answer = browser.request("GET", url)
    assert (answer.status, answer.data) == (200, b"content")
    assert answer.headers["Content-Disposition"] == "attachment; filename=Zurich.jpg; filename*=UTF-8''Z%C3%BCrich.jpg"
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "private, immutable"
    part = browser.request("GET", url, headers={"Range": "bytes=2-4"})
    assert (part.status, part.data) == (206, b"nte")


@pytest.mark.asks_for("private")
def test_a_reading_url_can_be_neither_changed_nor_kept(
    bucket: Bucket, below: str, browser: urllib3.PoolManager
) -> None:
    bucket.put(below + "a.bin", b"content", content_type="text/plain")
    url = bucket.presign_get(below + "a.bin", disposition="attachment", expires_in=60)
    assert browser.request("GET", url.replace("disposition=attachment", "disposition=inline")).status == 403
    assert browser.request("PUT", url, body=b"mine").status == 403
    past = datetime.now(UTC) - timedelta(minutes=5)
    old = bucket.presign_get(below + "a.bin", disposition="attachment", expires_in=60, now=past)
    assert 400 <= browser.request("GET", old).status < 500
    assert 400 <= browser.request("GET", url.split("?")[0]).status < 500


# The bucket itself.


@pytest.mark.asks_for("cors")
def test_a_browser_on_the_portals_page_may_upload_and_no_other(
    bucket: Bucket, below: str, browser: urllib3.PoolManager, request: pytest.FixtureRequest
) -> None:
    url = bucket.presign_put(below + "a.jpg", content_type="image/jpeg", size=1, expires_in=60).url

    def ask(origin: str) -> urllib3.BaseHTTPResponse:
        asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
        return browser.request("OPTIONS", url, headers={"Origin": origin, **asked})

    allowed = ask(ORIGIN)
    assert allowed.status in (200, 204)
    assert allowed.headers["Access-Control-Allow-Origin"] in (ORIGIN, "*")
    assert "PUT" in allowed.headers["Access-Control-Allow-Methods"]
    if request.node.callspec.params["store"] not in MORE:  # some let every page in
        assert ask("http://elsewhere.example").headers.get("Access-Control-Allow-Origin") is None


@pytest.mark.needs_all_rights
def test_setting_up_twice_changes_nothing_and_a_new_origin_is_added(store: Location) -> None:
    bucket = bucket_at(replace(store, bucket=f"new-{uuid4().hex[:12]}"))
    with pytest.raises(Unavailable, match="bucket of the file store does not exist"):
        bucket.head("workspaces/x/a")
    bucket.ensure_exists([ORIGIN])
    bucket.ensure_exists([ORIGIN])
    assert bucket.head("workspaces/x/a") is None
    bucket.ensure_exists(["https://files.example.com"])


def test_other_peoples_cors_rules_are_kept() -> None:
    theirs = {"AllowedOrigins": ["https://their.example"], "AllowedMethods": ["GET"]}
    rules = merged([theirs], [ORIGIN])
    assert rules is not None
    assert rules[1:] == [theirs]
    assert merged(rules, [ORIGIN]) is None
    again = merged(rules, ["https://new.example"])
    assert again is not None
    assert again[0]["AllowedOrigins"] == ["https://new.example"]
    assert again[1:] == [theirs]


# A store that is away, or not as it should be.


def everything(bucket: Bucket) -> list[object]:
    """Each call that uses the network."""

    def read_some() -> None:
        with bucket.get("workspaces/x/a"):
            pass

    return [
        lambda: bucket.head("workspaces/x/a"),
        read_some,
        lambda: bucket.put("workspaces/x/a", b"x", content_type="text/plain"),
        lambda: bucket.delete("workspaces/x/a"),
        lambda: bucket.delete_prefix("workspaces/x/"),
        lambda: list(bucket.list("workspaces/x/")),
        lambda: bucket.copy("workspaces/x/a", "workspaces/x/b", if_etag="0"),
        lambda: supports_post(bucket),
    ]


@pytest.mark.asks_for("private")  # elsewhere any key is taken
@pytest.mark.needs_all_rights  # a key for one bucket is refused where there is none
@pytest.mark.parametrize("call", range(8))
@pytest.mark.parametrize("fault", ["no store", "no bucket", "wrong secret", "no such key id"])
def test_whatever_is_wrong_with_the_store_is_mapped_to_unavailable(
    store: Location, fault: str, call: int, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        place = {
            "no store": replace(store, endpoint=nowhere, public_endpoint=nowhere),
            "no bucket": replace(store, bucket="not-here"),
            "wrong secret": replace(store, secret_access_key="wrong"),
            "no such key id": replace(store, access_key_id="wrong"),
        }[fault]
        with pytest.raises(Unavailable) as refusal:
            everything(Bucket(place))[call]()  # type: ignore[operator]
    assert refusal.value.code == "storage_unavailable"
    words = {"no store": "can't be reached", "no bucket": "bucket of the file store does not exist"}
    assert words.get(fault, "refused our key") in refusal.value.detail
    assert refusal.value.__cause__ is None
    assert "wrong" not in caplog.text


def test_a_download_that_breaks_off_is_unavailable_not_short(seaweedfs: Location) -> None:
    whole = bucket_at(seaweedfs)
    whole.ensure_exists([ORIGIN])
    key = f"workspaces/{uuid4()}/large"
    whole.put(key, bytes(3 * MB), content_type="text/plain")
    with Proxy(seaweedfs.endpoint or "", cut_downloads_at=MB) as broken:
        bucket = Bucket(replace(seaweedfs, endpoint=broken.url))
        with bucket.get(key) as stream, pytest.raises(Unavailable):
            while stream.read(100_000):
                pass
        with bucket.get(key) as stream, pytest.raises(Unavailable):
            stream.read()
    whole.delete(key)


def test_where_browsers_localhost_is_another_program_forms_are_tried_inside(seaweedfs: Location) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        bucket = bucket_at(replace(seaweedfs, public_endpoint=nowhere))
        bucket.ensure_exists([ORIGIN])
        assert supports_post(bucket) is True


def test_the_environment_of_the_machine_is_not_obeyed(seaweedfs: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("AWS_PROFILE", "nonsense")
    assert Bucket(seaweedfs).head("workspaces/x/missing") is None


def test_one_location_has_one_bucket(seaweedfs: Location) -> None:
    assert bucket_at(seaweedfs) is bucket_at(replace(seaweedfs))
    assert bucket_at(seaweedfs) is not bucket_at(replace(seaweedfs, secret_access_key="rotated"))


def test_a_forked_child_opens_connections_of_its_own(seaweedfs: Location) -> None:
    bucket = bucket_at(seaweedfs)
    bucket.put("workspaces/fork/a", bytes(3 * MB), content_type="text/plain")
    with bucket.get("workspaces/fork/a") as stream:
        stream.read(MB)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if bucket.head("workspaces/fork/a") is not None else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert bucket.head("workspaces/fork/a") is not None
    assert bucket.delete_prefix("workspaces/fork/") == 1


def test_the_network_is_not_used_inside_a_transaction(seaweedfs: Location, engines: Any) -> None:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = engines.settings().database_url
    database.db.init_app(app)
    bucket = bucket_at(seaweedfs)
    with app.app_context():
        with database.transaction() as session:
            session.execute(text("SELECT 1"))
            for call in everything(bucket):
                with pytest.raises(RuntimeError, match="transaction"):
                    call()  # type: ignore[operator]
        assert bucket.head("workspaces/x/missing") is None
        database.db.engine.dispose()
