"""One POST to one endpoint, through the egress guard, over after ``DEADLINE_SECONDS`` whatever the receiver does.

The exchange runs in a thread of its own: a receiver that sends a byte now and then keeps every read alive, and a name
server may take its time. At the deadline the socket is shut down, which ends the thread, and the worker goes on.
Only the status counts. The receiver's body is read, up to ``MAX_BODY`` bytes, so that it can finish sending, and
dropped. A redirect is an answer like any other.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from urllib3.exceptions import HTTPError

from portal.database import assert_no_transaction, now
from portal.network.egress import Egress, EgressRefused, guarded_pools
from portal.network.hosts import port_of
from portal.texts import Text

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5  # for each address of a name
DEADLINE_SECONDS = 15.0
MAX_BODY = 64 * 1024
GONE = 410

# The same text for a name that does not exist: see EgressRefused.
NOT_ALLOWED = Text("Its address does not lead to a public host, and the operator does not allow it.")
NO_CONNECTION = Text("No connection could be made.")
BAD_CERTIFICATE = Text("Its certificate is not valid for this name, or it does not speak TLS.")
BROKE_OFF = Text("It ended the connection before it answered, or the answer was not HTTP.")
TOO_SLOW = Text("It did not answer in time.")


@dataclass(frozen=True)
class PostResult:
    """``status`` None: there was no answer. ``reason`` None: accepted. ``retry_after``: seconds that it asks for."""

    status: int | None
    reason: Text | None
    retry_after: float | None = None


def post(url: str, headers: dict[str, str], body: bytes, egress: Egress) -> PostResult:
    """Send it once. Never raises for what the receiver or the network does."""
    assert_no_transaction()
    exchange = _Exchange(url, headers, body, egress)
    thread = threading.Thread(target=exchange.run, name="webhook", daemon=True)
    thread.start()
    thread.join(DEADLINE_SECONDS)
    result = exchange.result
    if thread.is_alive():
        exchange.abort()
    return result or PostResult(None, TOO_SLOW)


class _Exchange:
    """The request and its answer; ``result`` is set as soon as the status is known."""

    def __init__(self, url: str, headers: dict[str, str], body: bytes, egress: Egress) -> None:
        self.parts, self.headers, self.body = urlsplit(url), headers, body
        self.connection = _connection(self.parts, egress)
        self.socket: socket.socket | None = None
        self.result: PostResult | None = None
        self.aborted = False

    def run(self) -> None:
        """The thread: sends, reads, and maps what goes wrong."""
        try:
            self._exchange()
        except EgressRefused as refusal:
            log.warning("a webhook was not sent: %s", refusal)
            self._fail(NOT_ALLOWED)
        except (HTTPError, OSError, http.client.HTTPException) as error:
            before = BAD_CERTIFICATE if isinstance(error, ssl.SSLError) else NO_CONNECTION
            after = TOO_SLOW if isinstance(error, TimeoutError) else BROKE_OFF
            self._fail(before if self.socket is None else after)
        except Exception:
            log.exception("a webhook could not be sent")
            self._fail(BROKE_OFF)
        finally:
            with suppress(OSError):
                self.connection.close()

    def abort(self) -> None:
        """End whatever read is waiting. By the socket's own method: that of TLS would first exchange a goodbye."""
        self.aborted = True
        if self.socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def _exchange(self) -> None:
        self.connection.connect()
        self.socket = self.connection.sock
        if self.aborted:  # the deadline passed while connecting, when there was no socket to shut down yet
            return
        self.connection.timeout = DEADLINE_SECONDS  # from now on the deadline of ``post`` is what counts
        target = self.parts.path + (f"?{self.parts.query}" if self.parts.query else "")
        fixed = {"Content-Type": "application/json", "User-Agent": "Stowage", "Connection": "close"}
        self.connection.request("POST", target, self.body, {**fixed, **self.headers})
        # The standard library's method: urllib3's quotes address and headers in the log when it can't parse the answer.
        answer = http.client.HTTPConnection.getresponse(self.connection)
        retry_after = _retry_after(answer.headers.get("Retry-After"))
        self.result = PostResult(answer.status, _reason(answer.status), retry_after)
        with suppress(OSError, http.client.HTTPException):
            answer.read(MAX_BODY)

    def _fail(self, reason: Text) -> None:
        self.result = self.result or PostResult(None, reason)


def _connection(parts: SplitResult, egress: Egress) -> Any:
    connection: Any = guarded_pools(egress)[parts.scheme].ConnectionCls
    tls = {"ssl_context": ssl.create_default_context()} if parts.scheme == "https" else {}
    return connection(parts.hostname, port_of(parts), timeout=CONNECT_SECONDS, **tls)


def _reason(status: int) -> Text | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return Text("It answered %(status)s, a redirect. None is followed: enter where it leads to.", status=status)
    if status == GONE:
        return Text("It answered 410 Gone: it wants no more events.")
    return Text("It answered %(status)s.", status=status)


def _retry_after(header: str | None) -> float | None:
    """Seconds from a Retry-After header, a number or a date (RFC 9110, 10.2.3); None for what can't be parsed."""
    value = (header or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now()).total_seconds())
