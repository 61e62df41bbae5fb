"""Multipart uploads: created, listed, a part sent again, completed, aborted."""

from __future__ import annotations

from typing import Any

from portal.storage.probe import messages
from portal.storage.probe.client import Answer
from portal.storage.probe.context import TEXT, ProbeContext
from portal.storage.probe.results import Finding, passed, warned
from portal.texts import Text

PART = 5 * 1024**2  # bytes: S3's least for every part but the last
LAST = b"the end"
CONSEQUENCE = Text("Large files are sent in one request, and can't be resumed.")


def multipart(context: ProbeContext) -> Finding:
    """An upload in two parts with one sent again, listed as it grows, whole at the end; another one is aborted."""
    created = _create(context)
    if not created.ok:
        return _warned(created, Text("begin an upload in parts"), "s3:PutObject")
    upload: dict[str, Any] = {"Key": context.full_key("parts.bin"), "UploadId": created.data["UploadId"]}
    try:
        return _complete(context, upload)
    finally:
        context.store.call("abort_multipart_upload", **upload)


def _complete(context: ProbeContext, upload: dict[str, Any]) -> Finding:
    first, again = bytes(PART), b"a" * PART
    sent = [_upload_part(context, upload, number, body) for number, body in ((1, first), (2, LAST), (1, again))]
    for answer in sent:
        if not answer.ok:
            return _warned(answer, Text("store a part"), "s3:PutObject")
    listed = context.store.call("list_parts", **upload)
    if not listed.ok:
        return _warned(listed, Text("list the parts of an upload"), "s3:ListMultipartUploadParts")
    newest = {part["PartNumber"]: part for part in listed.data.get("Parts", [])}
    if {number: part["Size"] for number, part in newest.items()} != {1: PART, 2: len(LAST)}:
        return warned(
            Text.join(Text("The store does not list the parts that it has."), CONSEQUENCE),
            Text("Nothing to do: it is a limit of this store."),
        )
    context.capabilities["list_parts"] = True
    parts = [{"PartNumber": 1, "ETag": sent[2].data["ETag"]}, {"PartNumber": 2, "ETag": sent[1].data["ETag"]}]
    completed = context.store.call("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})
    if not completed.ok:
        return _warned(completed, Text("complete an upload in parts"), "s3:PutObject")
    if not context.has("parts.bin", again + LAST):
        return warned(
            Text.join(
                Text("The store put the parts together wrongly: of a part sent twice, the first one counts."),
                CONSEQUENCE,
            ),
            Text("The provider should fix this."),
        )
    context.capabilities["multipart"] = True
    return _abort(context)


def _abort(context: ProbeContext) -> Finding:
    created = _create(context)
    upload: dict[str, Any] = {"Key": context.full_key("parts.bin"), "UploadId": created.data.get("UploadId", "")}
    _upload_part(context, upload, 1, LAST)
    answer = context.store.call("abort_multipart_upload", **upload)
    # Some stores answer that an upload is aborted, and keep its parts.
    context.capabilities["abort"] = answer.ok and not context.store.call("list_parts", **upload).data.get("Parts")
    if context.capabilities["abort"]:
        return passed(Text("Uploads in parts work: parts are listed, sent again, completed, and aborted."))
    detail, fix = messages.explain(answer, Text("abort an upload in parts"), "s3:AbortMultipartUpload")
    note = Text("Uploads in parts work; those that are aborted keep their space until a lifecycle rule ends them.")
    return warned(Text.join(detail, note), fix)


def _create(context: ProbeContext) -> Answer:
    return context.store.call(
        "create_multipart_upload",
        Key=context.full_key("parts.bin"),
        ContentType=TEXT,
        **context.location.encryption_parameters,
    )


def _upload_part(context: ProbeContext, upload: dict[str, Any], number: int, body: bytes) -> Answer:
    return context.store.call("upload_part", **upload, PartNumber=number, Body=body)


def _warned(answer: Answer, action: Text, right: str) -> Finding:
    detail, fix = messages.explain(answer, action, right)
    return warned(Text.join(detail, CONSEQUENCE), fix)
