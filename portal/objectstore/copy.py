"""A copy inside the store, by one request or, for what is too large for one, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from portal.network.deadlines import Deadline
from portal.objectstore.location import ObjectFacts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

ONE_REQUEST = 5 * 1024**3  # bytes: S3's limit for one CopyObject
PART = 1024**3  # bytes: times 10,000 parts, more than S3's largest object
COPY_TIMEOUT = 600  # seconds: many stores say nothing until a copy of 5 GB is done
SLOWEST_COPY = 1024**2  # bytes a second, inside a store


def time_for(facts: ObjectFacts) -> Deadline:
    """How long the copy of an object may take in all."""
    return Deadline(COPY_TIMEOUT + facts.size / SLOWEST_COPY)


def copy(
    client: S3Client,
    source: dict[str, str],
    target: dict[str, str],
    *,
    facts: ObjectFacts,
    content_type: str | None,
    part_size: int | None,
    extra: dict[str, str],
) -> None:
    """Copy ``source`` to ``target`` (Bucket and Key) while it still has the ETag of ``facts``, which were just seen.

    ``content_type`` replaces the type; with ``part_size`` everything larger goes in such parts; ``extra`` says how the
    store encrypts the copy. Raises the client's own errors and leaves no unfinished upload behind.
    """
    origin: Any = {"CopySource": source, "CopySourceIfMatch": f'"{facts.etag}"'}
    where: Any = target
    made: Any = extra
    if facts.size <= (part_size or ONE_REQUEST):
        retype: Any = {"MetadataDirective": "REPLACE", "ContentType": content_type} if content_type else {}
        client.copy_object(**where, **origin, **retype, **made)
        return
    made = {"ContentType": content_type or facts.content_type or "application/octet-stream", **made}
    with _parts_upload(client, where, made) as upload:
        parts: list[CompletedPartTypeDef] = []
        for number, span in enumerate(_spans(facts.size, part_size or PART), start=1):
            answer = client.upload_part_copy(
                **where, **origin, UploadId=upload, PartNumber=number, CopySourceRange=span
            )
            parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})


def _spans(size: int, part_size: int) -> Iterator[str]:
    for first in range(0, size, part_size):
        yield f"bytes={first}-{min(first + part_size, size) - 1}"


@contextmanager
def _parts_upload(client: S3Client, where: Any, made: Any) -> Iterator[str]:
    upload = client.create_multipart_upload(**where, **made)["UploadId"]
    try:
        yield upload
    except BaseException:
        with suppress(Exception):  # the first error is the one to tell; the bucket's abort rule takes what is left
            client.abort_multipart_upload(**where, UploadId=upload)
        raise
