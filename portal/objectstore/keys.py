"""Object keys, exactly as published: every object of a workspace is under ``workspaces/{workspace_id}/``.

Keys here are without the storage profile's own prefix; ``Location`` puts that in front.
"""

from __future__ import annotations

import re
from uuid import UUID

# S3 allows keys of 1,024 bytes; ours need up to 318 of them (a test checks it).
PREFIX_LIMIT = 512  # bytes for a profile's prefix
STEM_LIMIT = 200  # characters
PROBE_PREFIX = ".stowage/probe/"

_SMALL_PREFIX = re.compile(r"(workspaces/[^/]+/[^/]+|\.stowage/probe)/[^/]+/")
_OUTSIDE = re.compile(r"[^A-Za-z0-9_-]")
_EXTENSION = re.compile(r"[A-Za-z0-9]{1,16}")


def safe_name(file_name: str) -> str:
    """A file name as a key may carry it: ``A–Z a–z 0–9 - _``, stem at most 200, extension in lower case.

    What follows the last dot is an extension only when it is 1–16 plain letters or digits, spaces after it aside;
    otherwise it is part of the stem. The true name is a column, so nothing is lost here.
    """
    stem, dot, extension = file_name.rstrip().rpartition(".")
    if not dot or not _EXTENSION.fullmatch(extension):
        stem, extension = file_name, ""
    stem = _OUTSIDE.sub("_", stem)[:STEM_LIMIT] or "_"
    return f"{stem}.{extension.lower()}" if extension else stem


def workspace_prefix(workspace_id: UUID) -> str:
    """Everything of one workspace."""
    return f"workspaces/{workspace_id}/"


def staging_prefix(workspace_id: UUID, upload_id: UUID) -> str:
    """Everything that one upload's signed requests can write."""
    return f"workspaces/{workspace_id}/uploads/{upload_id}/"


def staging(workspace_id: UUID, upload_id: UUID, file_name: str) -> str:
    """Where a browser writes. No other keys are ever signed for writing."""
    return staging_prefix(workspace_id, upload_id) + safe_name(file_name)


def asset_prefix(workspace_id: UUID, asset_id: UUID) -> str:
    """The original and everything derived from it."""
    return f"workspaces/{workspace_id}/assets/{asset_id}/"


def original_prefix(workspace_id: UUID, asset_id: UUID) -> str:
    """The copies that attempts have made of one asset's original; the row names the one that counts."""
    return asset_prefix(workspace_id, asset_id) + "original/"


def original(workspace_id: UUID, asset_id: UUID, token: str, file_name: str) -> str:
    """Where one attempt puts its copy of the original.

    The name begins with the attempt's token, so that an attempt that lost its lease can't overwrite another's copy.
    """
    return original_prefix(workspace_id, asset_id) + safe_name(f"{token}-{file_name}")


def derived_prefix(workspace_id: UUID, asset_id: UUID) -> str:
    """Every derived file of one asset."""
    return asset_prefix(workspace_id, asset_id) + "derived/"


def derived(workspace_id: UUID, asset_id: UUID, variant: str, content_hash: str, ext: str) -> str:
    """A derived file, named after the hash of its content: it never changes and may be cached for ever."""
    return f"{derived_prefix(workspace_id, asset_id)}{safe_name(variant)}/{safe_name(f'{content_hash}.{ext}')}"


def quarantine_prefix(workspace_id: UUID, asset_id: UUID) -> str:
    """The quarantined content of one asset."""
    return f"workspaces/{workspace_id}/quarantine/{asset_id}/"


def quarantine(workspace_id: UUID, asset_id: UUID, file_name: str) -> str:
    """The key of quarantined content; it is never signed for reading."""
    return quarantine_prefix(workspace_id, asset_id) + safe_name(file_name)


def is_quarantined(key: str) -> bool:
    """Whether this is a quarantine key: no other key of ours has this part (file names have no slash)."""
    return "/quarantine/" in key


def is_small_prefix(prefix: str) -> bool:
    """Whether everything below this prefix belongs to one upload, asset or probe: some tens of objects."""
    return _SMALL_PREFIX.match(prefix) is not None


def probe(probe_id: UUID, file_name: str) -> str:
    """An object that tests what a store does, and is removed afterwards."""
    return f"{PROBE_PREFIX}{probe_id}/{safe_name(file_name)}"
