"""Which names a library or a folder may have: the rules of file names."""

from __future__ import annotations

import unicodedata

from portal.assets.kinds import DECEPTIVE
from portal.errors import Invalid

LONGEST_LIBRARY_NAME = 200  # characters: the width of the column
LONGEST_FOLDER_NAME = 255


def checked(name: str, longest: int = LONGEST_FOLDER_NAME) -> str:
    """The name as it is kept. Raises ``Invalid``, field ``name``."""
    name = plain(name)
    complaint = complaint_about(name, longest)
    if complaint:
        raise Invalid(complaint, field="name")
    return name


def plain(name: str) -> str:
    """Without spaces around it, accents as one character each: systems differ in how they write the same name."""
    return unicodedata.normalize("NFC", name.strip())


def complaint_about(name: str, longest: int = LONGEST_FOLDER_NAME) -> str | None:
    """Why this can't be a name, in words; None when it can."""
    if not name.strip(" ."):
        return "Give it a name." if not name.strip() else "A name needs more than dots."
    if len(name) > longest:
        return f"The name has {len(name)} characters; at most {longest} are possible."
    if "/" in name or "\\" in name:
        return "The name can't contain / or \\."
    if any(character in DECEPTIVE for character in name):
        return "The name contains invisible characters that make it look like another name."
    # Cc controls, Cs lone surrogates (no database takes them), Zl and Zp line breaks
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        return "The name can't contain control characters."
    return None
