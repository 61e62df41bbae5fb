"""What everything stands on: write, read, delete, list; and the owner's marker, taken when all of it works."""

from __future__ import annotations

import time
from typing import Any

from portal.objectstore import ownership_marker
from portal.objectstore.ownership_marker import Claim
from portal.storage.probe import messages
from portal.storage.probe.client import Answer
from portal.storage.probe.context import CONTENT, TEXT, Trial
from portal.storage.probe.results import Finding, failed, passed, skipped, warned

WRITTEN = "written.txt"
LISTED = ("listed-1.txt", "listed-2.txt")
TURN = 1.0  # seconds for another's marker to arrive where the store does not tell who was first
LEAST = 3  # objects of a listing that are asked for: ours, and one that would be too many


def write(trial: Trial) -> Finding:
    """Store one small object."""
    answer = trial.put(WRITTEN)
    if answer.ok:
        return passed(f"An object was stored under {trial.place}.")
    if trial.location.encryption_parameters and trial.put(WRITTEN, ContentType=TEXT).ok:
        return failed(
            "Objects can be stored, but not encrypted as this storage asks for.",
            "Choose no encryption, or set the key up at the provider and allow it to this access key.",
        )
    return failed(*messages.why(answer, f"store objects under {trial.place}", "s3:PutObject"))


def read(trial: Trial) -> Finding:
    """Read it back, whole and unchanged, and look at it."""
    answer = trial.get(WRITTEN)
    if not answer.ok:
        return failed(*messages.why(answer, f"read objects under {trial.place}", "s3:GetObject"))
    seen = trial.head(WRITTEN)
    if answer.data["Body"] != CONTENT or not seen.ok or seen.data.get("ContentLength") != len(CONTENT):
        return failed(
            "What was read is not what was stored: the content or its length differ.",
            "Do not keep files here. Look for a proxy that changes answers, or ask the provider.",
        )
    if not seen.etag or seen.etag != trial.head(WRITTEN).etag:
        return failed(
            "The store gives no steady ETag, so a changed object can't be told from an unchanged one.",
            "Look for a proxy that drops the ETag header, or use another store.",
        )
    return passed("The object was read back whole and unchanged.")


def delete(trial: Trial) -> Finding:
    """Remove it, and see that it is gone."""
    answer = trial.store.ask("delete_object", Key=trial.full(WRITTEN))
    if not answer.ok and not answer.missing:
        detail, fix = messages.why(answer, f"delete objects under {trial.place}", "s3:DeleteObject")
        return failed(f"{detail} What this test stored stays there until it may.", fix)
    if trial.get(WRITTEN).ok:
        return failed(
            "The store says that the object was deleted, and it can still be read.",
            "Look for a cache or a retention rule (object lock) between Stowage and the store.",
        )
    return passed("The object was deleted, and is gone.")


def list_below(trial: Trial) -> Finding:
    """List what lies under one prefix, nothing beside it."""
    for name in LISTED:
        trial.put(name)
    prefix = trial.full("listed-")
    answer = trial.store.ask("list_objects_v2", Prefix=prefix, MaxKeys=LEAST)
    if not answer.ok:
        detail, fix = messages.why(answer, "list the bucket", "s3:ListBucket")
        lost = "Without it a missing file can't be told from a refused one, and leftovers can't be cleaned up."
        return warned(f"{detail} {lost}", fix)
    found = [entry["Key"] for entry in answer.data.get("Contents", [])]
    if found != [trial.full(name) for name in LISTED]:
        return warned(
            "The listing does not show exactly what lies under the prefix.",
            "Uploads work. Clean-up and reports can't be trusted here; ask the provider.",
        )
    trial.can["list"] = True
    return passed("The listing shows exactly what lies under the prefix.")


def take(trial: Trial) -> Finding:
    """Leave the owner's marker where there is none, and read it back: two who ask at once must not both believe."""
    if trial.can.get("marker"):
        return passed("The owner's marker is in its place.")
    key, ours = trial.location.full_key(ownership_marker.KEY), trial.subject.owner
    before = trial.store.ask("get_object", Key=key)
    if before.ok and ours.claim(before.data["Body"]) is not Claim.OURS:
        return _lost(trial)
    what = {
        "Key": key,
        "Body": ours.as_bytes(),
        "ContentType": "application/json",
        **trial.location.encryption_parameters,
    }
    answer = trial.store.ask("put_object", **what, IfNoneMatch="*")
    trial.can["conditional_write"] = answer.ok and _holds_to_condition(trial)
    if answer.status in (400, 405, 501):  # stores that don't know the condition
        answer = trial.store.ask("put_object", **what)
    if not trial.can["conditional_write"]:
        time.sleep(TURN)
    back = trial.store.ask("get_object", Key=key)
    if back.ok and ours.claim(back.data["Body"]) is Claim.OURS:
        trial.can["marker"] = True
        return passed(f"The place is marked as this workspace's, in {key}.")
    if back.ok:
        return _lost(trial)
    return warned(*messages.why(answer if not answer.ok else back, f"leave its marker under {trial.place}"))


