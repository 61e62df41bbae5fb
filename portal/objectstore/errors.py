"""The object store's errors, mapped to the portal's own kinds. No provider's text goes further than the log.

An owner who tests a bucket gets more detail from the probe: see ``portal.storage.probe.messages``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from prometheus_client import Histogram
from urllib3.exceptions import HTTPError

from portal.database import assert_no_transaction
from portal.errors import Conflict, NotFound, Problem, Unavailable
from portal.network.deadlines import Deadline, TimeLimit, time_limit
from portal.network.egress import EgressRefused
from portal.texts import Text

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30  # for one request, retries included: a person may be waiting for the answer
REQUEST_SECONDS = Histogram(
    "portal_store_seconds", "Time that stores take.", ["operation"], buckets=(0.005, 0.02, 0.05, 0.1, 0.5, 1, 5, 30)
)

UNREACHABLE = Text("The file store can't be reached right now. Nothing is lost; try again in a moment.")
REFUSED = Text(
    "The file store refused our key. An administrator should check the access key, its secret and its rights."
)
MARKER_MISSING = Text(
    "The bucket does not carry the mark that Stowage left in it: it may have been made again by somebody else. "
    "Nothing is removed. An owner should look at the bucket, and then test the storage."
)
NO_BUCKET = Text("The bucket of the file store does not exist. An administrator should check its name, or create it.")
OTHER_REGION = Text("The bucket lives in another region. An administrator should correct the region or the endpoint.")
REDIRECTED = Text(
    "The endpoint sends us elsewhere, which Stowage does not follow. An administrator should correct the endpoint."
)
# Also for a name that does not exist: see EgressRefused.
NOT_PUBLIC = Text(
    "The endpoint does not lead to a public address. Nothing was sent. An administrator should check its spelling; "
    "an operator can allow an address that is not public."
)
CLOCK_SKEWED = Text(
    "The clocks of this server and of the file store differ too much. An administrator should set the clock."
)
BUSY = Text("The file store is busy right now. Nothing is lost; try again in a moment.")
FULL = Text("The file store is full. An administrator should free space.")
UNSUPPORTED = Text("The file store does not support this request. An administrator should look at the log.")
FAILED = Text("The file store answered with an error. Nothing is lost; try again in a moment.")

_BY_CODE = {
    "NoSuchBucket": NO_BUCKET,
    "InvalidBucketName": NO_BUCKET,
    "PermanentRedirect": OTHER_REGION,
    "AuthorizationHeaderMalformed": OTHER_REGION,
    "IllegalLocationConstraintException": OTHER_REGION,
    "RequestTimeTooSkewed": CLOCK_SKEWED,
    "SlowDown": BUSY,
    "ServiceUnavailable": BUSY,
    "RequestTimeout": BUSY,
    "XMinioStorageFull": FULL,
    "QuotaExceeded": FULL,
    "NotImplemented": UNSUPPORTED,
    "NoSuchUpload": FAILED,
}
_BY_STATUS = {
    301: OTHER_REGION,
    307: OTHER_REGION,
    302: REDIRECTED,
    303: REDIRECTED,
    308: REDIRECTED,
    401: REFUSED,
    403: REFUSED,
    501: UNSUPPORTED,
    503: BUSY,
    507: FULL,
}
# What does not pass by waiting.
_LASTING = (REFUSED, NO_BUCKET, MARKER_MISSING, NOT_PUBLIC, OTHER_REGION, REDIRECTED, CLOCK_SKEWED, FULL)


class StoreUnavailable(Unavailable):
    """The store can't be used, for a reason of this module."""

    code = "storage_unavailable"


def needs_person(problem: Problem) -> bool:
    """Whether waiting is useless: somebody has to change keys, bucket, endpoint, clock or space first."""
    return isinstance(problem, StoreUnavailable) and problem.text in _LASTING


def changed() -> Conflict:
    """The object is not the one that was verified."""
    return Conflict(Text("The file changed after it was checked. Upload it again."), code="changed")


def problem_for(code: str, status: int) -> Problem:
    """The problem for a store's error: S3's ``code`` (a bare number where the answer had no body) and HTTP status."""
    if code in _BY_CODE:
        return StoreUnavailable(_BY_CODE[code])
    if code == "NoSuchKey" or status == 404:
        return NotFound(Text("The file is not in the store."))
    if code == "PreconditionFailed" or status == 412:
        return changed()
    return StoreUnavailable(_BY_STATUS.get(status, FAILED))


@contextmanager
def map_errors(operation: str, limit: TimeLimit | None = None) -> Iterator[None]:
    """Around one request to a store: measured, within a time limit, and its errors mapped.

    ``operation`` is S3's name of it, for metrics and the log. ``limit`` defaults to ``ANSWER_SECONDS`` in all. Raises
    ``NotFound``, ``Conflict("changed")`` or ``Unavailable("storage_unavailable")``; ``RuntimeError`` inside a
    transaction that has written (a slow store must not hold locks), while one that only read is ended.
    """
    assert_no_transaction()
    try:
        with REQUEST_SECONDS.labels(operation).time(), time_limit(limit or Deadline(ANSWER_SECONDS)):
            yield
    except ClientError as error:
        code, status = error.response.get("Error", {}).get("Code", ""), http_status(error)
        log.info("object store: %s answered %s %s", operation, status, code)
        raise problem_for(code, status) from None
    except EgressRefused as error:
        log.warning("object store: %s was not sent: %s", operation, error)
        raise StoreUnavailable(NOT_PUBLIC) from None
    except (BotoCoreError, HTTPError, OSError) as error:
        log.warning("object store: %s failed: %s", operation, type(error).__name__)
        raise StoreUnavailable(UNREACHABLE) from None
    except (LookupError, ValueError, OverflowError) as error:
        # An answer without a key, number or date that belongs in it: some stores, and programs that are no store.
        log.warning("object store: %s got an answer that is not S3's: %s", operation, type(error).__name__)
        raise StoreUnavailable(UNSUPPORTED) from None


def none_if_missing(call: Callable[..., Any], *, or_forbidden: bool = False, **parameters: Any) -> Any:
    """The answer of a boto3 call, or None for a 404; with ``or_forbidden`` also for a 403."""
    try:
        return call(**parameters)
    except ClientError as error:
        if http_status(error) == 404 or (or_forbidden and http_status(error) == 403):
            return None
        raise


def http_status(error: ClientError) -> int:
    """The HTTP status of a refusal; 0 when the answer had none."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
