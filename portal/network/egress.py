"""What a customer's endpoint may lead to. Pure rules, and the connections of urllib3 that hold to them.

A name says nothing: whoever owns it decides at each look-up where it leads. So the rules are applied where a connection
is made, to the address that is dialled: resolved once, checked, and that very address is used. What the operator names
in PORTAL_EGRESS_ALLOW is open although it is not public. The deployment's own store is the operator's, and unguarded.
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

from portal.network.deadlines import Timed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# https alone, and where S3-compatible stores listen by their own documentation: Ceph 7480, SeaweedFS 8333, MinIO 9000.
PORTS = (443, 7480, 8333, 8443, 9000, 9443)
MOST_ADDRESSES = 3  # tried of one name: each may take a connect timeout

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
    """Nothing was dialled: the address is not public, and the operator does not allow it. Says which, to the log."""


@dataclass(frozen=True)
class Allowance:
    """One entry of PORTAL_EGRESS_ALLOW: a network (an address is one, too) or a host's name, at one port or at all."""

    network: Network | None = None
    host: str = ""
    port: int | None = None
    plain: bool = False

    def covers(self, host: str, port: int, address: Address | None) -> bool:
        """Is this what the operator meant? A bucket's name in front of an allowed host is, too.

        ``address`` None: it is not known yet where ``host`` leads, and a network could be.
        """
        if self.port not in (None, port):
            return False
        if self.network is not None:
            return address is None or address in self.network
        return self.host in (host, host.partition(".")[2])


@dataclass(frozen=True)
class Egress:
    """The rules of a deployment."""

    allowances: tuple[Allowance, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Egress:
        """From the entries of PORTAL_EGRESS_ALLOW. Raises ``ValueError`` that names the first that can't be read."""
        return cls(tuple(_allowance(entry) for entry in entries))

    def allows_plain(self, host: str, port: int, address: Address | None) -> bool:
        """May this be spoken to by plain http?"""
        return any(each.plain and each.covers(host, port, address) for each in self.allowances)

    def allows_port(self, host: str, port: int, address: Address | None) -> bool:
        """Is this a port of the list, or one that the operator named for this place?"""
        return port in PORTS or any(
            each.port is not None and each.covers(host, port, address) for each in self.allowances
        )

    def names(self, host: str, port: int) -> bool:
        """Did the operator name this host, or a network that it could be in?"""
        return any(each.covers(host, port, None) for each in self.allowances)

    def allows(self, host: str, port: int, address: Address, *, plain: bool) -> bool:
        """May ``address``, to which ``host`` leads, be dialled?"""
        if not self.allows_port(host, port, address) or (plain and not self.allows_plain(host, port, address)):
            return False
        return is_public(address) or any(each.covers(host, port, address) for each in self.allowances)

    def resolve(self, host: str, port: int, *, plain: bool) -> list[Address]:
        """Where ``host`` leads at this moment, as far as it may be dialled.

        Raises ``EgressRefused`` when nothing of it may, ``socket.gaierror`` when the name does not exist.
        """
        found = [_address(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        allowed = [address for address in dict.fromkeys(found) if self.allows(host, port, address, plain=plain)]
        if not allowed:
            places = ", ".join(map(str, found))
            raise EgressRefused(f"{'http' if plain else 'https'} to port {port} of {places} is not allowed")
        return allowed[:MOST_ADDRESSES]


def is_public(address: Address) -> bool:
    """Is this an address of the internet, of one machine there?"""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_4)
    return address in PUBLIC_6 and not any(address in network for network in NOT_PUBLIC_6)


def literal(host: str) -> Address | None:
    """The address that ``host`` spells, in any form that resolvers take (decimal, octal, hexadecimal, short); or None.

    Raises ``ValueError`` for numbers that are no address.
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
def guarded_pools(rules: Egress, *bases: type[HTTPConnectionPool]) -> dict[str, type[HTTPConnectionPool]]:
    """Pools by scheme, for the ``pool_classes_by_scheme`` of a ``PoolManager``; made of ``bases``, or urllib3's own."""
    pools: dict[str, type[HTTPConnectionPool]] = {}
    for scheme, base in zip(("http", "https"), bases or (HTTPConnectionPool, HTTPSConnectionPool), strict=True):
        made = type("GuardedConnection", (_Guarded, base.ConnectionCls), {"rules": rules, "plain": scheme == "http"})
        pools[scheme] = type("GuardedPool", (_Staying, base), {"ConnectionCls": made})
    return pools


class _Staying(HTTPConnectionPool):
    """Mixed into a pool: a redirect is an answer like any other."""

    def urlopen(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Any = None,
        retries: Any = None,
        redirect: bool = False,  # noqa: ARG002  (whatever is asked for)
        *more: Any,
        **options: Any,
    ) -> Any:
        return super().urlopen(method, url, body, headers, retries, False, *more, **options)


class _Guarded(Timed):
    """Mixed into a connection: dials an address that was checked, and no name. Knows patience, too."""

    rules: Egress
    plain: bool

    def _new_conn(self) -> socket.socket:
        host = self.host.strip("[]").lower()
        try:
            addresses = self.rules.resolve(host, self.port, plain=self.plain)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(self.host, self, socket.gaierror(str(error))) from error
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
    return ipaddress.ip_address(str(text).partition("%")[0])  # without the name of a network card


def _allowance(entry: str) -> Allowance:
    try:
        if "://" not in entry and "/" in entry:
            return Allowance(network=ipaddress.ip_network(entry))
        parts = urlsplit(entry if "://" in entry else f"//{entry}")
        host, plain = (parts.hostname or "").rstrip("."), parts.scheme == "http"
        beside = parts.path.strip("/") or parts.query or parts.fragment or "@" in entry
        if parts.scheme in ("", "http") and host and not beside:
            port, spelled = parts.port or (80 if plain else None), literal(host)
            network = ipaddress.ip_network(spelled) if spelled else None
            return Allowance(network, "" if spelled else host, port, plain)
    except ValueError:
        pass
    raise ValueError(f"“{entry}” is neither host[:port], nor a network such as 10.1.0.0/16, nor http://host:port")
