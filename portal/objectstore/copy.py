"""A copy inside a store: by one request, or part by part where the object is too large for one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from portal.network.deadlines import Deadline
from portal.objectstore.location import ObjectFacts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

MAX_SINGLE_COPY = 5 * 1024**3  # bytes: S3's limit for one CopyObject
PART = 1024**3  # bytes: times S3's 10,000 parts, more than its largest object
READ_TIMEOUT = 600  # seconds: many stores send nothing until a copy of 5 GB is done
MIN_BYTES_PER_SECOND = 1024**2  # inside a store


def deadline_for(facts: ObjectFacts) -> Deadline:
    """The time that the copy of an object may take in all."""
    return Deadline(READ_TIMEOUT + facts.size / MIN_BYTES_PER_SECOND)


def copy_object(
    client: S3Client,
    source: dict[str, str],
    target: dict[str, str],
    *,
    facts: ObjectFacts,
    content_type: str | None,
    part_size: int | None,
    encryption: dict[str, str],
) -> None:
    """Copy ``source`` to ``target`` (each a Bucket and a Key), if the source still has the ETag of ``facts``.

    ``content_type`` replaces the type (None: it stays). With ``part_size`` (bytes) everything larger is copied in such
    parts. ``encryption``: the parameters for the new object. Raises the client's own errors.
    """
    from_source: Any = {"CopySource": source, "CopySourceIfMatch": f'"{facts.etag}"'}
    to_target: Any = target
    options: Any = dict(encryption)
    if facts.size <= (part_size or MAX_SINGLE_COPY):
        if content_type:
            options |= {"MetadataDirective": "REPLACE", "ContentType": content_type}
        client.copy_object(**to_target, **from_source, **options)
        return
    # A multipart copy takes no metadata from the source: the type has to be sent (S3, CreateMultipartUpload).
    options["ContentType"] = content_type or facts.content_type or "application/octet-stream"
    upload_id = client.create_multipart_upload(**to_target, **options)["UploadId"]
    size = part_size or PART
    try:
        parts: list[CompletedPartTypeDef] = []
        for number, first in enumerate(range(0, facts.size, size), start=1):
            answer = client.upload_part_copy(
                **to_target,
                **from_source,
                UploadId=upload_id,
                PartNumber=number,
                CopySourceRange=f"bytes={first}-{min(first + size, facts.size) - 1}",
            )
            parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        client.complete_multipart_upload(**to_target, UploadId=upload_id, MultipartUpload={"Parts": parts})
    except BaseException:
        # Parts that nobody completes are invisible and cost money. The first error is the one to report: should the
        # store refuse this, too, the bucket's lifecycle rule removes them.
        with suppress(Exception):
            client.abort_multipart_upload(**to_target, UploadId=upload_id)
        raise
