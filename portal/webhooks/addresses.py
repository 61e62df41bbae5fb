"""Where an endpoint may be: what a person enters, brought into one form or refused in words. Pure: nothing is dialled.

What a name leads to is decided anew whenever it is dialled (``portal.storage.egress``); here only what can be told from
the address itself is refused.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from portal.errors import Invalid
from portal.storage.egress import PORTS, Egress, is_public, literal
from portal.webhooks.models import LONGEST_URL

_PLAIN = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


def checked(text: str, egress: Egress) -> str:
    """``scheme://host[:port]/path[?query]``, the host in lower case. Raises ``Invalid``."""
    given = text.strip()
    if not given:
        raise _wrong("Enter the address that is to be told, such as https://example.com/stowage.")
    if len(given) > LONGEST_URL:
        raise _wrong(f"An address has at most {LONGEST_URL:,} characters here; this one has {len(given):,}.")
    if not _PLAIN.fullmatch(given):
        raise _wrong("An address has no spaces and no letters beyond ASCII. Write them percent-encoded, hosts in xn--.")
    parts = _split(given)
    for present, words in (
        (parts.scheme not in ("http", "https"), "An address begins with https://."),
        ("@" in parts.netloc, "Leave user name and password out of the address: the signature proves who is calling."),
        ("#" in given, "Leave the # and what follows it out of the address: it is never sent."),
    ):
        if present:
            raise _wrong(words)
    host = (parts.hostname or "").rstrip(".")
    host = _allowed(parts, host, egress)
    netloc = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))


def shown(url: str) -> str:
    """The address without path and query, which may hold a secret: for letters and the audit log."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def port_of(parts: SplitResult) -> int:
    """The port that is dialled."""
    return parts.port or (80 if parts.scheme == "http" else 443)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _wrong("This is no address. It looks like https://example.com/stowage.") from None
    return parts


def _allowed(parts: SplitResult, host: str, egress: Egress) -> str:
    """The host as it is kept: an address in its usual form."""
    plain, port = parts.scheme == "http", port_of(parts)
    try:
        address = literal(host)
    except ValueError:
        address, host = None, ""
    if address is None and not _HOST.fullmatch(host):
        raise _wrong("The host in this address is no name of plain letters, digits, dots and hyphens.")
    if plain and not egress.allows_plain(host, port, address):
        raise _wrong("Plain http would send everything unprotected. Use https://, or ask an operator to allow it here.")
    if not egress.allows_port(host, port, address):
        ports = ", ".join(map(str, PORTS))
        raise _wrong(f"Port {port} is not dialled from here. Use one of {ports}, or ask an operator to allow it.")
    if address is not None and not is_public(address) and not egress.allows(host, port, address, plain=plain):
        raise _wrong("This address is not on the internet. Use a public one, or ask an operator to allow it.")
    if address is None and ("." not in host or host.endswith(".localhost")) and not egress.names(host, port):
        raise _wrong("This is a name inside a network, not a public one. Use another, or ask an operator to allow it.")
    return f"[{address}]" if address and address.version == 6 else str(address or host)


def _wrong(words: str) -> Invalid:
    return Invalid(words, field="url")
