"""Rate limits: counted in Valkey for all processes, in this process's memory while Valkey is unavailable."""

from __future__ import annotations

import ipaddress
import logging
import time
from contextlib import suppress
from dataclasses import dataclass

import redis
from flask import current_app, request
from flask_babel import gettext as _
from flask_babel import ngettext
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter

from portal.errors import Unavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rate:
    """At most ``limit`` (e.g. "10 per 5 minutes") for one key; ``name`` keeps kinds apart."""

    name: str
    limit: str

    @property
    def item(self) -> RateLimitItem:
        """The limit as the library reads it."""
        return parse(self.limit)


class Rates:
    """The counters of one application."""

    def __init__(self, redis_url: str) -> None:
        self._memory = FixedWindowRateLimiter(MemoryStorage())
        self._pool = redis.ConnectionPool.from_url(redis_url, socket_connect_timeout=0.5, socket_timeout=0.5)
        storage = RedisStorage(redis_url, connection_pool=self._pool, key_prefix="stowage:rates")
        self._shared = FixedWindowRateLimiter(storage)

    def count(self, rate: Rate, *key: str) -> None:
        """Count one more. Above the limit raises ``Unavailable`` (429 ``rate_limited``, ``retry_after`` in seconds)."""
        try:
            self._count(self._shared, rate, key)
        except (redis.RedisError, StorageError) as error:
            log.warning("rate limits are counted in memory: %s", type(error).__name__)
            self._count(self._memory, rate, key)

    def hit(self, rate: Rate, *key: str) -> bool:
        """Count one more; whether it is within the limit."""
        try:
            return self._shared.hit(rate.item, rate.name, *key)
        except (redis.RedisError, StorageError):
            return self._memory.hit(rate.item, rate.name, *key)

    def is_used_up(self, rate: Rate, *key: str) -> bool:
        """Whether one more would be above the limit; counts nothing."""
        try:
            return not self._shared.test(rate.item, rate.name, *key)
        except (redis.RedisError, StorageError):
            return not self._memory.test(rate.item, rate.name, *key)

    def forget(self, rate: Rate, *key: str) -> None:
        """Start anew for this key."""
        self._memory.clear(rate.item, rate.name, *key)
        with suppress(redis.RedisError, StorageError):  # else the counter ends with its window
            self._shared.clear(rate.item, rate.name, *key)

    def close(self) -> None:
        """Give the connections back."""
        self._pool.disconnect()

    def _count(self, limiter: FixedWindowRateLimiter, rate: Rate, key: tuple[str, ...]) -> None:
        if limiter.hit(rate.item, rate.name, *key):
            return
        ends, _left = limiter.get_window_stats(rate.item, rate.name, *key)
        seconds = max(1, int(ends - time.time()) + 1)
        detail = _("Too many attempts. Try again in %(duration)s.", duration=_duration(seconds))
        raise Unavailable(detail, code="rate_limited", retry_after=seconds)


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
