"""Is there a store, does it take our key, and is the place free? Nothing is written here."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from portal.objectstore import ownership_marker
from portal.objectstore.ownership_marker import Claim
from portal.storage.probe import messages
from portal.storage.probe.browser import Reply
from portal.storage.probe.context import Trial
from portal.storage.probe.results import Finding, failed, passed

MOST_SKEW = timedelta(minutes=15)  # S3 refuses signatures that are older or younger
NOTED_SKEW = timedelta(minutes=2)
OF_S3 = ("x-amz-request-id", "x-amz-bucket-region", "x-amz-id-2")
_NAMED = re.compile(r"[A-Z][A-Za-z]+")
GONE = (
    "Look at the provider whether the files are there, and whether the bucket is still yours. Nothing of it is removed "
    "meanwhile. If you emptied or restored it yourself, test again: the place is then marked anew."
)

_TROUBLES = {
    "name": (
        "The endpoint's name can't be resolved.",
        "Check the endpoint for a typing error. A name of your own network must be known to this server's resolver.",
    ),
    "tls": (
        "The endpoint's certificate is not valid: expired, for another name, or signed by nobody this server trusts.",
        "Renew the certificate, or name the endpoint exactly as the certificate does.",
    ),
    "no_tls": (
        "The endpoint does not speak TLS on this port.",
        "Check the port. https usually answers on 443; a plain http endpoint must be allowed by the operator.",
    ),
    "timeout": (
        "Nothing answered in time at the endpoint.",
        "Check host and port, and that a firewall lets this server reach them.",
    ),
    "refused": (
        "Nothing listens at this host and port.",
        "Check host and port of the endpoint, and that the store is running.",
    ),
    "forbidden": (
        "The endpoint points to an address that this installation does not connect to.",
        "Use the store's public address. The operator can open a private one by PORTAL_EGRESS_ALLOW.",
    ),
    "broken": messages.BROKEN,
}


def reach(trial: Trial) -> Finding:
    """Name, TLS, an answer as a store gives it, and its clock."""
    reply = trial.browser.send("GET", f"{trial.location.address(public=False)}?list-type=2&max-keys=0")
    if not reply.status:
        return failed(*_TROUBLES.get(reply.trouble, messages.BROKEN))
    if reply.status in (500, 502, 503, 504):
        return failed(*messages.BUSY)
    if not _speaks_s3(reply) and not _speaks_s3_when_signed(trial):
        return failed(*_no_store(reply))
    skew = _skew(reply)
    if skew is not None and skew > MOST_SKEW:
        minutes = round(skew / timedelta(minutes=1))
        return failed(f"This server's clock and the store's differ by {minutes} minutes.", messages.CLOCK[1])
    secure = trial.location.address(public=False).startswith("https")
    how = "and its certificate is valid" if secure else "over a connection that is not encrypted"
    said = f"An S3 store answers, {how}."
    if skew is not None and skew > NOTED_SKEW:
        said += f" The clocks differ by {round(skew.total_seconds())} seconds: more than 15 minutes would be refused."
    return passed(said)


def credentials(trial: Trial) -> Finding:
    """Does the store know the key, does the secret fit, is the bucket there, in this region?"""
    prefix = trial.location.full_key("")
    answer = trial.store.ask("list_objects_v2", Prefix=prefix, MaxKeys=1)
    if answer.ok:
        return passed("The store takes the access key and its secret, and the bucket is there.")
    if answer.code == "AccessDenied":
        # The store knows the key and does not let it list: what it may do, the next steps show.
        return passed("The store knows the access key. It may not list the bucket, see below.")
    return failed(*messages.why(answer, "list the bucket", "s3:ListBucket"))


def owner(trial: Trial) -> Finding:
    """Whose place is this? Where a marker names somebody else, nothing is written."""
    answer = trial.store.ask("get_object", Key=trial.location.full_key(ownership_marker.KEY))
    if answer.ok:
        return _owned(trial, trial.subject.owner.claim(answer.data["Body"]))
    if trial.subject.marked and answer.missing:
        trial.can["marker_lost"] = True
        return failed(
            f"The marker that Stowage left at {trial.place} is gone: the bucket was emptied, or made anew.",
            GONE,
        )
    if answer.missing or answer.status == 403:
        return passed(f"No other owner has marked {trial.place}.")
    return failed(*messages.why(answer, "read objects", "s3:GetObject"))


def _owned(trial: Trial, claim: Claim) -> Finding:
    if claim is Claim.OURS:
        trial.can["marker"] = True
        return passed(f"{trial.place} is marked as this workspace's.")
    whose = {
        Claim.WORKSPACE: "belongs to another workspace of your organisation",
        Claim.TENANT: "belongs to another organisation",
        Claim.INSTALLATION: "belongs to another installation of Stowage",
        Claim.UNREADABLE: "has an owner's marker that can't be read",
    }[claim]
    return failed(
        f"{trial.place} {whose}. Nothing was written there.",
        "Choose another bucket or another prefix. If the files there were given up for certain, remove the object "
        f"{trial.location.full_key(ownership_marker.KEY)} from the bucket and test again.",
    )


def _speaks_s3(reply: Reply) -> bool:
    """S3's own documents, or its request id; a web page has neither."""
    if any(name in reply.headers for name in OF_S3):
        return True
    start = reply.body[:1000]
    return b"<Error>" in start or b"<ListBucketResult" in start or b"<Error " in start


def _speaks_s3_when_signed(trial: Trial) -> bool:
    """A store with other protocols beside S3 may take only what is signed for S3; an error of S3 has a name."""
    answer = trial.store.ask("list_objects_v2", Prefix=trial.location.full_key(""), MaxKeys=1)
    return any(name in answer.headers for name in OF_S3) or bool(_NAMED.fullmatch(answer.code))


def _no_store(reply: Reply) -> tuple[str, str]:
    if 300 <= reply.status < 400:
        return (
            "The endpoint redirects somewhere else, and Stowage follows no redirects.",
            "Enter the address that the provider names as its S3 endpoint.",
        )
    what = "is a web page" if b"<html" in reply.body[:2000].lower() else "does not answer as an S3 store does"
    return (
        f"The endpoint {what}.",
        "Enter the S3 API's address, not that of the provider's console. The help beside each provider shows its form.",
    )


def _skew(reply: Reply) -> timedelta | None:
    try:
        there = parsedate_to_datetime(reply.headers.get("Date", ""))
    except ValueError:
        return None
    return abs(datetime.now(UTC) - there) if there.tzinfo else None
