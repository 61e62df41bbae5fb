"""One object sent in parts (S3's multipart upload), resumable by whoever knows its key and the upload's id."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO

from portal.network.deadlines import Deadline, Pace
from portal.objectstore.client import our_words, unless_missing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ALL_WITHIN = 120  # seconds for what concerns every part of an upload: people may be waiting for it
MOST_PAGES = 30  # of a list that a store may go on with for ever: 10,000 parts, some of them twice
LONGEST_ID = 2048  # characters of a store's name for an upload
PART = 64 * 1024**2  # bytes; times S3's 10,000 parts: 625 GB


@dataclass(frozen=True)
class Sent:
    """A part that the store has. ``etag`` as the store wrote it, ``at`` as exact as the store tells: to a second."""

    number: int
    size: int
    etag: str
    at: datetime


def newest(parts: Iterable[Sent]) -> dict[int, Sent]:
    """Of parts, the oldest first, the newest of each number, by number.

    Where two of one moment differ, nobody can tell which came last: that number is left out, and has to be sent again.
    """
    found: dict[int, Sent] = {}
    rivals: set[int] = set()
    for part in parts:
        before = found.get(part.number)
        if before is None or before.at != part.at:
            rivals.discard(part.number)
        elif before.etag != part.etag:
            rivals.add(part.number)
        found[part.number] = part
    return {number: found[number] for number in sorted(found) if number not in rivals}


def uploads_below(client: S3Client, bucket: str, full_prefix: str) -> list[Any]:
    """Every unfinished upload below a prefix, as the store lists it."""
    with our_words("ListMultipartUploads", Deadline(ALL_WITHIN)):
        pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=full_prefix)
        return [each for page in islice(pages, MOST_PAGES) for each in page.get("Uploads", [])]


class Parts:
    """The parts of one object. What the portal sends by itself goes in parts of ``PART`` (R2 wants them equal)."""

    def __init__(self, client: S3Client, at: Any, extra: Any, turn: Callable[[], AbstractContextManager[None]]) -> None:
        """``extra`` says how the store encrypts the object; ``turn`` is waited for before what is short is asked."""
        self._client, self._at, self._extra, self._turn = client, at, extra, turn

    def begin(self, content_type: str) -> str:
        """Begin; the upload's id, to be kept."""
        with self._turn(), our_words("CreateMultipartUpload"):
            answer = self._client.create_multipart_upload(**self._at, ContentType=content_type, **self._extra)
            name = answer["UploadId"]
            if len(name) > LONGEST_ID:
                raise ValueError("the store's name for an upload is longer than any that makes sense")
            return name

    def sent(self, upload_id: str) -> dict[int, str] | None:
        """The ETag of each whole part that the store has, by number from 1; None when it knows no such upload."""
        there = self.there(upload_id)
        return (
            None
            if there is None
            else {part.number: part.etag for part in newest(part for part in there if part.size == PART).values()}
        )

    def there(self, upload_id: str) -> list[Sent] | None:
        """Every part that the store has, the oldest first; None when it knows no such upload.

        Some stores list a part that was sent again twice.
        """
        with self._turn(), our_words("ListParts", Deadline(ALL_WITHIN)):
            listed = unless_missing(self._list, UploadId=upload_id)
            if listed is None:
                return None
            oldest_first = sorted(listed, key=itemgetter("LastModified"))
            return [Sent(part["PartNumber"], part["Size"], part["ETag"], part["LastModified"]) for part in oldest_first]

    def is_known(self, upload_id: str) -> bool:
        """Whether the store still knows this upload."""
        with self._turn(), our_words("ListParts"):
            asked = {**self._at, "UploadId": upload_id, "MaxParts": 1}
            return unless_missing(self._client.list_parts, **asked) is not None

    def send(self, upload_id: str, number: int, body: BinaryIO, size: int) -> str:
        """Send one part, from where ``body`` stands; its ETag."""
        with our_words("UploadPart", Pace()):
            answer = self._client.upload_part(
                **self._at, UploadId=upload_id, PartNumber=number, Body=body, ContentLength=size
            )
            return answer["ETag"]

    def complete(self, upload_id: str, parts: dict[int, str]) -> None:
        """Make one object of them. One that is gone already is left at that: the object tells what became of it."""
        listed: Any = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(parts.items())]
        asked: Any = {**self._at, "UploadId": upload_id, "MultipartUpload": {"Parts": listed}}
        with self._turn(), our_words("CompleteMultipartUpload", Deadline(ALL_WITHIN)):
            unless_missing(self._client.complete_multipart_upload, **asked)

    def abort(self, upload_id: str) -> None:
        """Give up; an upload that is gone already is a success."""
        with our_words("AbortMultipartUpload"):
            unless_missing(self._client.abort_multipart_upload, **self._at, UploadId=upload_id)

    def under_way(self) -> list[str]:
        """Every upload of this object that the store still keeps parts of."""
        found = uploads_below(self._client, self._at["Bucket"], self._at["Key"])
        return [each["UploadId"] for each in found if each["Key"] == self._at["Key"]]

    def _list(self, **upload: Any) -> list[Any]:
        pages = self._client.get_paginator("list_parts").paginate(**self._at, **upload)
        return [part for page in islice(pages, MOST_PAGES) for part in page.get("Parts", [])]
