"""Passwords that are guessed first: common ones, those of known breaches, names, dates, keyboard rows and repeats.

zxcvbn, which Flask-Security-Too offers as ``SECURITY_PASSWORD_COMPLEXITY_CHECKER``, has the lists with it, so that
nothing of a password leaves this process (its other check, Have I Been Pwned, asks a server). It is called here and not
through the library, because passwords are set by commands, too, and its reasons are English only.
"""

from __future__ import annotations

import re

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

# Of 0 to 4; 3 takes a hundred million guesses. The library's own default (SECURITY_ZXCVBN_MINIMUM_SCORE).
LEAST_SCORE = 3
LOOKED_AT = 72  # characters: zxcvbn raises ValueError above, and its work grows faster than the length

_COMMON = _l("it is one of the passwords that everybody tries first, or is in lists of stolen ones")
_SIMILAR = _l("it is a common password with small changes")
_ROW = _l("keys that lie side by side are tried first")
_REPEATS = _l("repeated characters are tried first")
_DATES = _l("dates and years are tried first")
_WORD = _l("a single word is tried first")
_NAME = _l("names are tried first")
# By the beginning of what zxcvbn says.
_REASONS = {
    "This is a top": _COMMON,
    "This is a very common": _COMMON,
    "This is similar": _SIMILAR,
    "Straight rows": _ROW,
    "Short keyboard": _ROW,
    "Sequences": _ROW,
    "Repeats": _REPEATS,
    "Recent years": _DATES,
    "Dates": _DATES,
    "A word by itself": _WORD,
    "Names": _NAME,
    "Common names": _NAME,
}


def weakness(password: str, *known: str) -> str | None:
    """Why this password is too easy to guess, or None. ``known``: what a guesser knows of its person."""
    # Here, because only a process that sets passwords needs its word lists. It comes without types.
    from zxcvbn import zxcvbn  # type: ignore[import-untyped]

    words = [part.casefold() for each in known for part in (each, *re.split(r"\W+", each)) if part]
    found = zxcvbn(password[:LOOKED_AT], user_inputs=[*words, "stowage"])
    if found["score"] >= LEAST_SCORE:
        return None
    warning = str(found["feedback"]["warning"] or "")
    for beginning, reason in _REASONS.items():
        if warning.startswith(beginning):
            return str(reason)
    return _("a program guesses it too soon")
