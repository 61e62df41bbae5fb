"""The rules for names: of files, folders and libraries (``flaw_in``), and of everything else (``checked_label``)."""

from __future__ import annotations

import unicodedata
from enum import StrEnum

from flask_babel import gettext as _

from portal.errors import Invalid

LONGEST = 255
"""Characters (code points) of a file's or folder's name: the width of its column."""

# Characters that make a name look like another one: bidirectional embeddings, overrides and isolates, and invisible
# ones that no keyboard types. Joiners stay allowed (emoji and Persian need them), and so do the plain direction marks.
_DECEPTIVE = frozenset(
    chr(point)
    for first, last in (
        (0x00AD, 0x00AD),  # soft hyphen
        (0x115F, 0x1160),  # Hangul fillers, also 3164 and FFA0: letters without a shape
        (0x180E, 0x180E),  # Mongolian vowel separator
        (0x200B, 0x200B),
        (0x202A, 0x202E),
        (0x2060, 0x206F),
        (0x2800, 0x2800),  # Braille pattern without a dot
        (0x3164, 0x3164),
        (0xFEFF, 0xFEFF),
        (0xFFA0, 0xFFA0),
        (0xFFF9, 0xFFFB),
        (0xE0000, 0xE007F),  # tags
    )
    for point in range(first, last + 1)
)
# Cc controls, Cs lone surrogates (no database takes them), Zl and Zp line breaks
_CONTROLS = frozenset(("Cc", "Cs", "Zl", "Zp"))


class Flaw(StrEnum):
    """Why a text can't be a name."""

    EMPTY = "empty"  # nothing but spaces and dots
    LONG = "long"
    SLASHES = "slashes"
    DECEPTIVE = "deceptive"
    CONTROLS = "controls"


def flaw_in(name: str, longest: int = LONGEST) -> Flaw | None:
    """What is wrong with a name, the first thing found; None when nothing is. ``longest`` is in characters."""
    if not name.strip().strip(". "):
        return Flaw.EMPTY
    if len(name) > longest:
        return Flaw.LONG
    if "/" in name or "\\" in name:
        return Flaw.SLASHES
    if is_deceptive(name):
        return Flaw.DECEPTIVE
    if any(unicodedata.category(character) in _CONTROLS for character in name):
        return Flaw.CONTROLS
    return None


def is_deceptive(text: str) -> bool:
    """Whether a text has characters that make it look like another one."""
    return any(character in _DECEPTIVE for character in text)


def checked_label(text: str, longest: int, *, field: str = "name", required: bool = True) -> str:
    """The name of a person, tenant, workspace, token, storage or webhook as it is stored: each space is one blank.

    ``longest`` is in characters. Raises ``Invalid`` on ``field`` for a text that is longer, has control characters or
    ones that make it look like another name, or is empty where it is ``required``.
    """
    label = " ".join(text.split())
    if required and not 1 <= len(label) <= longest:
        raise Invalid(_("A name has 1 to %(most)s characters.", most=longest), field=field)
    if len(label) > longest:
        raise Invalid(_("A name has at most %(most)s characters.", most=longest), field=field)
    if is_deceptive(label):
        raise Invalid(_("The name contains invisible characters that make it look like another name."), field=field)
    if any(unicodedata.category(character) in _CONTROLS for character in label):
        raise Invalid(_("The name can't contain control characters."), field=field)
    return label
