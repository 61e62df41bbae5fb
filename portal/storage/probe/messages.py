"""Why a store refused, for the owner of a bucket: from S3's status and code to what it means and what to do."""

from __future__ import annotations

import re

from portal.storage.probe.client import Answer
from portal.texts import Text

_REGION = re.compile(r"[a-z0-9-]{2,30}")

# Each: what it means, and what to do.
Message = tuple[Text, Text]

SECRET: Message = (
    Text("The store knows the access key, but its secret does not fit."),
    Text("Enter the secret access key again, whole and without spaces around it, or create a new key."),
)
KEY: Message = (
    Text("The store does not know this access key."),
    Text("Copy the access key ID again, or create a new key. A key belongs to one provider and one account."),
)
BUCKET: Message = (
    Text("There is no bucket of this name at this endpoint."),
    Text("Check the spelling of the name, and the endpoint and region; or create the bucket at the provider."),
)
REGION: Message = (
    Text("The bucket is in another region than the one entered here."),
    Text("Correct the region, or the endpoint where the region is part of its name."),
)
CLOCK: Message = (
    Text("The store refuses requests because its clock and this server's differ by more than 15 minutes."),
    Text("Set this server's clock (NTP). If it is right, the store's operator has to set the store's."),
)
SLOW: Message = (
    Text("The store did not answer in time."),
    Text("Test again in a moment. If this stays, the store or the network to it is too slow to be used."),
)
BROKEN: Message = (
    Text("The connection ended before the answer was complete."),
    Text("Test again in a moment. If this stays, look for a proxy or a firewall between this server and the store."),
)
BUSY: Message = (
    Text("The store is busy or out of order right now."),
    Text("Test again in a few minutes. If this stays, ask the provider."),
)
FULL: Message = (Text("The store is full."), Text("Free space, or raise the limit at the provider."))
UNSUPPORTED: Message = (
    Text("The store does not support this."),
    Text("Nothing to do: it is a limit of this store."),
)

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
    "NotImplemented": UNSUPPORTED,
    "MethodNotAllowed": UNSUPPORTED,
}
_BY_STATUS = {301: REGION, 307: REGION, 405: UNSUPPORTED, 501: UNSUPPORTED, 507: FULL}


def explain(answer: Answer, action: Text, right: str = "") -> Message:
    """What a refusal means and what to do. ``action``: what was refused, as an infinitive ("store objects").

    ``right`` names the permission that it needs, as AWS does ("s3:PutObject").
    """
    known = _BY_CODE.get(answer.code) or _BY_STATUS.get(answer.status)
    if known is REGION and (region := region_in(answer)):
        return (
            Text("The bucket is in another region than the one entered here: it is %(region)s.", region=region),
            Text("Set the region to %(region)s, and the endpoint to that region's.", region=region),
        )
    if known:
        return known
    if answer.status in (401, 403):
        fix = Text("Give the key this right, as in the policy shown on this page, and test again.")
        if right:
            fix = Text("Allow %(right)s to the key, as in the policy shown on this page, and test again.", right=right)
        return Text("The key may not %(action)s.", action=action), fix
    if answer.status >= 500:
        return BUSY
    return (
        Text("The store refused to %(action)s, with status %(status)s.", action=action, status=answer.status),
        Text("Test again. If this stays, the server's log has the store's own code for it."),
    )


def is_unsupported(answer: Answer) -> bool:
    """Whether the store does not know the operation at all."""
    return (_BY_CODE.get(answer.code) or _BY_STATUS.get(answer.status)) is UNSUPPORTED


def region_in(answer: Answer) -> str:
    """The region that the store itself names, if any; nothing but letters, digits and hyphens."""
    named = answer.headers.get("x-amz-bucket-region") or answer.data.get("Error", {}).get("Region") or ""
    return named if _REGION.fullmatch(str(named)) else ""
