"""Rate limits: counted in Valkey for all processes, in this process's memory while Valkey is unavailable."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, TypeVar
from uuid import UUID

import redis
from flask import Flask, Response, current_app, g, request
from flask_babel import gettext as _
from flask_babel import ngettext
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter

from portal.errors import Unavailable
from portal.settings import Settings

log = logging.getLogger(__name__)

# While Valkey does not answer each question to it takes as long as its timeout, and an API request asks two.
MEMORY_SECONDS = 5.0
WINDOW_SECONDS = 60

T = TypeVar("T")


@dataclass(frozen=True)
class Rate:
    """At most ``limit`` (e.g. "10 per 5 minutes") for one key; ``name`` keeps kinds apart."""

    name: str
    limit: str

    @cached_property
    def item(self) -> RateLimitItem:
        """The limit as the library reads it."""
        return parse(self.limit)


class Rates:
    """The counters of one application."""

    def __init__(self, redis_url: str) -> None:
        self._memory_until = 0.0
        self._memory = FixedWindowRateLimiter(MemoryStorage())
        self._pool = redis.ConnectionPool.from_url(redis_url, socket_connect_timeout=0.5, socket_timeout=0.5)
        storage = RedisStorage(redis_url, connection_pool=self._pool, key_prefix="stowage:rates")
        self._shared = FixedWindowRateLimiter(storage)

    def count(self, rate: Rate, *key: str) -> None:
        """Count one more. Above the limit raises ``Unavailable`` (429 ``rate_limited``, ``retry_after`` in seconds)."""
        if self.use(rate, *key) > rate.item.amount:
            seconds = self.seconds_left(rate, *key)
            detail = _("Too many attempts. Try again in %(duration)s.", duration=_duration(seconds))
            raise Unavailable(detail, code="rate_limited", retry_after=seconds)

    def hit(self, rate: Rate, *key: str) -> bool:
        """Count one more; whether it is within the limit."""
        return self.use(rate, *key) <= rate.item.amount

    def use(self, rate: Rate, *key: str) -> int:
        """Count one more; how many there were since the window began."""
        return self._asked(lambda limiter: _incremented(limiter, rate, key))

    def seconds_left(self, rate: Rate, *key: str) -> int:
        """Seconds until the window of this key ends."""
        ends = self._asked(lambda limiter: limiter.get_window_stats(rate.item, rate.name, *key)[0])
        return max(1, int(ends - time.time()) + 1)

    def is_used_up(self, rate: Rate, *key: str) -> bool:
        """Whether one more would be above the limit; counts nothing."""
        return not self._asked(lambda limiter: limiter.test(rate.item, rate.name, *key))

    def forget(self, rate: Rate, *key: str) -> None:
        """Start anew for this key."""
        self._memory.clear(rate.item, rate.name, *key)
        with suppress(redis.RedisError, StorageError):  # else the counter ends with its window
            self._shared.clear(rate.item, rate.name, *key)

    def close(self) -> None:
        """Give the connections back."""
        self._pool.disconnect()

    def _asked(self, ask: Callable[[FixedWindowRateLimiter], T]) -> T:
        """What the counters in Valkey say, or those of this process while it is unavailable."""
        if time.monotonic() >= self._memory_until:
            try:
                return ask(self._shared)
            except (redis.RedisError, StorageError) as error:
                log.warning("rate limits are counted in memory: %s", type(error).__name__)
                self._memory_until = time.monotonic() + MEMORY_SECONDS
        return ask(self._memory)


def _incremented(limiter: FixedWindowRateLimiter, rate: Rate, key: tuple[str, ...]) -> int:
    """What ``limiter.hit`` compares with the limit: the library gives the count in two more round trips only."""
    item = rate.item
    return int(limiter.storage.incr(item.key_for(rate.name, *key), item.get_expiry()))


@dataclass(frozen=True)
class ApiUse:
    """What one request used of a limit of the API, for the headers of its answer. ``seconds``: until the window ends,
    where that is known."""

    scope: str
    limit: int
    used: int
    seconds: int | None = None


def count_api_request(scope: Literal["person", "tenant"], subject: UUID) -> None:
    """Count a request of the API for a person (all their tokens and sessions together) or for a tenant.

    Raises ``Unavailable`` (429 ``rate_limited``) above the limit of a minute. How much of the tenant's limit is left is
    said in that refusal only: it shows what others do.
    """
    settings: Settings = current_app.extensions["portal.settings"]
    limit = settings.api_requests if scope == "person" else settings.api_tenant_requests
    rate = _api_rate(scope, limit)
    used = rates().use(rate, subject.hex)
    if used <= limit:
        if scope == "person":
            g.api_use = ApiUse(scope, limit, used)
        return
    seconds = rates().seconds_left(rate, subject.hex)
    g.api_use = ApiUse(scope, limit, used, seconds)
    detail = _(
        "Too many requests: there may be %(most)s in a minute. Try again in %(duration)s.",
        most=f"{limit:,}",
        duration=_duration(seconds),
    )
    raise Unavailable(detail, code="rate_limited", retry_after=seconds, scope=scope, limit=limit)


@cache
def _api_rate(scope: str, limit: int) -> Rate:
    return Rate(f"api-{scope}", f"{limit} per {WINDOW_SECONDS} seconds")


def install(app: Flask) -> None:
    """Say in answers of the API how much of the limit is left (draft-ietf-httpapi-ratelimit-headers-10)."""

    def add(response: Response) -> Response:
        use: ApiUse | None = g.get("api_use")
        if use is not None:
            left = f'"{use.scope}";r={max(0, use.limit - use.used)}'
            response.headers["RateLimit-Policy"] = f'"{use.scope}";q={use.limit};w={WINDOW_SECONDS}'
            response.headers["RateLimit"] = left if use.seconds is None else f"{left};t={use.seconds}"
        return response

    app.after_request(add)


def rates() -> Rates:
    """The counters of the running application."""
    found: Rates = current_app.extensions["portal.rates"]
    return found


def address() -> str:
    """The address that the request comes from, as the server sees it."""
    return request.remote_addr or "unknown"


def network_of(remote: str) -> str:
    """What one subscriber has: an IPv4 address, or the /64 of an IPv6 address (RFC 6177), whose addresses are free."""
    try:
        found = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return remote
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    prefix = 32 if found.version == 4 else 64
    return str(ipaddress.ip_network((found, prefix), strict=False))


def _duration(seconds: int) -> str:
    if seconds < 90:
        return ngettext("%(num)s second", "%(num)s seconds", seconds)
    return ngettext("%(num)s minute", "%(num)s minutes", round(seconds / 60))
