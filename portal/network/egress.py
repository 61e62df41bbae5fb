"""Which addresses a customer's endpoint may lead to: pure rules, and urllib3 connections that enforce them.

A host name proves nothing: its owner decides at each look-up where it leads (DNS rebinding). So the rules are applied
where the connection is made, to the address that is dialled: the name is resolved once, the address is checked, and
that very address is connected to. What the operator lists in PORTAL_EGRESS_ALLOW is allowed although it is not public.
The deployment's own store belongs to the operator and is not guarded.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from portal.network.deadlines import TimedConnection

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# https alone, and where S3-compatible stores listen by their own documentation: Ceph 7480, SeaweedFS 8333, MinIO 9000.
PORTS = (443, 7480, 8333, 8443, 9000, 9443)
MAX_ADDRESSES = 3  # tried for one name: each may take a whole connect timeout

# IANA's special-purpose registries (iana.org/assignments/iana-ipv4-special-registry and -ipv6-), multicast, what is
# reserved, and the address at which Azure serves the machines that it hosts.
NOT_PUBLIC_4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",  # link-local, and where clouds serve credentials
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Everything else is no unicast address of the internet: ::, ::1, IPv4 inside IPv6, NAT64, unique local, link-local, …
PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
NOT_PUBLIC_6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, benchmarks, ORCHID and other protocols
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address, whichever
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)

_NUMBER = r"(?:0x[0-9a-f]*|[0-9]+)"
_NUMERIC = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}){{0,3}}", re.IGNORECASE)


class EgressRefused(HTTPError):
    """Nothing was dialled: the host has no address that is public or allowed by the operator.

    Also raised for a name that does not exist. With different errors anybody who may enter an address could find
    out which internal names exist. The text says which, for the log only.
    """


@dataclass(frozen=True)
class Allowance:
    """One entry of PORTAL_EGRESS_ALLOW: a network (an address is one, too) or a host name; at one port or at every."""

    network: Network | None = None
    host: str = ""
    port: int | None = None
    plain: bool = False

    def covers(self, host: str, port: int, address: Address | None) -> bool:
        """Whether this entry allows it; ``bucket.host`` is covered by an entry for ``host``.

        ``address`` None: the host was not resolved yet, so a network might contain it.
        """
        if self.port not in (None, port):
            return False
        if self.network is not None:
            return address is None or address in self.network
        return self.host in (host, host.partition(".")[2])


@dataclass(frozen=True)
class Egress:
    """The egress rules of a deployment."""

    allowances: tuple[Allowance, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Egress:
        """From the entries of PORTAL_EGRESS_ALLOW. Raises ``ValueError`` naming the first that can't be parsed."""
        return cls(tuple(_allowance(entry) for entry in entries))

    def allows_plain(self, host: str, port: int, address: Address | None) -> bool:
        """Whether plain http may be spoken there."""
        return any(each.plain and each.covers(host, port, address) for each in self.allowances)

    def allows_port(self, host: str, port: int, address: Address | None) -> bool:
        """Whether the port is one of ``PORTS``, or one that the operator listed for this host."""
        return port in PORTS or any(
            each.port is not None and each.covers(host, port, address) for each in self.allowances
        )

    def mentions(self, host: str, port: int) -> bool:
        """Whether the operator listed this host, or a network that it could be in."""
        return any(each.covers(host, port, None) for each in self.allowances)

    def allows(self, host: str, port: int, address: Address, *, plain: bool) -> bool:
        """Whether ``address``, to which ``host`` resolved, may be dialled."""
        if not self.allows_port(host, port, address) or (plain and not self.allows_plain(host, port, address)):
            return False
        return is_public(address) or any(each.covers(host, port, address) for each in self.allowances)

    def resolve(self, host: str, port: int, *, plain: bool) -> list[Address]:
        """The addresses of ``host`` at this moment that may be dialled, at most ``MAX_ADDRESSES``.

        Raises ``EgressRefused`` when none may, or the name does not exist; ``socket.gaierror`` when the name server
        does not answer for now.
        """
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a label that is too long, or empty
            raise EgressRefused("the host name is not valid") from None
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:  # the name server did not answer: passes by itself
                raise
            raise EgressRefused("the host name does not exist") from None
        found = [_address(entry[4][0]) for entry in entries]
        allowed = [address for address in dict.fromkeys(found) if self.allows(host, port, address, plain=plain)]
        if not allowed:
            addresses = ", ".join(map(str, found))
            raise EgressRefused(f"{'http' if plain else 'https'} to port {port} of {addresses} is not allowed")
        return allowed[:MAX_ADDRESSES]


