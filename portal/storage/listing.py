"""What a store lists below a prefix, page by page; refused where it makes no sense, because what is listed is removed.

A store of a customer's may ignore the prefix.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from portal.errors import Unavailable
from portal.storage.clients import our_words
from portal.storage.patience import Deadline
from portal.storage.refusals import CANNOT, unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

BATCH_WITHIN = 120  # seconds for a thousand keys

Listed = tuple[str, int, datetime]  # the full key, size in bytes, last modified


def pages_below(client: S3Client, bucket: str, full_prefix: str) -> Iterator[Sequence[Listed]]:
    """Every page of what lies below a prefix; ``Unavailable`` for one with a key that does not begin with it."""
    pages = iter(client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=full_prefix))
    while True:
        with our_words("ListObjectsV2", Deadline(BATCH_WITHIN)):
            answer = next(pages, None)
            if answer is None:
                return
            page = [(entry["Key"], entry["Size"], entry["LastModified"]) for entry in answer.get("Contents", [])]
        if not all(key.startswith(full_prefix) for key, *_ in page):
            raise _refused("names a key that does not lie below the prefix")
        if page:
            yield page


def _refused(what: str) -> Unavailable:
    log.warning("object store: the answer to ListObjectsV2 %s", what)
    return unavailable(CANNOT)
