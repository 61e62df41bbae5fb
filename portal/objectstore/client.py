"""S3 clients of boto3, and its errors in our words: for ``bucket`` and what it is made of."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.handlers import add_expect_header
from botocore.httpsession import get_cert_path
from prometheus_client import Histogram
from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.exceptions import ReadTimeoutError as ReadTimeout

from portal.database import assert_no_transaction
from portal.network.deadlines import Deadline, Patience, timed_pools, waiting
from portal.network.egress import Egress, EgressRefused, guarded_pools
from portal.objectstore.errors import CANNOT, NOT_PUBLIC, problem_for, unavailable
from portal.objectstore.location import Location, amazon

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 3  # seconds
ANSWER_WITHIN = 30  # seconds for one question to a store, all in all: people may be waiting for the answer
LONGEST_ANSWER = 16 * 1024**2  # bytes: a page of 1,000 keys of 1 KB has 2 MB or so
SECONDS = Histogram(
    "portal_store_seconds", "Time that stores take.", ["operation"], buckets=(0.005, 0.02, 0.05, 0.1, 0.5, 1, 5, 30)
)

# What it warns of is retried, or told by us; its words quote signed addresses.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

_lock = threading.Lock()
_clients: weakref.WeakSet[Any] = weakref.WeakSet()


def connect(location: Location, read_timeout: int) -> S3Client:
    """A client with the location's credentials and no others; nothing is dialled yet. Safe to share between threads."""
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "virtual" if location.style == "virtual" else "path"},
        request_checksum_calculation="when_required",  # the default ones break several stores
        response_checksum_validation="when_required",
        use_dualstack_endpoint=False,  # what is said here is not looked up in AWS_… variables
        use_fips_endpoint=False,
        proxies={},  # a proxy from the environment would hide the address that is dialled
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=32,
    )
    if not location.access_key_id or not location.secret_access_key:
        raise ValueError("a client needs credentials of its own: without, boto3 would look for some on the machine")
    with _lock:  # clients are safe to share, making them is not
        client: S3Client = _session().client(
            "s3",
            endpoint_url=location.endpoint or amazon(location.region),  # explicit: the environment could name another
            region_name=location.region,
            verify=None if location.egress is None else True,
            aws_access_key_id=location.access_key_id,
            aws_secret_access_key=location.secret_access_key,
            config=config,
        )
        _clients.add(client)
    client.meta.events.register_last("before-parameter-build.s3", _stay_there)
    # A store that closes the line after "100 Continue" would have botocore read its headers for ever.
    client.meta.events.unregister("before-call.s3", add_expect_header)
    _trust(client)
    _time(client, location.egress)
    if location.egress is not None:
        _bound(client)
    return client


def _stay_there(context: dict[str, Any], **_: Any) -> None:
    """Mark a request as redirected already, which botocore does once: to the address that a store's answer leads to."""
    context["s3_redirect"] = {**context.get("s3_redirect", {}), "redirected": True}


def _trust(client: Any) -> None:
    """Let every pool know the authorities from its beginning: boto3 tells each at its own first request, and we use
    them without it, too.
    """
    session = client._endpoint.http_session
    session._manager.connection_pool_kw.update(cert_reqs="CERT_REQUIRED", ca_certs=get_cert_path(session._verify))


def _time(client: Any, rules: Egress | None) -> None:
    """Let its connections, TLS and all else being botocore's own, know patience, and dial what the rules allow."""
    manager, own = client._endpoint.http_session._manager, (AWSHTTPConnectionPool, AWSHTTPSConnectionPool)
    manager.pool_classes_by_scheme = timed_pools(*own) if rules is None else guarded_pools(rules, *own)


def _bound(client: Any) -> None:
    """Let no answer but a file's own bytes fill the memory: botocore would read whatever a store sends to its end."""
    session = client._endpoint.http_session
    send = session.send

    def bounded(request: Any) -> Any:
        streams, request.stream_output = request.stream_output, True
        answer = send(request)
        if not streams or answer.status_code >= 300:
            try:
                answer._content = _read_whole(answer.raw)
            except ReadTimeout as error:
                raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
            except ProtocolError as error:
                raise ConnectionClosedError(endpoint_url=request.url, request=request, error=error) from error
        return answer

    session.send = bounded


def _read_whole(raw: Any) -> bytes:
    found = b""
    while piece := raw.read(LONGEST_ANSWER + 1 - len(found)):
        found += piece
        if len(found) > LONGEST_ANSWER:
            raw.close()
            raise HTTPError("the answer is longer than any that makes sense")
    return found


@lru_cache(maxsize=1)
def _session() -> boto3.session.Session:
    # One session for all clients (one each costs 12 MB and 200 ms), deaf to AWS files and profiles of the machine.
    nowhere = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    core = botocore.session.Session(session_vars={"profile": (None, None, None, None), **nowhere})
    return boto3.session.Session(botocore_session=core)


def _forget_connections() -> None:
    for client in list(_clients):
        client.close()


os.register_at_fork(after_in_child=_forget_connections)  # a child must not talk on its parent's sockets


@contextmanager
def our_words(operation: str, patience: Patience | None = None) -> Iterator[None]:
    """What goes wrong becomes ``NotFound``, ``Conflict("changed")`` or ``Unavailable``; code and status go to the log.

    All of it has ``patience``, or takes ``ANSWER_WITHIN``. What reading began in the database is ended first.
    """
    assert_no_transaction()
    try:
        with SECONDS.labels(operation).time(), waiting(patience or Deadline(ANSWER_WITHIN)):
            yield
    except ClientError as error:
        code, status = error.response.get("Error", {}).get("Code", ""), _status(error)
        log.info("object store: %s answered %s %s", operation, status, code)
        raise problem_for(code, status) from None
    except (BotoCoreError, HTTPError, OSError) as error:
        refused = _refused(error)
        log.warning("object store: %s failed: %s", operation, refused or type(error).__name__)
        raise (unavailable(NOT_PUBLIC) if refused else unavailable()) from None
    except (LookupError, ValueError, OverflowError) as error:
        log.warning("object store: %s was answered without what an answer has: %s", operation, type(error).__name__)
        raise unavailable(CANNOT) from None


def unless_missing(ask: Callable[..., Any], *, hidden: bool = False, **what: Any) -> Any:
    """The answer, or None for a 404; with ``hidden`` also for a 403, behind which nothing may be."""
    try:
        return ask(**what)
    except ClientError as error:
        if _status(error) not in ((403, 404) if hidden else (404,)):
            raise
        return None


def _refused(error: BaseException) -> EgressRefused | None:
    """Our own refusal, which botocore wraps in an error of its own."""
    inner = error if isinstance(error, EgressRefused) else getattr(error, "kwargs", {}).get("error")
    return inner if isinstance(inner, EgressRefused) else None


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
