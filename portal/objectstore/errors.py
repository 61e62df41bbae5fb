"""A store's error codes in words for whoever waits for a file; the provider's own text goes nowhere.

What an owner reads who tests a bucket says more, and is in ``probe.words``.
"""

from __future__ import annotations

from portal.errors import Conflict, NotFound, Problem, Unavailable

AWAY = "The file store can't be reached right now. Nothing is lost; try again in a moment."
_REFUSED = "The file store refused our key. An administrator should check the access key, its secret and its rights."
FOREIGN = (
    "The bucket does not carry the mark that Stowage left in it: it may have been made again by somebody else. "
    "Nothing is removed. An owner should look at the bucket, and then test the storage."
)
NO_BUCKET = "The bucket of the file store does not exist. An administrator should check its name, or create it."
_ELSEWHERE = "The bucket lives in another region. An administrator should correct the region or the endpoint."
_REDIRECTS = (
    "The endpoint sends us elsewhere, which Stowage does not follow. An administrator should correct the endpoint."
)
NOT_PUBLIC = "The endpoint leads to an address that is not public. Nothing was sent there. An operator can allow it."
_CLOCK = "The clocks of this server and of the file store differ too much. An administrator should set the clock."
_BUSY = "The file store is busy right now. Nothing is lost; try again in a moment."
_FULL = "The file store is full. An administrator should make room."
CANNOT = "The file store can't do what was asked. An administrator should look at the log."
_FAULT = "The file store answered with an error. Nothing is lost; try again in a moment."

_WORDS = {
    "NoSuchBucket": NO_BUCKET,
    "InvalidBucketName": NO_BUCKET,
    "PermanentRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "IllegalLocationConstraintException": _ELSEWHERE,
    "RequestTimeTooSkewed": _CLOCK,
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "RequestTimeout": _BUSY,
    "XMinioStorageFull": _FULL,
    "QuotaExceeded": _FULL,
    "NotImplemented": CANNOT,
    "NoSuchUpload": _FAULT,
}
_WORDS_BY_STATUS = {
    301: _ELSEWHERE,
    307: _ELSEWHERE,
    302: _REDIRECTS,
    303: _REDIRECTS,
    308: _REDIRECTS,
    401: _REFUSED,
    403: _REFUSED,
    501: CANNOT,
    503: _BUSY,
    507: _FULL,
}


_LASTING = frozenset({_REFUSED, NO_BUCKET, FOREIGN, NOT_PUBLIC, _ELSEWHERE, _REDIRECTS, _CLOCK, _FULL})


def needs_a_person(problem: Problem) -> bool:
    """Whether waiting alone won't mend it: somebody has to look at keys, bucket, endpoint, clock or space."""
    return isinstance(problem, Unavailable) and problem.detail in _LASTING


def unavailable(detail: str = AWAY) -> Unavailable:
    """The store is away, or not as it should be."""
    return Unavailable(detail, code="storage_unavailable")


def busy() -> Unavailable:
    """The store is not asked right now."""
    return Unavailable(_BUSY, code="storage_unavailable", retry_after=5)


def changed() -> Conflict:
    """The object is not the one that was verified."""
    return Conflict("The file changed after it was checked. Upload it again.", code="changed")


def problem_for(code: str, status: int) -> Problem:
    """The refusal for a store's error ``code`` (S3's, or a bare number where an answer had no body) and its status."""
    if code in _WORDS:
        return unavailable(_WORDS[code])
    if code == "NoSuchKey" or status == 404:
        return NotFound("The file is not in the store.")
    if code == "PreconditionFailed" or status == 412:
        return changed()
    return unavailable(_WORDS_BY_STATUS.get(status, _FAULT))
