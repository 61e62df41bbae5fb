"""Checks of an address that a person enters, for own buckets and webhooks alike. Pure: nothing is resolved or dialled.

Where a name leads is decided again at each connection (``egress``).
"""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import SplitResult, urlsplit

from flask_babel import gettext as _

from portal.errors import Invalid
from portal.network.egress import PORTS, Egress, literal_address

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


def split(url: str, field: str, *, example: str) -> SplitResult:
    """The parts of ``url``. Raises ``Invalid`` on ``field``, showing ``example``, when it can't be parsed."""
    try:
        parts = urlsplit(url)
        port = parts.port  # parsed here, and may be no number
    except ValueError:
        raise Invalid(_("This is not an address. It looks like %(example)s.", example=example), field=field) from None
    if port == 0:
        raise Invalid(_("Port 0 can't be connected to."), field=field)
    return parts


def port_of(parts: SplitResult) -> int:
    """The port that is connected to."""
    return parts.port or (80 if parts.scheme == "http" else 443)


def checked_host(parts: SplitResult, egress: Egress, field: str) -> str:
    """The host in one form: an address as it is usually written, a name without a final dot.

    Raises ``Invalid`` on ``field`` for a host, scheme or port that would be refused at the connection anyway.
    """
    host, port, plain = (parts.hostname or "").rstrip("."), port_of(parts), parts.scheme == "http"
    invalid = partial(Invalid, field=field)
    try:
        address = literal_address(host)
    except ValueError:
        address, host = None, ""
    if address is None and not _HOST.fullmatch(host):
        raise invalid(_("The host in this address is not a name of plain letters, digits, dots and hyphens."))
    if plain and not egress.allows_plain(host, port, address):
        raise invalid(_("Plain http is not encrypted. Use https://, or ask an operator to allow http for this host."))
    if not egress.allows_port(host, port, address):
        ports = ", ".join(map(str, PORTS))
        raise invalid(
            _(
                "Port %(port)s is not allowed. Use one of %(ports)s, or ask an operator to allow it.",
                port=port,
                ports=ports,
            )
        )
    if address is not None and not egress.allows(host, port, address, plain=plain):
        raise invalid(
            _(
                "%(address)s is not a public address. Use a public one, or ask an operator to allow it.",
                address=address,
            )
        )
    if address is None and ("." not in host or host.endswith(".localhost")) and not egress.mentions(host, port):
        raise invalid(
            _(
                "“%(host)s” is a name inside a network. Use a public name, or ask an operator to allow it.",
                host=host,
            )
        )
    return f"[{address}]" if address and address.version == 6 else str(address or host)
