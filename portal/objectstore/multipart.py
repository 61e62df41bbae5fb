"""S3's multipart upload: one object sent in parts, by whoever knows its key and the upload's id."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO

from portal.network.deadlines import Deadline, MinimumThroughput
from portal.objectstore.errors import map_errors, none_if_missing
from portal.objectstore.presign import Presigner, SignedRequest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ALL_PARTS_SECONDS = 120  # for a request about every part of an upload: a person may be waiting for it
MAX_PAGES = 30  # of 1,000: S3 allows 10,000 parts, which some stores list twice, and a listing may never end
MAX_UPLOAD_ID = 2048  # characters


@dataclass(frozen=True)
class Part:
    """A part that the store has: ``size`` in bytes, ``etag`` as the store wrote it, ``modified`` to the second."""

    number: int
    size: int
    etag: str
    modified: datetime


def newest_parts(parts: Iterable[Part]) -> dict[int, Part]:
    """The newest part of each number, by number; ``parts`` come oldest first.

    Some stores list a part that was sent again twice. Where two of the same second differ, nobody can tell which came
    last: that number is left out and has to be sent again.
    """
    newest: dict[int, Part] = {}
    ambiguous: set[int] = set()
    for part in parts:
        before = newest.get(part.number)
        if before is None or before.modified != part.modified:
            ambiguous.discard(part.number)
        elif before.etag != part.etag:
            ambiguous.add(part.number)
        newest[part.number] = part
    return {number: newest[number] for number in sorted(newest) if number not in ambiguous}


def list_uploads(client: S3Client, bucket: str, full_prefix: str) -> list[Any]:
    """Every unfinished upload below a prefix, as the store lists it: it may name others, too."""
    with map_errors("ListMultipartUploads", Deadline(ALL_PARTS_SECONDS)):
        pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=full_prefix)
        return [upload for page in islice(pages, MAX_PAGES) for upload in page.get("Uploads", [])]


class MultipartUploads:
    """The multipart uploads of one object (``Bucket.multipart``).

    All but ``sign_part`` use the network and raise ``Unavailable``.
    """

    def __init__(
        self,
        client: S3Client,
        presigner: Presigner,
        key: str,
        slot: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """``slot`` is entered around requests that people wait for (see ``concurrency_limit``)."""
        self._client, self._presigner, self._key, self._slot = client, presigner, key, slot
        location = presigner.location
        self._object: Any = {"Bucket": location.bucket, "Key": location.full_key(key)}
        self._encryption: Any = location.encryption_parameters

    def create(self, content_type: str) -> str:
        """Begin an upload; returns its id, which is needed for everything else."""
        with self._slot(), map_errors("CreateMultipartUpload"):
            answer = self._client.create_multipart_upload(**self._object, ContentType=content_type, **self._encryption)
            upload_id = answer["UploadId"]
            if len(upload_id) > MAX_UPLOAD_ID:
                raise ValueError("the upload's id is longer than any that makes sense")
            return upload_id

    def upload_part(self, upload_id: str, number: int, body: BinaryIO, size: int) -> str:
        """Send part ``number`` (from 1): ``size`` bytes from the position of ``body`` (seekable). Returns its ETag."""
        with map_errors("UploadPart", MinimumThroughput()):
            answer = self._client.upload_part(
                **self._object, UploadId=upload_id, PartNumber=number, Body=body, ContentLength=size
            )
            return answer["ETag"]

    def sign_part(self, upload_id: str, number: int, *, size: int, expires_in: int) -> SignedRequest:
        """A request with which a browser sends part ``number`` of exactly ``size`` bytes. No network."""
        return self._presigner.presign_part(self._key, upload_id, number, size=size, expires_in=expires_in)

    def list_parts(self, upload_id: str) -> list[Part] | None:
        """Every part that the store has, oldest first; None when it does not know the upload."""
        with self._slot(), map_errors("ListParts", Deadline(ALL_PARTS_SECONDS)):
            listed = none_if_missing(self._list_parts, UploadId=upload_id)
            if listed is None:
                return None
            oldest_first = sorted(listed, key=itemgetter("LastModified"))
            return [Part(part["PartNumber"], part["Size"], part["ETag"], part["LastModified"]) for part in oldest_first]

    def exists(self, upload_id: str) -> bool:
        """Whether the store still knows this upload."""
        with self._slot(), map_errors("ListParts"):
            first = none_if_missing(self._client.list_parts, **self._object, UploadId=upload_id, MaxParts=1)
            return first is not None

    def complete(self, upload_id: str, etags: dict[int, str]) -> None:
        """Make one object of the parts, given as ETags by number.

        An upload that the store does not know any more is no error: the object shows whether it was completed.
        """
        parts: Any = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(etags.items())]
        with self._slot(), map_errors("CompleteMultipartUpload", Deadline(ALL_PARTS_SECONDS)):
            none_if_missing(
                self._client.complete_multipart_upload,
                **self._object,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
            )

    def abort(self, upload_id: str) -> None:
        """Discard an upload and its parts; one that is gone already is a success."""
        with map_errors("AbortMultipartUpload"):
            none_if_missing(self._client.abort_multipart_upload, **self._object, UploadId=upload_id)

    def list_uploads(self) -> list[str]:
        """The ids of every unfinished upload of this object."""
        uploads = list_uploads(self._client, self._object["Bucket"], self._object["Key"])
        return [upload["UploadId"] for upload in uploads if upload["Key"] == self._object["Key"]]

    def _list_parts(self, **upload: Any) -> list[Any]:
        pages = self._client.get_paginator("list_parts").paginate(**self._object, **upload)
        return [part for page in islice(pages, MAX_PAGES) for part in page.get("Parts", [])]
