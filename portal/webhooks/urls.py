"""The address of an endpoint as a person enters it, brought into one form. Pure: nothing is dialled.

Which hosts are refused is the same as for own buckets (``network.hosts``).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from flask_babel import gettext as _

from portal.errors import Invalid
from portal.network import hosts
from portal.network.egress import Egress
from portal.webhooks.models import MAX_URL

_PLAIN = re.compile(r"[\x21-\x7e]+")


def checked(text: str, egress: Egress) -> str:
    """``scheme://host[:port]/path[?query]``, the host in lower case. Raises ``Invalid`` on ``url``."""
    given = text.strip()
    if not given:
        raise _invalid(_("Enter the address that events are sent to, such as https://example.com/stowage."))
    if len(given) > MAX_URL:
        raise _invalid(
            _("An address has at most %(most)s characters; this one has %(count)s.", most=MAX_URL, count=len(given))
        )
    if not _PLAIN.fullmatch(given):
        raise _invalid(
            _("An address has no spaces and only ASCII letters. Write others percent-encoded, in hosts as xn--….")
        )
    parts = hosts.split(given, "url", example="https://example.com/stowage")
    for is_wrong, message in (
        (parts.scheme not in ("http", "https"), _("An address begins with https://.")),
        ("@" in parts.netloc, _("Leave user name and password out of the address: the signature proves the sender.")),
        ("#" in given, _("Leave the # and what follows it out of the address: it is never sent.")),
    ):
        if is_wrong:
            raise _invalid(message)
    host = hosts.checked_host(parts, egress, "url")
    netloc = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))


def without_path(url: str) -> str:
    """Scheme, host and port alone, for e-mails and the audit log: path and query may contain a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _invalid(message: str) -> Invalid:
    return Invalid(message, field="url")
