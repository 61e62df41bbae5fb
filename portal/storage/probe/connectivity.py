"""Is there a store, does it accept the key, and is the prefix free? These steps write nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from portal.objectstore import ownership_marker
from portal.objectstore.ownership_marker import MarkedBy
from portal.storage.probe import messages
from portal.storage.probe.browser import Reply
from portal.storage.probe.context import ProbeContext
from portal.storage.probe.messages import Message
from portal.storage.probe.results import Finding, failed, passed
from portal.texts import Text

MAX_CLOCK_SKEW = timedelta(minutes=15)  # S3 refuses signatures that are older or younger
NOTED_CLOCK_SKEW = timedelta(minutes=2)
S3_HEADERS = ("x-amz-request-id", "x-amz-bucket-region", "x-amz-id-2")
_S3_ERROR_CODE = re.compile(r"[A-Z][A-Za-z]+")

_FAILURES: dict[str, Message] = {
    "name": (
        Text("The name server did not answer, so the endpoint's name can't be resolved right now."),
        Text("Test again in a moment. If this stays, this server's resolver has to be checked by its operator."),
    ),
    "tls": (
        Text("The endpoint's certificate is not valid: expired, for another name, or not signed by a known authority."),
        Text("Renew the certificate, or enter the endpoint exactly as the certificate names it."),
    ),
    "no_tls": (
        Text("The endpoint does not speak TLS on this port."),
        Text("Check the port. https usually answers on 443; a plain http endpoint must be allowed by the operator."),
    ),
    "timeout": (
        Text("Nothing answered in time at the endpoint."),
        Text("Check host and port, and that a firewall lets this server reach them."),
    ),
    "refused": (
        Text("Nothing listens at this host and port."),
        Text("Check host and port of the endpoint, and that the store is running."),
    ),
    # Also for a name that does not exist: a difference would show anybody which internal names exist.
    "forbidden": (
        Text("The endpoint does not lead to an address that this installation connects to."),
        Text(
            "Check the endpoint's spelling, and use the store's public address. The operator can allow a private one "
            "by PORTAL_EGRESS_ALLOW."
        ),
    ),
    "broken": messages.BROKEN,
}


def reach(context: ProbeContext) -> Finding:
    """Name, TLS, an answer as a store gives it, and its clock."""
    reply = context.browser.send("GET", f"{context.location.address(public=False)}?list-type=2&max-keys=0")
    if not reply.status:
        return failed(*_FAILURES.get(reply.failure, messages.BROKEN))
    if reply.status in (500, 502, 503, 504):
        return failed(*messages.BUSY)
    if not _speaks_s3(reply) and not _speaks_s3_when_signed(context):
        return failed(*_not_a_store(reply))
    skew = _clock_skew(reply)
    if skew is not None and skew > MAX_CLOCK_SKEW:
        minutes = round(skew / timedelta(minutes=1))
        detail = Text("This server's clock and the store's differ by %(minutes)s minutes.", minutes=minutes)
        return failed(detail, messages.CLOCK[1])
    detail = Text("An S3 store answers, over a connection that is not encrypted.")
    if context.location.address(public=False).startswith("https"):
        detail = Text("An S3 store answers, and its certificate is valid.")
    if skew is not None and skew > NOTED_CLOCK_SKEW:
        seconds = round(skew.total_seconds())
        note = Text(
            "The clocks differ by %(seconds)s seconds: the store refuses more than 15 minutes.", seconds=seconds
        )
        detail = Text.join(detail, note)
    return passed(detail)


def credentials(context: ProbeContext) -> Finding:
    """Does the store know the key, does the secret fit, is the bucket there, in this region?"""
    answer = context.store.call("list_objects_v2", Prefix=context.location.full_key(""), MaxKeys=1)
    if answer.ok:
        return passed(Text("The store accepts the access key and its secret, and the bucket exists."))
    if answer.code == "AccessDenied":
        # The store knows the key and does not let it list: what it may do is shown by the next steps.
        return passed(Text("The store knows the access key. It may not list the bucket, see below."))
    return failed(*messages.explain(answer, Text("list the bucket"), "s3:ListBucket"))


def owner(context: ProbeContext) -> Finding:
    """Has another workspace marked this prefix? Where a marker names somebody else, nothing is written."""
    answer = context.store.call("get_object", Key=context.location.full_key(ownership_marker.KEY))
    if answer.ok:
        return _marked_by(context, context.target.owner.compare(answer.data["Body"]))
    if context.target.marked and answer.missing:
        context.capabilities["marker_lost"] = True
        return failed(
            Text(
                "The marker that Stowage left at %(prefix)s is gone: the bucket was emptied or created again.",
                prefix=context.bucket_and_prefix,
            ),
            Text(
                "Check at the provider whether the files are there, and whether the bucket is still yours. Stowage "
                "deletes nothing of it meanwhile. If you emptied or restored it yourself, test again: the bucket "
                "is then marked again."
            ),
        )
    if answer.missing or answer.status == 403:
        return passed(Text("No other owner has marked %(prefix)s.", prefix=context.bucket_and_prefix))
    return failed(*messages.explain(answer, Text("read objects"), "s3:GetObject"))


def _marked_by(context: ProbeContext, marked_by: MarkedBy) -> Finding:
    prefix = context.bucket_and_prefix
    if marked_by is MarkedBy.US:
        context.capabilities["marker"] = True
        return passed(Text("%(prefix)s is marked as this workspace's.", prefix=prefix))
    whose = {
        MarkedBy.WORKSPACE: Text("%(prefix)s belongs to another workspace of your organisation.", prefix=prefix),
        MarkedBy.TENANT: Text("%(prefix)s belongs to another organisation.", prefix=prefix),
        MarkedBy.INSTALLATION: Text("%(prefix)s belongs to another installation of Stowage.", prefix=prefix),
        MarkedBy.UNREADABLE: Text("%(prefix)s has an owner's marker that can't be read.", prefix=prefix),
    }[marked_by]
    return failed(
        Text.join(whose, Text("Nothing was written there.")),
        Text(
            "Choose another bucket or another prefix. If the files there are certainly not needed, delete the object "
            "%(key)s from the bucket and test again.",
            key=context.location.full_key(ownership_marker.KEY),
        ),
    )


def _speaks_s3(reply: Reply) -> bool:
    """S3's own documents, or its request id; a web page has neither."""
    if any(name in reply.headers for name in S3_HEADERS):
        return True
    start = reply.body[:1000]
    return b"<Error>" in start or b"<ListBucketResult" in start or b"<Error " in start


def _speaks_s3_when_signed(context: ProbeContext) -> bool:
    """A store with other protocols beside S3 may recognise only signed requests as S3's; its errors have S3's codes."""
    answer = context.store.call("list_objects_v2", Prefix=context.location.full_key(""), MaxKeys=1)
    return any(name in answer.headers for name in S3_HEADERS) or bool(_S3_ERROR_CODE.fullmatch(answer.code))


def _not_a_store(reply: Reply) -> Message:
    if 300 <= reply.status < 400:
        return (
            Text("The endpoint redirects elsewhere, and Stowage does not follow redirects."),
            Text("Enter the address that the provider names as its S3 endpoint."),
        )
    detail = Text("The endpoint does not answer as an S3 store does.")
    if b"<html" in reply.body[:2000].lower():
        detail = Text("The endpoint is a web page.")
    return detail, Text(
        "Enter the address of the S3 API, not that of the provider's console. The help beside each provider shows it."
    )


def _clock_skew(reply: Reply) -> timedelta | None:
    try:
        there = parsedate_to_datetime(reply.headers.get("Date", ""))
    except ValueError:
        return None
    return abs(datetime.now(UTC) - there) if there.tzinfo else None
