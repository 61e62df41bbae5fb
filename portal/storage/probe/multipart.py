"""Uploads in parts: begun, listed, a part sent again, completed, given up."""

from __future__ import annotations

from typing import Any

from portal.storage.probe import messages
from portal.storage.probe.client import Answer
from portal.storage.probe.context import TEXT, Trial
from portal.storage.probe.results import Finding, passed, warned

PART = 5 * 1024**2  # bytes: S3's least for every part but the last
LAST = b"the end"
LOST = "Large files go in one request, and can't be resumed."


def multipart(trial: Trial) -> Finding:
    """An upload in two parts with one sent again, seen as it grows, whole at the end; another one is given up."""
    begun = _begin(trial)
    if not begun.ok:
        return _lost(begun, "begin an upload in parts", "s3:PutObject")
    upload: dict[str, Any] = {"Key": trial.full("parts.bin"), "UploadId": begun.data["UploadId"]}
    try:
        return _complete(trial, upload)
    finally:
        trial.store.ask("abort_multipart_upload", **upload)


def _complete(trial: Trial, upload: dict[str, Any]) -> Finding:
    first, again = bytes(PART), b"a" * PART
    sent = [_send(trial, upload, number, body) for number, body in ((1, first), (2, LAST), (1, again))]
    for answer in sent:
        if not answer.ok:
            return _lost(answer, "store a part", "s3:PutObject")
    listed = trial.store.ask("list_parts", **upload)
    if not listed.ok:
        return _lost(listed, "list the parts of an upload", "s3:ListMultipartUploadParts")
    newest = {part["PartNumber"]: part for part in listed.data.get("Parts", [])}
    if {number: part["Size"] for number, part in newest.items()} != {1: PART, 2: len(LAST)}:
        return warned(f"The store does not show the parts that it has. {LOST}", "Nothing to do: a limit of this store.")
    trial.can["list_parts"] = True
    parts = [{"PartNumber": 1, "ETag": sent[2].data["ETag"]}, {"PartNumber": 2, "ETag": sent[1].data["ETag"]}]
    done = trial.store.ask("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})
    if not done.ok:
        return _lost(done, "complete an upload in parts", "s3:PutObject")
    if not trial.holds("parts.bin", again + LAST):
        return warned(
            f"The store put the parts together wrongly: the one sent again is not the one that counts. {LOST}",
            "The provider should mend it.",
        )
    return _given_up(trial)


def _given_up(trial: Trial) -> Finding:
    trial.can["multipart"] = True
    begun = _begin(trial)
    upload: dict[str, Any] = {"Key": trial.full("parts.bin"), "UploadId": begun.data.get("UploadId", "")}
    _send(trial, upload, 1, LAST)
    answer = trial.store.ask("abort_multipart_upload", **upload)
    trial.can["abort"] = answer.ok and not trial.store.ask("list_parts", **upload).data.get("Parts")
    if trial.can["abort"]:
        return passed("Uploads in parts work: parts are listed, sent again, completed, and given up.")
    detail, fix = messages.why(answer, "give up an upload in parts", "s3:AbortMultipartUpload")
    return warned(
        f"{detail} Uploads in parts work; those that are given up keep their space until a rule ends them.", fix
    )


def _begin(trial: Trial) -> Answer:
    return trial.store.ask(
        "create_multipart_upload", Key=trial.full("parts.bin"), ContentType=TEXT, **trial.location.encryption_parameters
    )


def _send(trial: Trial, upload: dict[str, Any], number: int, body: bytes) -> Answer:
    return trial.store.ask("upload_part", **upload, PartNumber=number, Body=body)


def _lost(answer: Answer, doing: str, right: str) -> Finding:
    detail, fix = messages.why(answer, doing, right)
    return warned(f"{detail} {LOST}", fix)
