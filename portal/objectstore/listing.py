"""List and delete the objects below a prefix, page by page; an implausible answer is refused.

A customer's store may ignore the prefix, list the same keys again and again, or never end. Ascending keys are not
required: SeaweedFS lists folder by folder, ``a/b`` before ``a-c``, and in a bucket that keeps versions by the names of
its own files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from portal.errors import Unavailable
from portal.network.deadlines import Deadline
from portal.objectstore.errors import UNSUPPORTED, StoreUnavailable, map_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

PAGE_SECONDS = 120  # for a thousand keys
MAX_PAGES_SMALL = 30  # below one upload or asset, which has some tens of objects: usually one page
MAX_PAGES = 100_000  # below a workspace, which may have a hundred million objects


class ListedObject(NamedTuple):
    """One object of a listing; ``size`` in bytes."""

    key: str
    size: int
    modified: datetime


def pages_below(client: S3Client, bucket: str, full_prefix: str, max_pages: int) -> Iterator[Sequence[ListedObject]]:
    """Every page of the objects below a prefix, by their full keys; each page is checked before it is yielded.

    Raises ``Unavailable`` for a page with a key outside of the prefix or one that was listed before, and for more
    than ``max_pages`` pages.
    """
    request: Any = {"Bucket": bucket, "Prefix": full_prefix}
    page_before: set[str] = set()
    first_keys: set[int] = set()  # of every page, hashed: keys may be long, and pages many
    for _ in range(max_pages):
        with map_errors("ListObjectsV2", Deadline(PAGE_SECONDS)):
            answer = client.list_objects_v2(**request)
            page = [
                ListedObject(entry["Key"], entry["Size"], entry["LastModified"]) for entry in answer.get("Contents", [])
            ]
        names = [entry.key for entry in page]
        if not all(name.startswith(full_prefix) for name in names):
            raise _refused("names a key that does not lie below the prefix")
        if any(name in page_before or hash(name) in first_keys for name in names):
            raise _refused("lists keys again")
        if page:
            page_before = set(names)
            first_keys.add(hash(names[0]))
            yield page
        if not answer.get("IsTruncated"):
            return
        token = answer.get("NextContinuationToken")
        if not token or token == request.get("ContinuationToken"):
            raise _refused("says that there is more, without a token for it")
        request["ContinuationToken"] = token
    raise _refused("has too many pages")


def is_listed(client: S3Client, bucket: str, full_key: str) -> bool:
    """Whether a listing shows the object. Raises the client's own error where there is no bucket."""
    page = client.list_objects_v2(Bucket=bucket, Prefix=full_key, MaxKeys=1)
    return any(entry["Key"] == full_key for entry in page.get("Contents", []))


def delete_batch(client: S3Client, bucket: str, full_keys: Sequence[str]) -> Sequence[str]:
    """Delete objects by one request; returns those that are left: all where the store refuses batches."""
    batch: Any = {"Objects": [{"Key": key} for key in full_keys], "Quiet": True}
    with suppress(Unavailable), map_errors("DeleteObjects", Deadline(PAGE_SECONDS)):
        answer = client.delete_objects(Bucket=bucket, Delete=batch)
        left = {error["Key"] for error in answer.get("Errors", [])}
        # Some stores confirm other keys than those of the request: only those of the request count as deleted.
        return [key for key in full_keys if key in left] if left.issubset(full_keys) else full_keys
    return full_keys


def _refused(reason: str) -> Unavailable:
    log.warning("object store: the answer to ListObjectsV2 %s", reason)
    return StoreUnavailable(UNSUPPORTED)
