"""Names of libraries and folders: the rules of file names (``portal.names``), with texts of their own."""

from __future__ import annotations

import unicodedata

from flask_babel import lazy_gettext as _l

from portal import names
from portal.errors import Invalid
from portal.names import Flaw

LONGEST_LIBRARY_NAME = 200  # characters: the width of the column

_COMPLAINTS = {
    Flaw.EMPTY: _l("The name must have more than spaces and dots."),
    Flaw.LONG: _l("The name has %(count)s characters; it can have %(most)s or fewer."),
    Flaw.SLASHES: _l("The name can't contain / or \\."),
    Flaw.DECEPTIVE: _l("The name contains invisible characters that make it look like another name."),
    Flaw.CONTROLS: _l("The name can't contain control characters."),
}


def checked(name: str, longest: int = names.LONGEST) -> str:
    """The name as it is stored. Raises ``Invalid``, field ``name``."""
    name = plain(name)
    complaint = complaint_about(name, longest)
    if complaint:
        raise Invalid(complaint, field="name")
    return name


def plain(name: str) -> str:
    """Without spaces around it, in Unicode NFC: macOS writes accents as characters of their own, Windows does not."""
    return unicodedata.normalize("NFC", name.strip())


def complaint_about(name: str, longest: int = names.LONGEST) -> str | None:
    """Why this can't be a name, in words; None when it can."""
    flaw = names.flaw_in(name, longest)
    return str(_COMPLAINTS[flaw]) % {"count": len(name), "most": longest} if flaw else None