def is_public(address: Address) -> bool:
    """Whether this is the address of a single machine on the internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_4)
    return address in PUBLIC_6 and not any(address in network for network in NOT_PUBLIC_6)


def literal_address(host: str) -> Address | None:
    """The address that ``host`` spells out, in any form that resolvers accept; None for a name.

    Resolvers accept decimal, octal, hexadecimal and shortened forms of IPv4 (inet_aton(3)): ``0xA9FEA9FE`` is
    169.254.169.254. Raises ``ValueError`` for numbers that are no address.
    """
    if ":" in host:
        return ipaddress.IPv6Address(host)
    if not _NUMERIC.fullmatch(host):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        raise ValueError(f"{host} is no address") from None


@cache
def guarded_pools(egress: Egress) -> dict[str, type[HTTPConnectionPool]]:
    """Pools by scheme that enforce ``egress``, for the ``pool_classes_by_scheme`` of a urllib3 ``PoolManager``."""
    pools: dict[str, type[HTTPConnectionPool]] = {}
    for base in (HTTPConnectionPool, HTTPSConnectionPool):
        attributes = {"egress": egress, "plain": base.scheme == "http"}
        connection = type("GuardedConnection", (_GuardedConnection, base.ConnectionCls), attributes)
        pools[base.scheme or ""] = type("GuardedPool", (_NoRedirects, base), {"ConnectionCls": connection})
    return pools


class _NoRedirects(HTTPConnectionPool):
    """Mixed into a pool: never follows redirects, whatever the caller passes."""

    def urlopen(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Any = None,
        retries: Any = None,
        redirect: bool = False,  # noqa: ARG002  (ignored on purpose)
        *more: Any,
        **options: Any,
    ) -> Any:
        return super().urlopen(method, url, body, headers, retries, False, *more, **options)


class _GuardedConnection(TimedConnection):
    """Mixed into a connection: resolves the host once, checks the addresses, and connects to one that was checked."""

    egress: Egress
    plain: bool

    def _new_conn(self) -> socket.socket:
        # Private in name only: urllib3 has no public hook between resolving and connecting, and its own SOCKS support
        # overrides this very method. tests/network prove that it is still the one that dials.
        host = self.host.strip("[]").lower()
        try:
            addresses = self.egress.resolve(host, self.port, plain=self.plain)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        for address in addresses:
            try:
                return self._dial(address)
            except OSError as error:
                failed: OSError = error
        if isinstance(failed, TimeoutError):
            raise ConnectTimeoutError(self, f"Connecting to {self.host} timed out") from failed
        raise NewConnectionError(self, f"Connecting to {self.host} failed: {failed}") from failed

    def _dial(self, address: Address) -> socket.socket:
        place: Any = (str(address), self.port)
        source: Any = self.source_address
        return create_connection(place, self.timeout, source_address=source, socket_options=self.socket_options)


def _address(text: Any) -> Address:
    return ipaddress.ip_address(str(text).partition("%")[0])  # fe80::1%eth0: without the interface


def _allowance(entry: str) -> Allowance:
    try:
        if "://" not in entry and "/" in entry:
            return Allowance(network=ipaddress.ip_network(entry))
        parts = urlsplit(entry if "://" in entry else f"//{entry}")
        host, plain = (parts.hostname or "").rstrip("."), parts.scheme == "http"
        beside = parts.path.strip("/") or parts.query or parts.fragment or "@" in entry
        if parts.scheme in ("", "http") and host and not beside and parts.port != 0:
            port, address = parts.port or (80 if plain else None), literal_address(host)
            network = ipaddress.ip_network(address) if address else None
            return Allowance(network=network, host="" if address else host, port=port, plain=plain)
    except ValueError:
        pass
    raise ValueError(f"“{entry}” is neither host[:port], nor a network such as 10.1.0.0/16, nor http://host:port")
