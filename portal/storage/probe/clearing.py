"""Leaving no trace: objects, versions and unfinished uploads of this probe, and what killed ones left behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.storage import keys
from portal.storage.probe.asking import Answer
from portal.storage.probe.results import Finding, passed, warned
from portal.storage.probe.trial import Trial

LEFTOVER_AGE = timedelta(hours=1)  # no probe runs as long: what another one wrote before that was left behind
MOST = 1000  # entries of one listing; the rest is the next probe's
NAMES = (
    *("written", "listed-1", "listed-2", "range", "named", "source", "copied", "changed", "crossing", "private"),
    *("anybody", "sse-s3", "sse-kms", "version", "form", "put"),
    *(f"{way}-{what}" for way in ("form", "put") for what in ("larger", "signed", "other", "type", "late")),
    *("checked-0", "checked-1", "wrong-checked-0", "wrong-checked-1"),
)


def clear(trial: Trial) -> list[str]:
    """Remove what probes left under the prefix; the full keys that are still there."""
    for upload in _uploads(trial):
        trial.store.ask("abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])
    for full_key in _objects(trial):
        trial.store.ask("delete_object", Key=full_key)
    for version in _versions(trial):
        trial.store.ask("delete_object", Key=version["Key"], VersionId=version["VersionId"])
    return [name for name in _objects(trial) if not trial.store.ask("head_object", Key=name).missing]


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


def _objects(trial: Trial) -> list[str]:
    """Ours, and what is old enough to be nobody's. Where listing is refused: by the names that probes use."""
    answer = trial.store.ask("list_objects_v2", Prefix=_everything(trial), MaxKeys=MOST)
    if answer.ok:
        return [entry["Key"] for entry in answer.data.get("Contents", []) if _removable(trial, entry, "LastModified")]
    full = [trial.full(f"{name}.txt") for name in NAMES] + [trial.full("parts.bin")]
    return [name for name in full if trial.store.ask("head_object", Key=name).ok]


def _versions(trial: Trial) -> Iterator[dict[str, Any]]:
    if not trial.can.get("delete_versions"):
        return
    answer: Answer = trial.store.ask("list_object_versions", Prefix=_everything(trial), MaxKeys=MOST)
    for kind in ("Versions", "DeleteMarkers"):
        yield from (entry for entry in answer.data.get(kind, []) if _removable(trial, entry, "LastModified"))


def _uploads(trial: Trial) -> list[dict[str, Any]]:
    answer = trial.store.ask("list_multipart_uploads", Prefix=_everything(trial))
    return [entry for entry in answer.data.get("Uploads", []) if _removable(trial, entry, "Initiated")]


def _removable(trial: Trial, entry: dict[str, Any], since: str) -> bool:
    key = str(entry["Key"])
    if not key.startswith(_everything(trial)):  # a store that ignores the prefix
        return False
    return key.startswith(trial.full("x")[:-1]) or entry[since] < datetime.now(UTC) - LEFTOVER_AGE


def _everything(trial: Trial) -> str:
    return trial.location.full_key(keys.PROBE_PREFIX)
