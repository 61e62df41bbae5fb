"""The verdict on a file: a pure function of what it was promised to be and what intake found.

Content, extension and policy are judged together. An infection outweighs everything else; what contradicts the promise
fails; what the scanner could not look into is held, or released with a mark where the tenant chose so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from portal.inspection import content_type, file_kinds, media_type_names, ole
from portal.inspection.scan_policy import DEFAULT_RULES, ScanRules
from portal.inspection.scan_result import ScanVerdict

DecisionOutcome = Literal["available", "quarantined", "failed", "waits"]

_TIFF_LIKE = (
    "image/tiff",
    "image/x-canon-cr2",
    "image/x-canon-cr3",
    "image/x-canon-crw",
    "image/x-nikon-nef",
    "image/x-sony-arw",
    "image/x-adobe-dng",
    "image/x-panasonic-rw2",
    "image/x-minolta-mrw",
    "image/x-fuji-raf",
    "image/x-olympus-orf",
    "image/x-x3f",
)
# Detected types that fit an extension besides the one that is signed for it, and become that one.
_READ_AS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("raw", "cr2", "nef", "arw", "dng"), _TIFF_LIKE),
    "doc": ("application/rtf", ole.OLE),
    "xls": (ole.OLE, ole.ENCRYPTED_OFFICE),
    "ppt": (ole.OLE, ole.ENCRYPTED_OFFICE),
    **dict.fromkeys(("docx", "xlsx", "pptx"), (ole.ENCRYPTED_OFFICE,)),
}
# Detected types that fit an extension besides its own, and are what the file is served as.
_KEPT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("heic", "heif"), ("image/heic", "image/heif")),
    "mp4": ("video/mp4", "video/quicktime", "audio/mp4"),  # many programs name sound alone so, too
    "mov": ("video/mp4", "video/quicktime"),
    **dict.fromkeys(("mkv", "webm"), ("video/x-matroska", "video/webm")),
}
_TEXTS = ("txt", "csv", "md")
"""Their types say how people use them; the bytes only say that they are text."""
_NEVER_TEXT = frozenset(
    media_type
    for kind in file_kinds.POLICY
    for extension, media_type in kind.types.items()
    if extension not in (*_TEXTS, "svg")
)
_OFFICE_ARCHIVES = frozenset(file_kinds.content_type_for(f"a.{extension}") for extension in ("docx", "xlsx", "pptx"))


@dataclass(frozen=True)
class DeclaredFile:
    """What the upload promised: its name, its exact size in bytes, and its SHA-256 in hex where the client knew it."""

    file_name: str
    size_bytes: int
    sha256: str | None = None


@dataclass(frozen=True)
class FileFacts:
    """What intake read: size in bytes, SHA-256 in hex, canonical media type, the beginning, the scanner's verdict."""

    size: int
    sha256: str
    mime_type: str
    head: bytes
    verdict: ScanVerdict


@dataclass(frozen=True)
class Decision:
    """What becomes of the asset. ``code`` and ``detail`` are None exactly when it is available.

    ``mime_type`` is what the object is served as, ``found_type`` what its bytes are.
    """

    outcome: DecisionOutcome
    mime_type: str
    found_type: str
    code: str | None = None
    detail: str | None = None


def decide(facts: FileFacts, declared: DeclaredFile, rules: ScanRules = DEFAULT_RULES) -> Decision:
    """The one decision about a file, from what was read of it, what the upload declared and the tenant's rules.

    A file released unscanned, or not scanned for lack of a scanner, is available; ``facts.verdict`` is the mark it
    carries. It ``waits`` where the tenant requires a scanner and there is none.
    """
    mime_type = served_as(declared.file_name, facts)
    serving = mime_type or facts.mime_type
    if facts.verdict.result == "infected":
        words = f"A virus was found: {facts.verdict.signature}. The file is held and can't be downloaded."
        return Decision("quarantined", serving, facts.mime_type, "infected", words)
    code, words = _broken_promise(facts, declared) or (None, "")
    if code is None and mime_type is None:
        code, words = "content_mismatch", _contradiction(declared.file_name, facts.mime_type)
    if code is not None:
        return Decision("failed", serving, facts.mime_type, code, words)
    reason = facts.verdict.reason
    if rules.waits(reason):
        return Decision("waits", serving, facts.mime_type, "scanner_unavailable", "The file waits for a virus scanner.")
    if rules.holds(reason):
        words = f"{facts.verdict.explanation} It is held until an administrator decides."
        return Decision("quarantined", serving, facts.mime_type, reason, words)
    return Decision("available", serving, facts.mime_type)


def served_as(file_name: str, facts: FileFacts) -> str | None:
    """The type that content, extension and policy agree on, or None where they contradict each other."""
    extension = file_kinds.extension_of(file_name)
    signed = file_kinds.content_type_for(file_name)
    if signed is None:
        return None
    if extension in _TEXTS:
        fits = content_type.looks_like_text(facts.head) and facts.mime_type not in _NEVER_TEXT
        return signed if fits else None
    if facts.mime_type in _KEPT.get(extension, ()):
        return facts.mime_type
    if extension == "zip" and facts.mime_type in _OFFICE_ARCHIVES:
        return signed
    if extension == "tar" and _is_empty_tar(facts):
        return signed
    return signed if facts.mime_type == signed or facts.mime_type in _READ_AS.get(extension, ()) else None


def _is_empty_tar(facts: FileFacts) -> bool:
    """An archive of nothing is two blocks of zeros, or some more."""
    whole = facts.size == len(facts.head) and facts.size >= 1024 and facts.size % 512 == 0
    return whole and not facts.head.strip(b"\0")


def _broken_promise(facts: FileFacts, declared: DeclaredFile) -> tuple[str, str] | None:
    if facts.size == 0:
        return "empty", "The file is empty. Choose a file that has content."
    if facts.size != declared.size_bytes:
        words = f"{declared.size_bytes:,} bytes were announced, {facts.size:,} arrived. Upload the file again."
        return "size_mismatch", words
    if declared.sha256 and declared.sha256.lower() != facts.sha256:
        return "checksum_mismatch", "The file changed on its way: its checksum differs. Upload it again."
    return None


def _contradiction(file_name: str, found_type: str) -> str:
    """``Not a JPEG. The content is a ZIP archive. …`` with what to do about it."""
    extension = file_kinds.extension_of(file_name)
    expected = media_type_names.named(file_kinds.content_type_for(file_name) or "")
    words = f"Not {expected}. The content is {media_type_names.named(found_type)}."
    own = next(
        (e for kind in file_kinds.POLICY for e, media_type in kind.types.items() if media_type == found_type), None
    )
    if found_type.startswith("audio/"):
        return f"{words} Sound can't be uploaded here."
    if own is not None and own != extension:
        return f"{words} If that is what you want to keep, let its name end in .{own} and upload it again."
    return f"{words} Check the file and upload it again."