def _lost(trial: Trial) -> Finding:
    return failed(
        f"Somebody else took {trial.place} a moment ago.",
        "Choose another bucket or another prefix, and test again.",
    )


def _holds_to_condition(trial: Trial) -> bool:
    """Many a store takes "only where there is none", and replaces what is there."""
    condition: dict[str, Any] = {"IfNoneMatch": "*", "ContentType": TEXT, **trial.location.encryption_parameters}
    return trial.put("taken.txt", **condition).ok and trial.put("taken.txt", **condition).status in (409, 412)


def ranges(trial: Trial) -> Finding:
    """A part of an object, as players of video ask for it."""
    trial.put("range.txt")
    url = trial.signer.presign_get(trial.key("range.txt"), disposition="inline", expires_in=300)
    reply = trial.browser.send("GET", url, headers={"Range": "bytes=2-5"})
    if reply.status == 206 and reply.body == CONTENT[2:6]:
        trial.can["range"] = True
        return passed("A part of a file can be read by itself.")
    if reply.ok and reply.body == CONTENT[2:6]:
        return warned(
            "The store sends the part of a file that was asked for, and calls it the whole file.",
            "Videos can't be wound forward here. The provider should mend it.",
        )
    if reply.ok:
        return warned("The store sends whole files where a part was asked for.", "Videos can't be wound forward here.")
    return warned("Reading a part of a file was refused.", "Videos can't be wound forward here.")


def disposition(trial: Trial) -> Finding:
    """A link that names the file and its type, as downloads need it."""
    trial.put("named.txt")
    wanted, kind = "attachment; filename=plain.csv", "text/csv"
    url = trial.signer.presign_get(trial.key("named.txt"), disposition=wanted, content_type=kind, expires_in=300)
    reply = trial.browser.send("GET", url)
    if not reply.ok:
        return warned("A signed link to a file was refused.", "Downloads will not work: allow s3:GetObject to the key.")
    told = reply.headers.get("Content-Disposition"), reply.headers.get("Content-Type", "").split(";")[0]
    if told == (wanted, kind):
        trial.can["disposition"] = True
        return passed("Downloads carry the file's own name and type.")
    return warned(
        "The store ignores the name and type that a link asks for.",
        "Downloads get technical names, and a browser may show what it should save. Nothing can be set for this.",
    )


def copy(trial: Trial) -> Finding:
    """A copy inside the store: what was verified is what is served."""
    stored = trial.put("source.txt")
    if not stored.ok:
        return skipped("Nothing could be stored to be copied.")
    answer = _copy(trial, "copied.txt", stored.etag)
    if not answer.ok:
        lost = "Every upload is copied to its final place by the store itself: until this works, uploads wait."
        detail, fix = messages.why(answer, "copy objects inside the bucket", "s3:GetObject and s3:PutObject")
        return warned(f"{detail} {lost}", fix)
    if not trial.holds("copied.txt", CONTENT):
        return warned("The store says that it copied an object, and the copy differs.", "Ask the provider.")
    trial.can["copy"] = True
    return passed("The store copies objects by itself.")


def conditional_copy(trial: Trial) -> Finding:
    """A copy of what has changed meanwhile must be refused."""
    answer = _copy(trial, "changed.txt", "0" * 32)
    if answer.status == 412 and not trial.get("changed.txt").ok:
        trial.can["conditional_copy"] = True
        return passed("The store refuses to copy a file that has changed since it was looked at.")
    if answer.ok or trial.get("changed.txt").ok:
        return warned(
            "The store copies a file although it has changed since it was looked at.",
            "Nothing to do: Stowage looks before and after each copy, and reads every copy whole.",
        )
    return warned(*messages.why(answer, "copy objects with a condition"))


def _copy(trial: Trial, target: str, etag: str) -> Answer:
    source = {"Bucket": trial.location.bucket, "Key": trial.full("source.txt")}
    return trial.store.ask(
        "copy_object",
        Key=trial.full(target),
        CopySource=source,
        CopySourceIfMatch=f'"{etag}"',
        **trial.location.encryption_parameters,
    )
