"""What may be uploaded: the default policy by kind, and the two checks that need no byte of the file.

The table is the product's ("What may be uploaded"); MB is binary. The type that is signed for an upload is the one
written here for the extension: what the client declares decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from portal import names
from portal.errors import Invalid
from portal.names import Flaw
from portal.sizes import format_size

MB = 1024 * 1024


@dataclass(frozen=True)
class Kind:
    """One row of the policy: the extensions with the type that is signed for each, and the largest size in bytes."""

    name: str
    limit_bytes: int
    types: Mapping[str, str]

    @property
    def extensions(self) -> tuple[str, ...]:
        """In lower case, without the dot, in the order of the policy."""
        return tuple(self.types)


def _kind(name: str, limit_mb: int, types: dict[str, str]) -> Kind:
    return Kind(name, limit_mb * MB, MappingProxyType(types))


_OFFICE = "application/vnd.openxmlformats-officedocument."

POLICY: tuple[Kind, ...] = (
    _kind(
        "photo",
        100,
        {
            "jpg": "image/jpeg",
            "jpeg": "image/jpeg",
            "png": "image/png",
            "webp": "image/webp",
            "gif": "image/gif",
            "avif": "image/avif",
            "tif": "image/tiff",
            "tiff": "image/tiff",
            "heic": "image/heic",
            "heif": "image/heif",
            "raw": "image/x-dcraw",
            "cr2": "image/x-canon-cr2",
            "nef": "image/x-nikon-nef",
            "arw": "image/x-sony-arw",
            "dng": "image/x-adobe-dng",
        },
    ),
    _kind("vector", 10, {"svg": "image/svg+xml"}),
    _kind(
        "video",
        500,
        {
            "mp4": "video/mp4",
            "mov": "video/quicktime",
            "avi": "video/x-msvideo",
            "mkv": "video/x-matroska",
            "webm": "video/webm",
            "wmv": "video/x-ms-wmv",
            "flv": "video/x-flv",
        },
    ),
    _kind(
        "document",
        50,
        {
            "pdf": "application/pdf",
            "doc": "application/msword",
            "docx": _OFFICE + "wordprocessingml.document",
            "xls": "application/vnd.ms-excel",
            "xlsx": _OFFICE + "spreadsheetml.sheet",
            "ppt": "application/vnd.ms-powerpoint",
            "pptx": _OFFICE + "presentationml.presentation",
            "txt": "text/plain",
            "csv": "text/csv",
            "md": "text/markdown",
        },
    ),
    _kind(
        "archive",
        100,
        {
            "zip": "application/zip",
            "tar": "application/x-tar",
            "gz": "application/gzip",
            "tgz": "application/gzip",
            "rar": "application/vnd.rar",
            "7z": "application/x-7z-compressed",
        },
    ),
)

_BY_EXTENSION = {extension: kind for kind in POLICY for extension in kind.extensions}

_KIND_NAMES = {
    "photo": lazy_gettext("photo"),
    "vector": lazy_gettext("vector graphic"),
    "video": lazy_gettext("video"),
    "document": lazy_gettext("document"),
    "archive": lazy_gettext("archive"),
}
_NAME_FLAWS = {
    Flaw.EMPTY: lazy_gettext("The file has no name. Give it one, with an extension such as .jpg."),
    Flaw.SLASHES: lazy_gettext("A file name can't contain / or \\. Use another character instead."),
    Flaw.DECEPTIVE: lazy_gettext(
        "The file name contains invisible characters that make it look like another name. Rename the file."
    ),
    Flaw.CONTROLS: lazy_gettext("The file name contains control characters. Rename the file."),
}


def allowed_extensions() -> list[str]:
    """Every extension that may be uploaded, in the order of the policy."""
    return list(_BY_EXTENSION)


def largest_limit_bytes() -> int:
    """The largest file that the policy takes: what the scanner's own limits have to reach."""
    return max(kind.limit_bytes for kind in POLICY)


def extension_of(file_name: str) -> str:
    """What follows the last dot, in lower case; empty when there is no dot or nothing before it (``.jpg``)."""
    stem, dot, extension = file_name.strip().rpartition(".")
    return extension.lower() if dot and stem.strip(" .") else ""


def kind_for(file_name: str) -> Kind | None:
    """The kind that the name's extension belongs to, or None when the policy does not take it."""
    return _BY_EXTENSION.get(extension_of(file_name))


def content_type_for(file_name: str) -> str | None:
    """The type that is signed for an upload of this name, or None when the policy does not take it."""
    kind = kind_for(file_name)
    return kind.types[extension_of(file_name)] if kind else None


def check_name(file_name: str) -> Kind:
    """The kind of a file to be uploaded under this name.

    Windows' reserved names (``CON.jpg``) are taken: keys are ours, and browsers rename them on saving.
    Raises Invalid: ``invalid`` (field ``file_name``) for a name that can't be one, ``unsupported_type`` with
    ``allowed`` for an extension outside the policy.
    """
    flaw = names.flaw_in(file_name)
    if flaw:
        raise Invalid(_flaw(flaw, len(file_name)), field="file_name")
    kind = kind_for(file_name)
    if kind is None:
        raise _unsupported(extension_of(file_name))
    return kind


def check_size(kind: Kind, size_bytes: int) -> None:
    """Raises Invalid for an empty file, and ``file_too_large`` with ``limit_bytes`` above the kind's limit."""
    if size_bytes <= 0:
        raise Invalid(_("The file is empty. Choose a file that has content."), field="size_bytes")
    if size_bytes > kind.limit_bytes:
        raise Invalid(
            _(
                "The file is too large: a %(kind)s may have up to %(size)s.",
                kind=_KIND_NAMES[kind.name],
                size=format_size(kind.limit_bytes),
            ),
            code="file_too_large",
            field="size_bytes",
            limit_bytes=kind.limit_bytes,
        )


def _flaw(flaw: Flaw, length: int) -> str:
    if flaw is Flaw.LONG:
        return str(
            _(
                "The file name has %(length)s characters; at most %(longest)s are possible. Shorten it.",
                length=length,
                longest=names.LONGEST,
            )
        )
    return str(_NAME_FLAWS[flaw])


def _unsupported(extension: str) -> Invalid:
    allowed = allowed_extensions()
    if extension:
        detail = _(
            "Files of type .%(extension)s can't be uploaded. Possible are: %(allowed)s.",
            extension=extension[:20],
            allowed=", ".join(allowed),
        )
    else:
        detail = _(
            "Files without an extension can't be uploaded. Possible are: %(allowed)s.", allowed=", ".join(allowed)
        )
    return Invalid(
        detail,
        code="unsupported_type",
        field="file_name",
        allowed=allowed,
    )
