"""Requests as a browser sends them: without our S3 client, and without our key unless the URL carries a signature."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from portal.network.deadlines import Deadline, time_limit, timed_pools
from portal.network.egress import Egress, EgressRefused, guarded_pools
from portal.objectstore.presign import SignedRequest

log = logging.getLogger(__name__)

TIMEOUT = urllib3.Timeout(connect=5, read=15)  # seconds
ANSWER_SECONDS = 30  # in all
MAX_BODY = 64 * 1024  # bytes of an answer that are read


@dataclass(frozen=True)
class Reply:
    """What came back. ``status`` 0: nothing, and ``failure`` says why: ``name``, ``tls``, ``refused``, …"""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return 200 <= self.status < 300


class Browser:
    """Follows no redirect, repeats nothing, keeps no cookie."""

    def __init__(self, egress: Egress | None) -> None:
        """``egress`` guards what is dialled; None is for the deployment's own store."""
        self._http = urllib3.PoolManager(timeout=TIMEOUT, retries=False)
        self._http.pool_classes_by_scheme = guarded_pools(egress) if egress is not None else timed_pools()

    def send(self, method: str, url: str, **options: Any) -> Reply:
        """One request. Never raises for what a network does."""
        try:
            with time_limit(Deadline(ANSWER_SECONDS)):
                return self._send(method, url, **options)
        except HTTPError as error:
            log.info("probe: %s as a browser: %s", method, type(error).__name__)
            return Reply(0, failure=failure_of(error))

    def _send(self, method: str, url: str, **options: Any) -> Reply:
        answer = self._http.request(method, url, preload_content=False, decode_content=False, redirect=False, **options)
        try:
            return Reply(answer.status, answer.headers, answer.read(MAX_BODY))
        finally:
            answer.close()

    def upload(self, request: SignedRequest, content: bytes) -> Reply:
        """Send a signed request with this content."""
        if request.method == "PUT":
            return self.send("PUT", request.url, body=content, headers=request.headers)
        return self.send("POST", request.url, fields={**request.fields, "file": ("probe", content, "text/plain")})

    def close(self) -> None:
        """Close the connections."""
        self._http.clear()


def failure_of(error: BaseException) -> str:
    """Why a request failed, in one word."""
    cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    if isinstance(cause, SSLError) and "CERTIFICATE_VERIFY_FAILED" not in str(cause):
        return "no_tls"
    words = (
        (EgressRefused, "forbidden"),
        (NameResolutionError, "name"),
        (SSLError, "tls"),
        (NewConnectionError, "refused"),
        (ConnectTimeoutError, "timeout"),
        (ReadTimeoutError, "timeout"),
    )
    return next((word for kind, word in words if isinstance(cause, kind)), "broken")
