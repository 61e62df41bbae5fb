"""Single objects: write, read, delete, list, mark, read a range, copy."""

from __future__ import annotations

import time
from typing import Any

from portal.objectstore import ownership_marker
from portal.objectstore.ownership_marker import MarkedBy
from portal.storage.probe import messages
from portal.storage.probe.client import Answer
from portal.storage.probe.context import CONTENT, TEXT, ProbeContext
from portal.storage.probe.results import Finding, failed, passed, skipped, warned
from portal.texts import Text

WRITTEN = "written.txt"
LISTED = ("listed-1.txt", "listed-2.txt")
MARKER_DELAY = 1.0  # seconds for another's marker to arrive, where the store does not tell who was first
MAX_LISTED = 3  # ours, and one that would be too many
ASK_PROVIDER = Text("Ask the provider.")


def write(context: ProbeContext) -> Finding:
    """Store one small object."""
    answer = context.put(WRITTEN)
    if answer.ok:
        return passed(Text("An object was stored under %(prefix)s.", prefix=context.bucket_and_prefix))
    if context.location.encryption_parameters and context.put(WRITTEN, ContentType=TEXT).ok:
        return failed(
            Text("Objects can be stored, but not encrypted as this storage asks for."),
            Text("Choose no encryption, or set the key up at the provider and allow it to this access key."),
        )
    action = Text("store objects under %(prefix)s", prefix=context.bucket_and_prefix)
    return failed(*messages.explain(answer, action, "s3:PutObject"))


def read(context: ProbeContext) -> Finding:
    """Read it back, whole and unchanged, and ask for its facts."""
    answer = context.get(WRITTEN)
    if not answer.ok:
        action = Text("read objects under %(prefix)s", prefix=context.bucket_and_prefix)
        return failed(*messages.explain(answer, action, "s3:GetObject"))
    facts = context.head(WRITTEN)
    if answer.data["Body"] != CONTENT or not facts.ok or facts.data.get("ContentLength") != len(CONTENT):
        return failed(
            Text("What was read is not what was stored: the content or its length differ."),
            Text("Do not keep files here. Look for a proxy that changes answers, or ask the provider."),
        )
    if not facts.etag or facts.etag != context.head(WRITTEN).etag:
        return failed(
            Text("The store gives no stable ETag, so a changed object can't be told from an unchanged one."),
            Text("Look for a proxy that drops the ETag header, or use another store."),
        )
    return passed(Text("The object was read back whole and unchanged."))


def delete(context: ProbeContext) -> Finding:
    """Delete it, and see that it is gone."""
    answer = context.store.call("delete_object", Key=context.full_key(WRITTEN))
    if not answer.ok and not answer.missing:
        action = Text("delete objects under %(prefix)s", prefix=context.bucket_and_prefix)
        detail, fix = messages.explain(answer, action, "s3:DeleteObject")
        return failed(Text.join(detail, Text("What this test stored stays there until the key may.")), fix)
    if context.get(WRITTEN).ok:
        return failed(
            Text("The store says that the object was deleted, but it can still be read."),
            Text("Look for a cache or a retention rule (object lock) between Stowage and the store."),
        )
    return passed(Text("The object was deleted, and is gone."))


def list_prefix(context: ProbeContext) -> Finding:
    """The listing of a prefix shows its objects and no others."""
    for name in LISTED:
        context.put(name)
    answer = context.store.call("list_objects_v2", Prefix=context.full_key("listed-"), MaxKeys=MAX_LISTED)
    if not answer.ok:
        detail, fix = messages.explain(answer, Text("list the bucket"), "s3:ListBucket")
        consequence = Text(
            "Without it a missing file can't be told from a refused one, and leftovers can't be cleaned up."
        )
        return warned(Text.join(detail, consequence), fix)
    listed = [entry["Key"] for entry in answer.data.get("Contents", [])]
    if listed != [context.full_key(name) for name in LISTED]:
        return warned(
            Text("The listing does not show exactly what lies under the prefix."),
            Text("Uploads work. Cleaning up and reports can't be trusted here; ask the provider."),
        )
    context.capabilities["list"] = True
    return passed(Text("The listing shows exactly what lies under the prefix."))


def leave_marker(context: ProbeContext) -> Finding:
    """Leave the owner's marker where there is none, and read it back.

    Of two workspaces that test the same free prefix at the same time, at most one may find its own marker there.
    """
    if context.capabilities.get("marker"):
        return passed(Text("The owner's marker is there."))
    key, owner = context.location.full_key(ownership_marker.KEY), context.target.owner
    before = context.store.call("get_object", Key=key)
    if before.ok and owner.compare(before.data["Body"]) is not MarkedBy.US:
        return _marked_by_others(context)
    parameters = {
        "Key": key,
        "Body": owner.as_bytes(),
        "ContentType": "application/json",
        **context.location.encryption_parameters,
    }
    answer = context.store.call("put_object", **parameters, IfNoneMatch="*")
    context.capabilities["conditional_write"] = answer.ok and _enforces_condition(context)
    if answer.status in (400, 405, 501):  # stores that don't know the condition
        answer = context.store.call("put_object", **parameters)
    if not context.capabilities["conditional_write"]:
        # The last of two writers wins, and both have to see the same one: wait until the other's has arrived.
        time.sleep(MARKER_DELAY)
    back = context.store.call("get_object", Key=key)
    if back.ok and owner.compare(back.data["Body"]) is MarkedBy.US:
        context.capabilities["marker"] = True
        return passed(Text("The prefix is marked as this workspace's, in %(key)s.", key=key))
    if back.ok:
        return _marked_by_others(context)
    action = Text("leave its marker under %(prefix)s", prefix=context.bucket_and_prefix)
    return warned(*messages.explain(answer if not answer.ok else back, action))


