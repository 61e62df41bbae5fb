"""S3 clients of boto3 whose requests go through our own transport.

boto3 builds and signs the requests, parses the answers and retries; the transport is the only thing that dials.
"""

from __future__ import annotations

import io
import logging
import os
import threading
import weakref
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)
from botocore.handlers import add_expect_header
from botocore.httpsession import get_cert_path
from urllib3 import HTTPResponse, PoolManager, Timeout
from urllib3 import exceptions as urllib3_errors

from portal.network.deadlines import timed_pools
from portal.network.egress import EgressRefused, guarded_pools
from portal.objectstore.location import Location, aws_endpoint

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS = 3
MAX_ANSWER = 16 * 1024**2  # bytes of an answer other than a file's content: a page of 1,000 long keys has about 2 MB
SEND_EVENT = "before-send.s3"
NOWHERE = "http://127.0.0.1:0"  # nothing can listen on port 0

# urllib3 warns of what is retried or reported by us anyway, and its text quotes signed URLs.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

_lock = threading.Lock()
_transports: weakref.WeakSet[Transport] = weakref.WeakSet()


def connect(location: Location, read_timeout: int) -> S3Client:
    """A client with the location's credentials and no others. Safe to share between threads; nothing is dialled yet.

    ``read_timeout``: seconds without a byte. Raises ``ValueError`` when the location has no credentials.
    """
    if not location.access_key_id or not location.secret_access_key:
        raise ValueError("a client needs credentials of its own: without, boto3 would look for some on the machine")
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "virtual" if location.style == "virtual" else "path"},
        # By default boto3 sends a checksum with every write and requests one with every read; some stores refuse that.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        use_dualstack_endpoint=False,  # set here, so that no AWS_… variable of the machine is looked up
        use_fips_endpoint=False,
        # Only our transport may dial. Should a release of botocore not call it any more, its own connections end here.
        proxies={"http": NOWHERE, "https": NOWHERE},
        retries={"mode": "standard", "total_max_attempts": 2},
    )
    with _lock:  # clients are safe to share, making them is not
        client: S3Client = _session().client(
            "s3",
            endpoint_url=location.endpoint or aws_endpoint(location.region),  # the environment could name another
            region_name=location.region,
            aws_access_key_id=location.access_key_id,
            aws_secret_access_key=location.secret_access_key,
            config=config,
        )
    send: Any = Transport(location, read_timeout).send  # botocore's type hints know no handler with an answer
    client.meta.events.register(SEND_EVENT, send)
    client.meta.events.register_last("before-parameter-build.s3", _refuse_redirects)
    # A store that hangs up after "100 Continue" would have botocore wait for its headers without end.
    client.meta.events.unregister("before-call.s3", add_expect_header)
    return client


class Transport:
    """Sends boto3's requests over urllib3 connections that keep time limits and, for customers' stores, egress rules.

    Registered for boto3's event ``before-send``: an answer that a handler returns is used instead of sending.
    """

    def __init__(self, location: Location, read_timeout: int) -> None:
        self._pools = PoolManager(
            timeout=Timeout(connect=CONNECT_SECONDS, read=read_timeout),
            maxsize=32,
            retries=False,  # boto3's business
            cert_reqs="CERT_REQUIRED",
            ca_certs=get_cert_path(True) if location.egress else _operators_certificates(),
        )
        self._pools.pool_classes_by_scheme = (
            timed_pools() if location.egress is None else guarded_pools(location.egress)
        )
        _transports.add(self)

    def send(self, request: AWSPreparedRequest, **_event: Any) -> AWSResponse:
        """One attempt. Raises ``EgressRefused``, and for the rest what botocore's own session raises, to be retried."""
        url = request.url
        try:
            return self._send(request)
        except EgressRefused:
            raise
        except urllib3_errors.SSLError as error:
            raise SSLError(endpoint_url=url, error=error) from error
        except urllib3_errors.NewConnectionError as error:
            raise EndpointConnectionError(endpoint_url=url, error=error) from error
        except urllib3_errors.ConnectTimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=url, error=error) from error
        except urllib3_errors.ReadTimeoutError as error:
            raise ReadTimeoutError(endpoint_url=url, error=error) from error
        except urllib3_errors.ProtocolError as error:
            raise ConnectionClosedError(endpoint_url=url, request=request, error=error) from error
        except (urllib3_errors.HTTPError, OSError) as error:
            raise HTTPClientError(error=error) from error

    def close(self) -> None:
        """Close the idle connections."""
        self._pools.clear()

    def _send(self, request: AWSPreparedRequest) -> AWSResponse:
        parts = urlsplit(request.url)
        body: Any = request.body
        headers: Any = request.headers
        # A redirect would lead wherever the store says (``_refuse_redirects``). Bytes are not decompressed on the way:
        # their length and hash are compared with those of what is stored.
        answer: Any = self._pools.connection_from_url(request.url).urlopen(
            request.method,
            f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
            body=body,
            headers=headers,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            chunked=headers.get("Transfer-Encoding", b"") in (b"chunked", "chunked"),
        )
        if request.stream_output and answer.status < 300:
            return AWSResponse(request.url, answer.status, answer.headers, answer)
        # Everything but a file's content is read here: botocore would read whatever a store sends, to its end.
        content = HTTPResponse(io.BytesIO(_read_all(answer)), preload_content=False)
        return AWSResponse(request.url, answer.status, answer.headers, content)


def _read_all(answer: Any) -> bytes:
    found = bytearray()
    while piece := answer.read(MAX_ANSWER + 1 - len(found)):
        found += piece
        if len(found) > MAX_ANSWER:
            answer.close()
            raise urllib3_errors.HTTPError("the answer is larger than any that S3 gives")
    return bytes(found)


def _refuse_redirects(context: dict[str, Any], **_event: Any) -> None:
    # botocore sends a request once more, to wherever a store's answer leads, unless it is marked as redirected already.
    context["s3_redirect"] = {**context.get("s3_redirect", {}), "redirected": True}


def _operators_certificates() -> str:
    """The file of authorities for the deployment's own store: the environment may name another than the usual one."""
    return os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or str(get_cert_path(True))


@lru_cache(maxsize=1)
def _session() -> boto3.session.Session:
    # One for all clients: each costs 12 MB and 200 ms. It reads no configuration files or profiles of the machine.
    no_files = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    core = botocore.session.Session(session_vars={"profile": (None, None, None, None), **no_files})
    return boto3.session.Session(botocore_session=core)


def _close_connections() -> None:
    for transport in list(_transports):
        transport.close()


os.register_at_fork(after_in_child=_close_connections)  # a child must not talk on its parent's sockets
