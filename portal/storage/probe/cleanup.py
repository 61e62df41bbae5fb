"""Deletes the objects, versions and unfinished uploads of this probe, and what interrupted ones left behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portal.objectstore import keys
from portal.storage.probe.context import ProbeContext
from portal.storage.probe.results import Finding, passed, warned
from portal.texts import Text

MAX_LISTED = 1000  # entries of one listing; the next probe deletes the rest
# Every object of the other steps: where listing is refused, each is requested by name.
NAMES = (
    *("written", "listed-1", "listed-2", "range", "named", "source", "copied", "changed", "cors", "private"),
    *("anybody", "taken", "sse-s3", "sse-kms", "version", "form", "form-field", "put"),
    *(f"{method}-{breach}" for method in ("form", "put") for breach in ("larger", "signed", "other", "type", "late")),
    *("checked-0", "checked-1", "wrong-checked-0", "wrong-checked-1"),
)


def delete_own(context: ProbeContext) -> list[str]:
    """Delete what this probe has stored; returns the full keys that are still there."""
    return _delete_below(context, context.full_key("x")[:-1])


def delete_leftovers(context: ProbeContext) -> None:
    """Delete what any probe has left under the prefix: only one runs there at a time."""
    _delete_below(context, context.location.full_key(keys.PROBE_PREFIX))


def clean(context: ProbeContext) -> Finding:
    """The last step: is everything gone?"""
    left = delete_own(context)
    if not left:
        return passed(Text("Everything that this test stored is deleted."))
    return warned(
        Text(
            "Objects of this test can't be deleted, under %(prefix)s: %(count)s.",
            prefix=context.location.full_key(keys.PROBE_PREFIX),
            count=len(left),
        ),
        Text("Allow s3:DeleteObject under the prefix and test again: the next test deletes them."),
    )


def _delete_below(context: ProbeContext, prefix: str) -> list[str]:
    for upload in _uploads(context, prefix):
        context.store.call("abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])
    for full_key in _objects(context, prefix):
        context.store.call("delete_object", Key=full_key)
    for version in _versions(context, prefix):
        context.store.call("delete_object", Key=version["Key"], VersionId=version["VersionId"])
    return [key for key in _objects(context, prefix) if not context.store.call("head_object", Key=key).missing]


def _objects(context: ProbeContext, prefix: str) -> list[str]:
    """What is listed; where listing is refused, what exists under the names that probes use."""
    answer = context.store.call("list_objects_v2", Prefix=prefix, MaxKeys=MAX_LISTED)
    if answer.ok:
        return [entry["Key"] for entry in _below(answer.data.get("Contents", []), prefix)]
    named = [context.full_key(f"{name}.txt") for name in NAMES] + [context.full_key("parts.bin")]
    return [key for key in named if context.store.call("head_object", Key=key).ok]


def _versions(context: ProbeContext, prefix: str) -> list[dict[str, Any]]:
    if not context.capabilities["delete_versions"]:
        return []
    data = context.store.call("list_object_versions", Prefix=prefix, MaxKeys=MAX_LISTED).data
    return _below([*data.get("Versions", []), *data.get("DeleteMarkers", [])], prefix)


def _uploads(context: ProbeContext, prefix: str) -> list[dict[str, Any]]:
    return _below(context.store.call("list_multipart_uploads", Prefix=prefix).data.get("Uploads", []), prefix)


def _below(entries: Sequence[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    """A store that ignores the prefix of a listing must not make us delete what is not ours."""
    return [entry for entry in entries if str(entry["Key"]).startswith(prefix)]
