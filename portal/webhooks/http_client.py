"""One request to one endpoint, through the egress guard, over after ``DEADLINE_SECONDS`` whatever the receiver does.

The exchange runs in a thread of its own: a receiver that drips a byte now and then keeps every read alive, and a name
server may take its time. At the deadline the socket is shut, which ends the thread, and the worker goes on.
Only the status decides; the receiver's words are read, at most ``MOST_READ`` bytes of them, so that it can finish, and
dropped. Redirects are answers like any other.
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

from urllib3.exceptions import HTTPError, NameResolutionError

from portal.database import assert_no_transaction, now
from portal.network.egress import Egress, EgressRefused, guarded_pools
from portal.network.hosts import port_of

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5  # for each address of a name
DEADLINE_SECONDS = 15.0
MOST_READ = 64 * 1024
GONE = 410

NOT_ALLOWED = "Its address is not on the internet, and the operator does not allow it. Nothing was sent."
NO_NAME = "Its name leads nowhere."
NO_CONNECTION = "No connection to it could be made."
BAD_CERTIFICATE = "Its certificate is not valid, or not for this name, or it speaks no TLS."
BROKE_OFF = "It broke off before it answered, or answered something that is not HTTP."
TOO_SLOW = f"It did not answer within {DEADLINE_SECONDS:.0f} seconds."


@dataclass(frozen=True)
class Outcome:
    """``status`` None: there was no answer. ``reason`` "": it was taken. ``retry_after``: seconds it asks for."""

    status: int | None
    reason: str
    retry_after: float | None = None


def post(url: str, headers: dict[str, str], body: bytes, rules: Egress) -> Outcome:
    """Send it, once. Never raises for what the receiver or the way to it does."""
    assert_no_transaction()
    errand = _Errand(url, headers, body, rules)
    thread = threading.Thread(target=errand.run, name="webhook", daemon=True)
    thread.start()
    thread.join(DEADLINE_SECONDS)
    found = errand.outcome
    if thread.is_alive():
        errand.abort()
    return found or Outcome(None, TOO_SLOW)


class _Errand:
    """The exchange; ``outcome`` is there as soon as the status is."""

    def __init__(self, url: str, headers: dict[str, str], body: bytes, rules: Egress) -> None:
        self.parts, self.headers, self.body = urlsplit(url), headers, body
        self.connection = _connection(self.parts, rules)
        self.opened: socket.socket | None = None
        self.outcome: Outcome | None = None
        self.aborted = False

    def run(self) -> None:
        """All of it, with what goes wrong in our words."""
        try:
            self._exchange()
        except EgressRefused as refusal:
            log.warning("a webhook was not sent: %s", refusal)
            self._conclude(NOT_ALLOWED)
        except NameResolutionError:
            self._conclude(NO_NAME)
        except (HTTPError, OSError, http.client.HTTPException) as error:
            before = BAD_CERTIFICATE if isinstance(error, ssl.SSLError) else NO_CONNECTION
            after = TOO_SLOW if isinstance(error, TimeoutError) else BROKE_OFF
            self._conclude(before if self.opened is None else after)
        except Exception:
            log.exception("a webhook could not be sent")
            self._conclude(BROKE_OFF)
        finally:
            with suppress(OSError):
                self.connection.close()

    def abort(self) -> None:
        """End it: whatever is being read ends with it. By the socket's own method: TLS would first say goodbye."""
        self.aborted = True
        if self.opened is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.opened, socket.SHUT_RDWR)

    def _exchange(self) -> None:
        self.connection.connect()
        self.opened = self.connection.sock
        if self.aborted:
            return
        self.connection.timeout = DEADLINE_SECONDS  # from now on the thread's end is what counts
        target = self.parts.path + (f"?{self.parts.query}" if self.parts.query else "")
        fixed = {"Content-Type": "application/json", "User-Agent": "Stowage", "Connection": "close"}
        self.connection.request("POST", target, self.body, {**fixed, **self.headers})
        # The standard library's own: urllib3 would quote address and headers in the log when it can't read them.
        answer = http.client.HTTPConnection.getresponse(self.connection)
        self.outcome = Outcome(answer.status, _words(answer.status), _seconds(answer.headers.get("Retry-After")))
        with suppress(OSError, http.client.HTTPException):
            answer.read(MOST_READ)

    def _conclude(self, words: str) -> None:
        self.outcome = self.outcome or Outcome(None, words)


def _connection(parts: SplitResult, rules: Egress) -> Any:
    made: Any = guarded_pools(rules)[parts.scheme].ConnectionCls
    tls = {"ssl_context": ssl.create_default_context()} if parts.scheme == "https" else {}
    return made(parts.hostname, port_of(parts), timeout=CONNECT_SECONDS, **tls)


def _words(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"It answered {status}, a redirect. None is followed: enter the address that it leads to."
    if status == GONE:
        return "It answered 410 Gone: it wants to be told no more."
    return f"It answered {status}."


def _seconds(header: str | None) -> float | None:
    """What Retry-After asks for (RFC 9110: seconds or a date); None for what can't be read."""
    words = (header or "").strip()
    if words.isascii() and words.isdigit():
        return float(words[:9])
    try:
        moment = parsedate_to_datetime(words)
    except ValueError:
        return None
    return max(0.0, ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now()).total_seconds())
