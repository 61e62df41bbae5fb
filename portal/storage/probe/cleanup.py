"""Leaving no trace: objects, versions and unfinished uploads of this probe, and what killed ones left behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portal.objectstore import keys
from portal.storage.probe.context import Trial
from portal.storage.probe.results import Finding, passed, warned

MOST = 1000  # entries of one listing; the rest is the next probe's
NAMES = (
    *("written", "listed-1", "listed-2", "range", "named", "source", "copied", "changed", "crossing", "private"),
    *("anybody", "taken", "sse-s3", "sse-kms", "version", "form", "put"),
    *(f"{way}-{what}" for way in ("form", "put") for what in ("larger", "signed", "other", "type", "late")),
    *("checked-0", "checked-1", "wrong-checked-0", "wrong-checked-1"),
)


def clear(trial: Trial) -> list[str]:
    """Remove what this probe has stored; the full keys that are still there."""
    return _clear(trial, trial.full("x")[:-1])


def clear_before(trial: Trial) -> None:
    """Remove what any probe has left under the prefix: only one runs there at a time."""
    _clear(trial, trial.location.full_key(keys.PROBE_PREFIX))


def _clear(trial: Trial, below: str) -> list[str]:
    for upload in _uploads(trial, below):
        trial.store.ask("abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])
    for full_key in _objects(trial, below):
        trial.store.ask("delete_object", Key=full_key)
    for version in _versions(trial, below):
        trial.store.ask("delete_object", Key=version["Key"], VersionId=version["VersionId"])
    return [name for name in _objects(trial, below) if not trial.store.ask("head_object", Key=name).missing]


def clean(trial: Trial) -> Finding:
    """The last step: is everything gone?"""
    left = clear(trial)
    if not left:
        return passed("Everything that this test stored is removed.")
    what = "1 object" if len(left) == 1 else f"{len(left)} objects"
    return warned(
        f"{what} of this test can't be removed, under {trial.location.full_key(keys.PROBE_PREFIX)}.",
        "Allow s3:DeleteObject under the prefix and test again: the next test removes them.",
    )


def _objects(trial: Trial, below: str) -> list[str]:
    """What is listed; where that is refused, what is there under the names that probes use."""
    answer = trial.store.ask("list_objects_v2", Prefix=below, MaxKeys=MOST)
    if answer.ok:
        return [entry["Key"] for entry in _below(answer.data.get("Contents", []), below)]
    full = [trial.full(f"{name}.txt") for name in NAMES] + [trial.full("parts.bin")]
    return [name for name in full if trial.store.ask("head_object", Key=name).ok]


def _versions(trial: Trial, below: str) -> list[dict[str, Any]]:
    if not trial.can["delete_versions"]:
        return []
    data = trial.store.ask("list_object_versions", Prefix=below, MaxKeys=MOST).data
    return _below([*data.get("Versions", []), *data.get("DeleteMarkers", [])], below)


def _uploads(trial: Trial, below: str) -> list[dict[str, Any]]:
    return _below(trial.store.ask("list_multipart_uploads", Prefix=below).data.get("Uploads", []), below)


def _below(entries: Sequence[dict[str, Any]], below: str) -> list[dict[str, Any]]:
    """A store that ignores the prefix of a listing must not make us remove what is not ours."""
    return [entry for entry in entries if str(entry["Key"]).startswith(below)]
