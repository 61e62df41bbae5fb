"""Where an address that people enter may lead, told from the address itself: own buckets and webhooks alike.

Pure: nothing is dialled. What a name leads to is decided anew whenever it is dialled (``egress``).
"""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import SplitResult, urlsplit

from portal.errors import Invalid
from portal.network.egress import PORTS, Egress, literal

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


def split(url: str, field: str, *, like: str) -> SplitResult:
    """Its parts. Raises ``Invalid`` for what has none, with an address that it should be ``like``."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # it is read here, and may be no number
    except ValueError:
        raise Invalid(f"This is no address. It looks like {like}.", field=field) from None
    return parts


def port_of(parts: SplitResult) -> int:
    """The port that is dialled."""
    return parts.port or (80 if parts.scheme == "http" else 443)


def allowed(parts: SplitResult, egress: Egress, field: str) -> str:
    """The host as it is kept: an address in its usual form, a name without a dot at its end. Raises ``Invalid``."""
    host, port, plain = (parts.hostname or "").rstrip("."), port_of(parts), parts.scheme == "http"
    try:
        address = literal(host)
    except ValueError:
        address, host = None, ""
    wrong = partial(Invalid, field=field)
    if address is None and not _HOST.fullmatch(host):
        raise wrong("The host in this address is no name of plain letters, digits, dots and hyphens.")
    if plain and not egress.allows_plain(host, port, address):
        raise wrong("Plain http would send everything unprotected. Use https://, or ask an operator to allow it here.")
    if not egress.allows_port(host, port, address):
        ports = ", ".join(map(str, PORTS))
        raise wrong(f"Port {port} is not dialled from here. Use one of {ports}, or ask an operator to allow it.")
    if address is not None and not egress.allows(host, port, address, plain=plain):
        raise wrong(f"{address} is not on the internet. Use a public address, or ask an operator to allow it.")
    if address is None and ("." not in host or host.endswith(".localhost")) and not egress.names(host, port):
        raise wrong(
            f"“{host}” is a name inside a network, not a public one. Use another, or ask an operator to allow it."
        )
    return f"[{address}]" if address and address.version == 6 else str(address or host)
