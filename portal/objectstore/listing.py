"""What a store lists below a prefix, page by page, and its removal; refused where what is listed makes no sense.

A store of a customer's may ignore the prefix, tell the same keys again and again, or never come to an end. That keys
ascend is not asked for: SeaweedFS lists folder by folder, ``a/b`` before ``a-c``, and in a bucket that keeps versions
by the names of its own files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from portal.errors import Unavailable
from portal.network.deadlines import Deadline
from portal.objectstore.client import our_words
from portal.objectstore.errors import CANNOT, unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

BATCH_WITHIN = 120  # seconds for a thousand keys
MOST_PAGES = 30  # below one upload or asset, which has some tens of objects: one page, where all is well
MOST_PAGES_OF_ALL = 100_000  # below a workspace, which may hold a hundred million objects

Listed = tuple[str, int, datetime]  # the full key, size in bytes, last modified


def pages_below(client: S3Client, bucket: str, full_prefix: str, most: int) -> Iterator[Sequence[Listed]]:
    """Every page of what lies below a prefix, each looked at before it is handed out.

    Raises ``Unavailable`` for a page with a key that does not begin with the prefix or was told before, and for more
    than ``most`` pages.
    """
    asked: Any = {"Bucket": bucket, "Prefix": full_prefix}
    before: set[str] = set()  # the keys of the page before …
    first: set[int] = set()  # … and of every page the first, hashed: keys may be long, and pages many
    for _ in range(most):
        with our_words("ListObjectsV2", Deadline(BATCH_WITHIN)):
            answer = client.list_objects_v2(**asked)
            page = [(entry["Key"], entry["Size"], entry["LastModified"]) for entry in answer.get("Contents", [])]
        names = [key for key, *_ in page]
        if not all(key.startswith(full_prefix) for key in names):
            raise _refused("names a key that does not lie below the prefix")
        if any(key in before or hash(key) in first for key in names):
            raise _refused("tells keys again that it has told already")
        if page:
            before = set(names)
            first.add(hash(names[0]))
            yield page
        if not answer.get("IsTruncated"):
            return
        token = answer.get("NextContinuationToken")
        if not token or token == asked.get("ContinuationToken"):
            raise _refused("says that there is more, and not where")
        asked["ContinuationToken"] = token
    raise _refused("goes on and on")


def is_listed(client: S3Client, at: Any) -> bool:
    """Whether a listing shows one object (its Bucket and Key). Raises the client's own error, where there is no bucket.

    HEAD says too little: 404 for a missing bucket, too, and 403 for a missing key where a policy names a prefix.
    """
    page = client.list_objects_v2(Bucket=at["Bucket"], Prefix=at["Key"], MaxKeys=1)
    return any(entry["Key"] == at["Key"] for entry in page.get("Contents", []))


def delete_batch(client: S3Client, bucket: str, full_keys: Sequence[str]) -> Sequence[str]:
    """Remove objects by one request; those that are left, which are all where the store refuses batches."""
    batch: Any = {"Objects": [{"Key": key} for key in full_keys], "Quiet": True}
    with suppress(Unavailable), our_words("DeleteObjects", Deadline(BATCH_WITHIN)):
        answer = client.delete_objects(Bucket=bucket, Delete=batch)
        refused = {error["Key"] for error in answer.get("Errors", [])}
        # What else the answer may name was not asked for: it is neither removed nor believed.
        return [key for key in full_keys if key in refused] if refused.issubset(full_keys) else full_keys
    return full_keys


def _refused(what: str) -> Unavailable:
    log.warning("object store: the answer to ListObjectsV2 %s", what)
    return unavailable(CANNOT)
