"""The rule for names of files, folders and libraries; the callers have the texts that explain a violation."""

from __future__ import annotations

import unicodedata
from enum import StrEnum

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
