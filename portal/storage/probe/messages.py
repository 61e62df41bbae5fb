"""Why a store refused, in our words: from its status and code to what it means and what to do; for owners."""

from __future__ import annotations

import re

from portal.storage.probe.client import Answer

_REGION = re.compile(r"[a-z0-9-]{2,30}")

SECRET = (
    "The store knows the access key, and the secret does not fit it.",
    "Enter the secret access key again, whole and without spaces before or after it, or make a new key.",
)
KEY = (
    "The store does not know this access key.",
    "Copy the access key id again, or make a new key. A key belongs to one provider and one account.",
)
BUCKET = (
    "There is no bucket of this name at this endpoint.",
    "Check the name for a typing error, and the endpoint and region; or create the bucket at the provider.",
)
REGION = (
    "The bucket lives in another region than the one given here.",
    "Correct the region, or the endpoint where the region is a part of its name.",
)
CLOCK = (
    "The store refuses us because its clock and this server's differ by more than 15 minutes.",
    "Set this server's clock (NTP). If it is right, the store's clock is wrong: its operator can set it.",
)
SLOW = (
    "The store did not answer in time.",
    "Test again in a moment. If it stays so, the store, or the way to it, is too slow to be used.",
)
BROKEN = (
    "The connection broke off before the answer was complete.",
    "Test again in a moment. If it stays so, look for a proxy or a firewall between this server and the store.",
)
BUSY = (
    "The store is busy or out of order right now.",
    "Test again in a few minutes. If it stays so, ask the provider.",
)
FULL = ("The store is full.", "Make room, or raise the limit at the provider.")
CANNOT = ("The store does not know how to do this.", "Nothing to do: it is a limit of this store.")

_BY_CODE = {
    "InvalidAccessKeyId": KEY,
    "InvalidAccessKey": KEY,
    "InvalidToken": KEY,
    "SignatureDoesNotMatch": SECRET,
    "NoSuchBucket": BUCKET,
    "InvalidBucketName": BUCKET,
    "PermanentRedirect": REGION,
    "TemporaryRedirect": REGION,
    "AuthorizationHeaderMalformed": REGION,
    "IllegalLocationConstraintException": REGION,
    "RequestTimeTooSkewed": CLOCK,
    "SlowDown": BUSY,
    "ServiceUnavailable": BUSY,
    "InternalError": BUSY,
    "RequestTimeout": SLOW,
    "timeout": SLOW,
    "broken": BROKEN,
    "XMinioStorageFull": FULL,
    "QuotaExceeded": FULL,
    "NotImplemented": CANNOT,
    "MethodNotAllowed": CANNOT,
}
_BY_STATUS = {301: REGION, 307: REGION, 405: CANNOT, 501: CANNOT, 507: FULL}


def why(answer: Answer, doing: str, right: str = "") -> tuple[str, str]:
    """(what it means, what to do) for a refused ``doing``, e.g. "store objects"; ``right`` as AWS names it."""
    known = _BY_CODE.get(answer.code) or _BY_STATUS.get(answer.status)
    if known is REGION and (region := region_in(answer)):
        return f"{REGION[0][:-1]}: it is {region}.", f"Set the region to {region}, and the endpoint to that region's."
    if known:
        return known
    if answer.status in (401, 403):
        allow = f"Allow {right} for it" if right else "Give it this right"
        return f"The key may not {doing}.", f"{allow}, as in the policy shown on this page, and test again."
    if answer.status >= 500:
        return BUSY
    return (
        f"The store refused to {doing}, with status {answer.status}.",
        "Test again. If it stays so, the server's log has the store's own code for it.",
    )


def is_unknown(answer: Answer) -> bool:
    """Whether the store does not know at all what it was asked."""
    return (_BY_CODE.get(answer.code) or _BY_STATUS.get(answer.status)) is CANNOT


def region_in(answer: Answer) -> str:
    """The region that the store itself names, when it does; nothing but letters, digits and dashes."""
    named = answer.headers.get("x-amz-bucket-region") or answer.data.get("Error", {}).get("Region") or ""
    return named if _REGION.fullmatch(str(named)) else ""
