"""Where an endpoint may be: what a person enters, brought into one form or refused in words. Pure: nothing is dialled.

Which hosts are refused is the same as for own buckets (``storage.hosts``).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from portal.errors import Invalid
from portal.network import hosts
from portal.network.egress import Egress
from portal.webhooks.models import LONGEST_URL

_PLAIN = re.compile(r"[\x21-\x7e]+")


def checked(text: str, egress: Egress) -> str:
    """``scheme://host[:port]/path[?query]``, the host in lower case. Raises ``Invalid``."""
    given = text.strip()
    if not given:
        raise _wrong("Enter the address that is to be told, such as https://example.com/stowage.")
    if len(given) > LONGEST_URL:
        raise _wrong(f"An address has at most {LONGEST_URL:,} characters here; this one has {len(given):,}.")
    if not _PLAIN.fullmatch(given):
        raise _wrong("An address has no spaces and no letters beyond ASCII. Write them percent-encoded, hosts in xn--.")
    parts = hosts.split(given, "url", example="https://example.com/stowage")
    for present, words in (
        (parts.scheme not in ("http", "https"), "An address begins with https://."),
        ("@" in parts.netloc, "Leave user name and password out of the address: the signature proves who is calling."),
        ("#" in given, "Leave the # and what follows it out of the address: it is never sent."),
    ):
        if present:
            raise _wrong(words)
    host = hosts.checked_host(parts, egress, "url")
    netloc = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))


def shown(url: str) -> str:
    """The address without path and query, which may hold a secret: for letters and the audit log."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _wrong(words: str) -> Invalid:
    return Invalid(words, field="url")
