"""The verdict on a file: a pure function of what it was promised to be and what intake found.

Content, extension and policy are judged together. An infection outweighs everything else; what contradicts the promise
fails; what the scanner could not look into is quarantined, or released with a mark where the tenant chose so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from portal.inspection import content_type, file_kinds, media_type_names, ole
from portal.inspection.scan_policy import DEFAULT_RULES, ScanRules
from portal.inspection.scan_result import EXPLANATIONS, ScanVerdict
from portal.texts import Text

DecisionOutcome = Literal["available", "quarantined", "failed", "waits"]

# Any camera's raw format fits any of their extensions: people rename among makers, and .raw belongs to none.
_CAMERA_RAW = (
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
_SERVED_AS_EXTENSION: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("raw", "cr2", "nef", "arw", "dng"), _CAMERA_RAW),
    "doc": ("application/rtf", ole.OLE),
    "xls": (ole.OLE, ole.ENCRYPTED_OFFICE),
    "ppt": (ole.OLE, ole.ENCRYPTED_OFFICE),
    **dict.fromkeys(("docx", "xlsx", "pptx"), (ole.ENCRYPTED_OFFICE,)),
}
# Detected types that fit an extension besides its own, and are what the file is served as.
_SERVED_AS_DETECTED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("heic", "heif"), ("image/heic", "image/heif")),
    "mp4": ("video/mp4", "video/quicktime", "audio/mp4"),  # many programs name sound alone so, too
    "mov": ("video/mp4", "video/quicktime"),
    **dict.fromkeys(("mkv", "webm"), ("video/x-matroska", "video/webm")),
}
# Their types say how people use them; the bytes only say that they are text.
_TEXTS = ("txt", "csv", "md")
# A PDF and an RTF are text byte by byte, and would pass as .txt. An SVG may well be shown as the text that it is.
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
    """What intake read: size in bytes, SHA-256 in hex, the beginning, the scanner's verdict.

    ``detected_type`` is the canonical media type of the content, whatever name and upload say.
    """

    size: int
    sha256: str
    detected_type: str
    head: bytes
    verdict: ScanVerdict


@dataclass(frozen=True)
class Decision:
    """What becomes of the asset. ``code`` and ``text`` are None exactly when it is available.

    ``served_type`` is the Content-Type of the object. It ``waits``: not a state of an asset, the task is put off.
    """

    outcome: DecisionOutcome
    served_type: str
    code: str | None = None
    text: Text | None = None

    @property
    def detail(self) -> str | None:
        """The reason in English, as it is written into the row."""
        return self.text.english if self.text else None


def decide(facts: FileFacts, declared: DeclaredFile, rules: ScanRules = DEFAULT_RULES) -> Decision:
    """The one decision about a file, from what was read of it, what the upload declared and the tenant's rules.

    A file released unscanned, or not scanned for lack of a scanner, is available; ``facts.verdict`` is the mark it
    carries. It ``waits`` where the tenant requires a scanner and there is none.
    """
    agreed_type = served_as(declared.file_name, facts)
    # Where name and content contradict each other it is never served as it stands: a release decides about the type
    # again (``quarantine.worker``).
    served_type = agreed_type or facts.detected_type
    # A virus first: an infected file is kept as evidence, even if it would be refused for another reason.
    if facts.verdict.result == "infected":
        text = Text(
            "A virus was found: %(signature)s. The file is in quarantine and can't be downloaded.",
            signature=facts.verdict.signature,
        )
        return Decision("quarantined", served_type, code="infected", text=text)
    refusal = _difference(facts, declared)
    if refusal is None and agreed_type is None:
        refusal = "content_mismatch", _contradiction(declared.file_name, facts.detected_type)
    if refusal is not None:
        code, text = refusal
        return Decision("failed", served_type, code=code, text=text)
    reason = facts.verdict.reason
    if rules.waits(reason):
        text = Text("The file waits for a virus scanner.")
        return Decision("waits", served_type, code="scanner_unavailable", text=text)
    if reason is not None and rules.quarantines(reason):
        text = Text.join(EXPLANATIONS[reason], Text("It stays in quarantine until an administrator decides."))
        return Decision("quarantined", served_type, code=reason, text=text)
    return Decision("available", served_type)


def served_as(file_name: str, facts: FileFacts) -> str | None:
    """The type that content, extension and policy agree on, or None where they contradict each other."""
    extension = file_kinds.extension_of(file_name)
    signed = file_kinds.content_type_for(file_name)
    if signed is None:
        return None
    if extension in _TEXTS:
        fits = content_type.looks_like_text(facts.head) and facts.detected_type not in _NEVER_TEXT
        return signed if fits else None
    if facts.detected_type in _SERVED_AS_DETECTED.get(extension, ()):
        return facts.detected_type
    if extension == "zip" and facts.detected_type in _OFFICE_ARCHIVES:
        return signed
    if extension == "tar" and _is_empty_tar(facts):
        return signed
    return (
        signed
        if facts.detected_type == signed or facts.detected_type in _SERVED_AS_EXTENSION.get(extension, ())
        else None
    )


def _is_empty_tar(facts: FileFacts) -> bool:
    """An archive of nothing is two blocks of zeros, or some more."""
    whole = facts.size == len(facts.head) and facts.size >= 1024 and facts.size % 512 == 0
    return whole and not facts.head.strip(b"\0")


def _difference(facts: FileFacts, declared: DeclaredFile) -> tuple[str, Text] | None:
    """Code and text where this is not the file that was declared."""
    if facts.size == 0:
        return "empty", Text("The file is empty. Choose a file that has content.")
    if facts.size != declared.size_bytes:
        return "size_mismatch", Text(
            "%(announced)s bytes were announced, %(arrived)s arrived. Upload the file again.",
            announced=f"{declared.size_bytes:,}",
            arrived=f"{facts.size:,}",
        )
    if declared.sha256 and declared.sha256.lower() != facts.sha256:
        return "checksum_mismatch", Text("The file changed on its way: its checksum differs. Upload it again.")
    return None


def _contradiction(file_name: str, detected_type: str) -> Text:
    """``Not a JPEG. The content is a ZIP archive. …`` with what to do about it."""
    extension = file_kinds.extension_of(file_name)
    found = Text(
        "Not %(expected)s. The content is %(found)s.",
        expected=media_type_names.named(file_kinds.content_type_for(file_name) or ""),
        found=media_type_names.named(detected_type),
    )
    own = next(
        (e for kind in file_kinds.POLICY for e, media_type in kind.types.items() if media_type == detected_type), None
    )
    if detected_type.startswith("audio/"):
        advice = Text("Sound can't be uploaded here.")
    elif own is not None and own != extension:
        advice = Text(
            "If that is what you want to keep, let its name end in .%(extension)s and upload it again.", extension=own
        )
    else:
        advice = Text("Check the file and upload it again.")
    return Text.join(found, advice)
