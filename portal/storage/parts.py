"""One object sent in parts (S3's multipart upload), resumable by whoever knows its key and the upload's id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from portal.storage.clients import our_words, unless_missing
from portal.storage.patience import Deadline, Pace

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ALL_WITHIN = 600  # seconds for what concerns every part of an upload
PART = 64 * 1024**2  # bytes; times S3's 10,000 parts: 625 GB


class Parts:
    """All parts but the last are ``PART`` long, as every store takes them (R2 wants them equal)."""

    def __init__(self, client: S3Client, at: Any, extra: Any) -> None:
        """``extra`` says how the store encrypts the object."""
        self._client, self._at, self._extra = client, at, extra

    def begin(self, content_type: str) -> str:
        """Begin; the upload's id, to be kept."""
        with our_words("CreateMultipartUpload"):
            answer = self._client.create_multipart_upload(**self._at, ContentType=content_type, **self._extra)
        return answer["UploadId"]

    def sent(self, upload_id: str) -> dict[int, str] | None:
        """The ETag of each whole part that the store has, by number from 1; None when it knows no such upload."""
        with our_words("ListParts", Deadline(ALL_WITHIN)):
            listed = unless_missing(self._list, UploadId=upload_id)
        return None if listed is None else {part["PartNumber"]: part["ETag"] for part in listed if part["Size"] == PART}

    def send(self, upload_id: str, number: int, body: BinaryIO, size: int) -> str:
        """Send one part, from where ``body`` stands; its ETag."""
        with our_words("UploadPart", Pace()):
            answer = self._client.upload_part(
                **self._at, UploadId=upload_id, PartNumber=number, Body=body, ContentLength=size
            )
        return answer["ETag"]

    def complete(self, upload_id: str, parts: dict[int, str]) -> None:
        """Make one object of them."""
        listed: Any = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(parts.items())]
        with our_words("CompleteMultipartUpload", Deadline(ALL_WITHIN)):
            self._client.complete_multipart_upload(**self._at, UploadId=upload_id, MultipartUpload={"Parts": listed})

    def abort(self, upload_id: str) -> None:
        """Give up; an upload that is gone already is a success."""
        with our_words("AbortMultipartUpload"):
            unless_missing(self._client.abort_multipart_upload, **self._at, UploadId=upload_id)

    def _list(self, **upload: Any) -> list[Any]:
        pages = self._client.get_paginator("list_parts").paginate(**self._at, **upload)
        return [part for page in pages for part in page.get("Parts", [])]
