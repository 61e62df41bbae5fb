"""The probe before a store that misbehaves: each fault is named at its step, with what to do, and health follows."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from typing import Any

import pytest

from portal.errors import Unavailable
from portal.network.egress import Egress
from portal.objectstore.bucket import Bucket
from portal.objectstore.capabilities import supports_multipart, supports_post
from portal.objectstore.location import Location
from portal.storage.probe import runner
from portal.storage.probe.cleanup import delete_own
from portal.storage.probe.context import ProbeContext
from portal.storage.probe.results import Result
from portal.storage.probe.runner import Probe
from tests.support.probe import forget, found, left_behind, probe, subject
from tests.support.stores.faulty import (
    Faulty,
    Play,
    a_part_called_whole,
    answers,
    changes_etags,
    deletions,
    done_without_a_word,
    echoes_encryption,
    forms,
    lax,
    listing,
    methods,
    open_to_all,
    other_protocol,
    page,
    redirects,
    reset,
    says,
    short,
    signed_uploads,
    slow,
    takes_any_form,
    takes_unsigned_fields,
    truncated,
    with_key,
    without_key,
    writes,
)
from tests.support.stores.unruly import Wanted, copies

PREFIX = "faulty"


@pytest.fixture(scope="module")
def faulty(seaweedfs: Location) -> Iterator[Faulty]:
    """The embedded store behind the one that misbehaves."""
    with Faulty(seaweedfs) as running:
        yield running


@pytest.fixture
def location(faulty: Faulty, seaweedfs: Location) -> Iterator[Location]:
    """The store as reached through it; nothing of a probe may be left there afterwards."""
    yield replace(seaweedfs, endpoint=faulty.url, public_endpoint=None)
    forget(seaweedfs, subject(seaweedfs, prefix=PREFIX))
    assert left_behind(seaweedfs, subject(seaweedfs, prefix=PREFIX)) == []


def run(location: Location, *, parts: bool = False) -> Probe:
    """All steps; the one that moves megabytes only when requested."""
    steps = [step for step in runner.STEPS if parts or step.name != "multipart"]
    return probe(subject(location, prefix=PREFIX), steps=steps)


def twenty_minutes_late(handler: Any) -> bool:
    """The clock of a store that is late."""
    return says(Date=format_datetime(datetime.now(UTC) - timedelta(minutes=20), usegmt=True))(handler)


# What the store does, to which requests, at which step it shows, and the words that tell it.
BREAKING: dict[str, tuple[Play, Wanted, str, str, str]] = {
    "no bucket": (answers(404, "NoSuchBucket"), with_key, "credentials", "no bucket of this name", "spelling"),
    "unknown key": (answers(403, "InvalidAccessKeyId"), with_key, "credentials", "does not know this access", "again"),
    "wrong secret": (answers(403, "SignatureDoesNotMatch"), with_key, "credentials", "secret does not fit", "spaces"),
    "another region": (
        answers(301, "PermanentRedirect", x_amz_bucket_region="eu-central-1"),
        with_key,
        "credentials",
        "another region than the one entered here: it is eu-central-1",
        "Set the region to eu-central-1",
    ),
    "another region without its name": (
        answers(400, "AuthorizationHeaderMalformed"),
        with_key,
        "credentials",
        "another region",
        "Correct the region",
    ),
    "a clock that refuses": (answers(403, "RequestTimeTooSkewed"), with_key, "credentials", "clock", "NTP"),
    "a web page": (page, methods("GET", "HEAD", "PUT", "POST"), "reach", "is a web page", "console"),
    "a redirect": (
        redirects("http://127.0.0.1:1/"),
        methods("GET"),
        "reach",
        "does not follow redirects",
        "S3 endpoint",
    ),
    "a clock 20 minutes off": (twenty_minutes_late, methods("GET"), "reach", "differ by 20 minutes", "NTP"),
    "out of order": (answers(503, "SlowDown"), methods("GET"), "reach", "busy or out of order", "few minutes"),
    "hangs up": (reset, methods("GET"), "reach", "ended before", "firewall"),
    "lists, does not write": (answers(403, "AccessDenied"), writes, "write", "may not store", "s3:PutObject"),
    "writes fail": (answers(500, "InternalError"), writes, "write", "out of order", "provider"),
    "is full": (answers(507, "XMinioStorageFull"), writes, "write", "is full", "Free space"),
    "writes, does not read": (
        answers(403, "AccessDenied"),
        lambda method, path, _headers: method == "GET" and path.endswith("/written.txt"),
        "read",
        "may not read",
        "s3:GetObject",
    ),
    "breaks off in the middle": (
        truncated(10),
        lambda method, path, _headers: method == "GET" and path.endswith("/written.txt"),
        "read",
        "ended before",
        "proxy",
    ),
    "one byte less": (
        short,
        lambda method, path, _headers: method == "GET" and path.endswith("/written.txt"),
        "read",
        "not what was stored",
        "proxy",
    ),
    "another ETag at every look": (changes_etags, methods("HEAD"), "read", "no stable ETag", "another store"),
}


@pytest.mark.parametrize("fault", BREAKING)
def test_a_fault_that_makes_a_store_unusable_fails_its_step(faulty: Faulty, location: Location, fault: str) -> None:
    play, wanted, step, detail, fix = BREAKING[fault]
    with faulty.playing(play, wanted):
        finished = run(location)
    step_result = found(finished, step)
    assert step_result.result is Result.FAIL
    assert detail in step_result.detail
    assert fix in step_result.fix
    verdict = finished.verdict()
    assert not verdict.healthy
    assert str(verdict.reason) == step_result.detail
    assert list(finished.results)[-1] == "clean"


def test_a_store_that_refuses_deletes_keeps_one_object_until_it_allows_them(
    faulty: Faulty, seaweedfs: Location
) -> None:
    at = subject(replace(seaweedfs, endpoint=faulty.url, public_endpoint=None), prefix="undeletable")
    with faulty.playing(answers(403, "AccessDenied"), deletions):
        finished = probe(at)
    step_result = found(finished, "delete")
    assert step_result.result is Result.FAIL
    assert "may not delete" in step_result.detail
    assert "s3:DeleteObject" in step_result.fix
    assert found(finished, "multipart").result is Result.SKIPPED
    assert found(finished, "clean").result is Result.WARN
    assert not finished.verdict().healthy
    assert len(left_behind(seaweedfs, at)) == 1
    assert probe(at).verdict().healthy
    assert left_behind(seaweedfs, at) == []
    forget(seaweedfs, at)


# What a store does wrong although files are safe in it: it warns, and the capability is not believed.
LYING: dict[str, tuple[Play, Wanted, str, str, dict[str, bool]]] = {
    "takes any form": (
        takes_any_form,
        forms,
        "post",
        "a larger size, another key, another type, after it has expired, a field that was not signed.",
        {"post": False},
    ),
    "takes fields that were not signed": (
        takes_unsigned_fields,
        forms,
        "post",
        "break what was signed: a field that was not signed.",
        {"post": False},
    ),
    "refuses forms": (answers(403, "AccessDenied"), forms, "post", "did not accept a form", {"post": False}),
    "knows no forms": (answers(501, "NotImplemented"), forms, "post", "takes no form uploads", {"post": False}),
    "ignores if-match of copies": (
        lax("x-amz-copy-source-if-match"),
        copies,
        "conditional_copy",
        "although it has changed",
        {"conditional_copy": False, "copy": True},
    ),
    "copies nothing": (answers(403, "AccessDenied"), copies, "copy", "uploads wait", {"copy": False}),
    "has no parts": (
        answers(403, "AccessDenied"),
        lambda _method, path, _headers: "uploads" in path.partition("?")[2],
        "multipart",
        "can't be resumed",
        {"multipart": False},
    ),
    "hides parts": (
        answers(403, "AccessDenied"),
        lambda method, path, _headers: method == "GET" and "uploadId" in path,
        "multipart",
        "may not list the parts",
        {"list_parts": False},
    ),
    "sends whole files": (
        lax("range"),
        lambda method, path, _headers: method == "GET" and "range.txt" in path,
        "range",
        "whole file",
        {"range": False},
    ),
    "calls a part the whole": (
        a_part_called_whole,
        lambda method, path, _headers: method == "GET" and "range.txt" in path,
        "range",
        "labels it as the whole",
        {"range": False},
    ),
    "takes a condition and forgets it": (
        lax("if-none-match"),
        lambda method, _path, headers: method == "PUT" and "If-None-Match" in headers,
        "private",
        "",
        {"conditional_write": False, "marker": True},
    ),
    "knows no rules for objects": (
        answers(501, "NotImplemented"),
        lambda _method, path, _headers: path.endswith("?lifecycle"),
        "lifecycle",
        "has no lifecycle rules",
        {"abort_rule": False},
    ),
    "answers something else than its rules": (
        listing,
        lambda _method, path, _headers: path.endswith("?lifecycle"),
        "lifecycle",
        "has no lifecycle rules",
        {"abort_rule": False},
    ),
    "ignores signed lengths and types": (
        lax("content-length"),
        lambda method, path, headers: (
            signed_uploads(method, path, headers)
            and any(name in path.partition("?")[0] for name in ("-larger", "-type", "-late"))
        ),
        "put",
        "a larger size, another type, after it has expired",
        {"put": True},
    ),
    "is public": (open_to_all, without_key, "private", "Anybody can read every file", {"private": False}),
    "lists nothing": (
        answers(403, "AccessDenied"),
        lambda method, path, _headers: method == "GET" and "list-type=2" in path,
        "list",
        "may not list the bucket",
        {"list": False},
    ),
}


@pytest.mark.parametrize("fault", LYING)
def test_a_lesser_fault_is_a_warning_and_no_capability(faulty: Faulty, location: Location, fault: str) -> None:
    play, wanted, step, words, capabilities = LYING[fault]
    with faulty.playing(play, wanted):
        finished = run(location, parts=step == "multipart")
    step_result = found(finished, step)
    assert step_result.result in (Result.WARN, Result.SKIPPED) or not words, step_result
    assert words in step_result.detail
    verdict = finished.verdict()
    assert verdict.healthy, verdict.reason
    assert {name: verdict.capabilities[name] for name in capabilities} == capabilities


def test_a_store_that_ignores_checksums_lacks_the_capability(faulty: Faulty, location: Location) -> None:
    def wrong(method: str, path: str, headers: Message) -> bool:
        return signed_uploads(method, path, headers) and "/wrong-" in path

    with faulty.playing(answers(501, "NotImplemented"), forms), faulty.playing(lax("x-amz-checksum-sha256"), wrong):
        finished = run(location)
    assert "does not check the SHA-256" in found(finished, "sha256").detail
    assert finished.verdict().capabilities["sha256"] is False
    assert finished.verdict().healthy


def test_a_bucket_that_anybody_may_write_to_is_reported_as_public(faulty: Faulty, location: Location) -> None:
    with faulty.playing(open_to_all, without_key):
        step_result = found(run(location), "private")
    for what in ("read every file", "list all files", "write and replace"):
        assert what in step_result.detail
    assert "Block public access" in step_result.fix


def test_a_store_that_enforces_no_signature_is_not_healthy(faulty: Faulty, location: Location) -> None:
    # A signed length is no header that the portal's URL needs at this store: it is done by the store's own right.
    with faulty.playing(answers(501, "NotImplemented"), forms), faulty.playing(lax(), signed_uploads):
        finished = run(location)
    step_result = found(finished, "put")
    assert step_result.result is Result.WARN
    assert "a larger size, another key, another type, after it has expired" in step_result.detail
    assert str(finished.verdict().reason) == "Neither form uploads nor signed PUTs can be used with this store."


def test_a_store_that_anybody_may_write_to_can_be_used_with_a_warning(faulty: Faulty, location: Location) -> None:
    with (
        faulty.playing(takes_any_form, forms),
        faulty.playing(open_to_all, without_key),
        faulty.playing(lax(), signed_uploads),
    ):
        finished = run(location)
    assert "another key" in found(finished, "put").detail
    assert "write and replace" in found(finished, "private").detail
    verdict = finished.verdict()
    assert (verdict.healthy, verdict.capabilities["put"], verdict.capabilities["post"]) == (True, True, False)


def test_a_store_that_answers_only_signed_requests_is_reached(faulty: Faulty, location: Location) -> None:
    with faulty.playing(other_protocol, lambda method, path, headers: not with_key(method, path, headers)):
        finished = run(location)
    assert found(finished, "reach").result is Result.PASS
    assert finished.verdict().healthy
    assert supports_post(Bucket(location)) is True
    with faulty.playing(other_protocol, forms):
        assert supports_post(Bucket(location)) is False


def test_a_store_that_reports_any_algorithm_lacks_the_capability_encryption(faulty: Faulty, location: Location) -> None:
    def objects(method: str, path: str, _headers: Message) -> bool:
        return method in ("PUT", "HEAD") and "/sse-" in path

    with faulty.playing(echoes_encryption, objects):
        finished = run(replace(location, encryption="sse_s3"))
    assert "proves no encryption" in found(finished, "encryption").detail
    assert finished.verdict().capabilities["encryption"] == []


def test_a_store_without_cors_rules_says_where_to_set_them(faulty: Faulty, location: Location) -> None:
    target = replace(subject(location, prefix=PREFIX), origin="https://files.example.com")
    for play in (answers(501, "NotImplemented"), listing):
        with (
            faulty.playing(answers(403, "AccessDenied"), methods("OPTIONS")),
            faulty.playing(play, lambda _method, path, _headers: path.endswith("?cors")),
        ):
            step_result = found(
                probe(target, steps=[step for step in runner.STEPS if step.name != "multipart"]), "cors"
            )
            assert "takes no CORS rules" in step_result.detail
            assert "https://files.example.com" in step_result.paste
            assert Bucket(location).ensure_exists(["https://files.example.com"]) is (play is listing)


def test_a_store_that_ignores_a_range_is_read_from_the_requested_offset(faulty: Faulty, location: Location) -> None:
    bucket = Bucket(location)
    bucket.put("workspaces/x/a", b"0123456789", content_type="text/plain")
    with (
        faulty.playing(lax("range"), methods("GET")),
        bucket.get("workspaces/x/a", 4) as stream,
    ):
        assert (stream.size, stream.read()) == (6, b"456789")
    bucket.delete("workspaces/x/a")


def test_an_incomplete_answer_is_unavailable(faulty: Faulty, location: Location) -> None:
    bucket = Bucket(location)
    bucket.put("workspaces/x/a", bytes(6 * 1024**2), content_type="text/plain")
    facts = bucket.head("workspaces/x/a")
    assert facts is not None
    with faulty.playing(done_without_a_word, copies), pytest.raises(Unavailable, match="does not support this request"):
        bucket.copy("workspaces/x/a", "workspaces/x/b", if_etag=facts.etag, part_size=5 * 1024**2)
    with faulty.playing(done_without_a_word, lambda _method, path, _headers: "uploads" in path.partition("?")[2]):
        assert supports_multipart(bucket) is False
    bucket.delete("workspaces/x/a")


def test_a_slow_store_fails_its_steps_within_their_time_limit(
    faulty: Faulty, location: Location, seaweedfs: Location
) -> None:
    target = subject(location, prefix=PREFIX)
    began = time.monotonic()
    with faulty.playing(slow(2), lambda _method, path, _headers: "range.txt" in path):
        finished = probe(target, step_seconds=1.5)
    assert time.monotonic() - began < 20
    assert "took too long" in found(finished, "range").detail
    assert found(finished, "range").result is Result.WARN
    assert found(finished, "disposition").result is Result.PASS
    assert finished.verdict().healthy
    for step in [thread for thread in threading.enumerate() if thread.name == "probe-step"]:
        step.join()  # the one that was given up comes to its own end; what it still stored goes with the next test
    delete_own(ProbeContext(replace(target, location=replace(target.location, endpoint=seaweedfs.endpoint))))


def test_a_forbidden_address_is_reported_and_never_dialled(faulty: Faulty, location: Location) -> None:
    faulty.requests.clear()
    finished = run(replace(location, egress=Egress()))
    assert "does not lead to an address that this installation connects to" in found(finished, "reach").detail
    assert "PORTAL_EGRESS_ALLOW" in found(finished, "reach").fix
    assert faulty.requests == []


def test_a_closed_port_and_one_without_tls_are_reported_differently(location: Location) -> None:
    closed = replace(location, endpoint="http://127.0.0.1:9")
    assert "Nothing listens" in found(run(closed), "reach").detail
    no_tls = replace(location, endpoint=(location.endpoint or "").replace("http://", "https://"))
    assert "does not speak TLS" in found(run(no_tls), "reach").detail


def test_a_name_that_does_not_exist_is_reported_like_a_private_address(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: int, **_: object) -> list[object]:
        if host == "internal.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    inside, nowhere = (
        found(run(replace(location, endpoint=f"https://{host}", egress=Egress())), "reach")
        for host in ("internal.example", "no-such-host.example")
    )
    assert inside == nowhere and inside.result is Result.FAIL


def test_an_unexpected_error_in_a_step_is_a_result(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(context: object) -> None:
        raise RuntimeError("provider's text")

    steps = [replace(step, run=broken) if step.name == "range" else step for step in runner.STEPS]  # type: ignore
    finished = probe(subject(location, prefix=PREFIX), steps=steps)
    assert "could not be found out" in found(finished, "range").detail
    assert "provider" not in found(finished, "range").detail
    assert finished.verdict().healthy