def ranges(context: ProbeContext) -> Finding:
    """A part of an object, as video players ask for it (RFC 9110, 14)."""
    context.put("range.txt")
    url = context.presigner.presign_get(context.key("range.txt"), disposition="inline", expires_in=300)
    reply = context.browser.send("GET", url, headers={"Range": "bytes=2-5"})
    consequence = Text("Seeking in videos does not work here.")
    if reply.status == 206 and reply.body == CONTENT[2:6]:
        context.capabilities["range"] = True
        return passed(Text("A part of a file can be read by itself."))
    if reply.ok and reply.body == CONTENT[2:6]:
        return warned(
            Text("The store sends the requested part of a file, but labels it as the whole file."),
            Text.join(consequence, Text("The provider should fix this.")),
        )
    if reply.ok:
        return warned(Text("The store sends the whole file where a part was requested."), consequence)
    return warned(Text("Reading a part of a file was refused."), consequence)


def disposition(context: ProbeContext) -> Finding:
    """A link that sets the file's name and type, as downloads need it."""
    context.put("named.txt")
    name, content_type = "attachment; filename=plain.csv", "text/csv"
    url = context.presigner.presign_get(
        context.key("named.txt"), disposition=name, content_type=content_type, expires_in=300
    )
    reply = context.browser.send("GET", url)
    if not reply.ok:
        return warned(
            Text("A signed link to a file was refused."),
            Text("Downloads will not work: allow s3:GetObject to the key."),
        )
    answered = reply.headers.get("Content-Disposition"), reply.headers.get("Content-Type", "").split(";")[0]
    if answered == (name, content_type):
        context.capabilities["disposition"] = True
        return passed(Text("Downloads have the file's own name and type."))
    return warned(
        Text("The store ignores the name and type that a link asks for."),
        Text("Downloads get technical names, and a browser may show what it should save. Nothing can be set for this."),
    )


def copy(context: ProbeContext) -> Finding:
    """A copy inside the store: what was verified is what is served."""
    stored = context.put("source.txt")
    if not stored.ok:
        return skipped(Text("Nothing could be stored to be copied."))
    answer = _copy(context, "copied.txt", stored.etag)
    if not answer.ok:
        action = Text("copy objects inside the bucket")
        detail, fix = messages.explain(answer, action, "s3:GetObject, s3:PutObject")
        consequence = Text("The store itself copies every upload to its final key: until this works, uploads wait.")
        return warned(Text.join(detail, consequence), fix)
    if not context.has("copied.txt", CONTENT):
        return warned(Text("The store says that it copied an object, but the copy differs."), ASK_PROVIDER)
    context.capabilities["copy"] = True
    return passed(Text("The store copies objects by itself."))


def conditional_copy(context: ProbeContext) -> Finding:
    """A copy of what has changed meanwhile must be refused."""
    answer = _copy(context, "changed.txt", "0" * 32)
    if answer.status == 412 and not context.get("changed.txt").ok:
        context.capabilities["conditional_copy"] = True
        return passed(Text("The store refuses to copy a file that has changed since it was verified."))
    if answer.ok or context.get("changed.txt").ok:
        return warned(
            Text("The store copies a file although it has changed since it was verified."),
            Text("Nothing to do: Stowage checks before and after each copy, and reads every copy whole."),
        )
    return warned(*messages.explain(answer, Text("copy objects with a condition")))


def _copy(context: ProbeContext, target: str, etag: str) -> Answer:
    source = {"Bucket": context.location.bucket, "Key": context.full_key("source.txt")}
    return context.store.call(
        "copy_object",
        Key=context.full_key(target),
        CopySource=source,
        CopySourceIfMatch=f'"{etag}"',
        **context.location.encryption_parameters,
    )


def _marked_by_others(context: ProbeContext) -> Finding:
    return failed(
        Text("Another workspace has marked %(prefix)s a moment ago.", prefix=context.bucket_and_prefix),
        Text("Choose another bucket or another prefix, and test again."),
    )


def _enforces_condition(context: ProbeContext) -> bool:
    """Whether If-None-Match is enforced: many stores accept the header, and replace the object."""
    condition: dict[str, Any] = {"IfNoneMatch": "*", "ContentType": TEXT, **context.location.encryption_parameters}
    return context.put("taken.txt", **condition).ok and context.put("taken.txt", **condition).status in (409, 412)
