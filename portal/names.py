"""Which text can be the name of a file, a folder or a library: one rule, told to people in the words of the caller."""

from __future__ import annotations

import unicodedata
from enum import StrEnum

LONGEST = 255
"""Characters (code points) of a file's or folder's name: the width of its column."""

# Characters that make a name look like another one: bidirectional embeddings, overrides and isolates, and invisible
# ones that no keyboard types. Joiners stay allowed (emoji and Persian need them), and so do the plain direction marks.
_DECEPTIVE = frozenset(
    chr(point)
    for first, last in ((0x202A, 0x202E), (0x2060, 0x206F), (0x200B, 0x200B), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB))
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
    if any(character in _DECEPTIVE for character in name):
        return Flaw.DECEPTIVE
    if any(unicodedata.category(character) in _CONTROLS for character in name):
        return Flaw.CONTROLS
    return None
