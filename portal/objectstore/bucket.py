"""The bucket port: what the portal does with objects of one bucket. Keys are without the profile's prefix.

Methods that use the network refuse to do so inside a transaction that has written. They raise ``NotFound`` (no such
object), ``Conflict("changed")``, and ``Unavailable("storage_unavailable")`` for everything else, a missing bucket and a
refused key included; the store's own code and status are in the log only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

from portal.errors import Conflict, NotFound, Unavailable
from portal.network.deadlines import MinimumThroughput
from portal.objectstore import copy, keys
from portal.objectstore.client import connect
from portal.objectstore.concurrency_limit import ConcurrencyLimit
from portal.objectstore.cors import merged
from portal.objectstore.errors import changed, map_errors, none_if_missing
from portal.objectstore.listing import (
    MAX_PAGES,
    MAX_PAGES_SMALL,
    ListedObject,
    delete_batch,
    is_listed,
    pages_below,
)
from portal.objectstore.location import Location, ObjectFacts
from portal.objectstore.multipart import MultipartUploads, list_uploads
from portal.objectstore.presign import Presigner, SignedRequest
from portal.texts import Text

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Bucket", "Location", "ObjectFacts", "ObjectStream", "SignedRequest", "bucket_at"]

READ_TIMEOUT = 60  # seconds without a byte; what bounds a whole request is in ``deadlines``
DELETABLE = re.compile(r"(workspaces|\.stowage)/[^/]+/")  # a prefix that may be emptied names an owner at least
SKIP_BLOCK = 1024**2  # bytes


class ObjectStream:
    """The content of one object, to be read once. ``size`` in bytes, as the store announced it.

    A connection that breaks off or ends early is ``Unavailable``.
    """

    def __init__(self, body: Any, size: int, limit: MinimumThroughput) -> None:
        self._body, self.size, self._limit = body, size, limit

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes (all that is left, when negative); empty at the end."""
        with map_errors("GetObject", self._limit):
            return bytes(self._body.read(None if size < 0 else size))

    def skip(self, count: int) -> None:
        """Read ``count`` bytes and drop them; fewer when the content ends before."""
        self.size -= count
        while count > 0 and (block := self.read(min(count, SKIP_BLOCK))):
            count -= len(block)


class Bucket(Presigner):
    """One bucket: the ``presign_…`` methods of ``Presigner`` for browsers, and the portal's own access to it.

    Safe to share between threads; ``bucket_at`` keeps one for each location.
    """

    def head(self, key: str) -> ObjectFacts | None:
        """What the store reports of an object, or None when there is none."""
        target = self._object(key)
        with self._slot(), map_errors("HeadObject"):
            answer = none_if_missing(self._client.head_object, or_forbidden=True, ChecksumMode="ENABLED", **target)
            # HEAD says too little: a missing bucket is a 404, too, and a missing key a 403 where the access key may
            # list nothing or a policy names a prefix. A listing raises the former, and shows the latter.
            if answer is None and is_listed(self._client, target["Bucket"], target["Key"]):
                answer = self._client.head_object(ChecksumMode="ENABLED", **target)
            return None if answer is None else ObjectFacts.of(answer)

    @contextmanager
    def get(self, key: str, start: int = 0) -> Iterator[ObjectStream]:
        """The content of an object as a stream, from byte ``start`` on, which must exist.

        Raises ``NotFound``; ``Unavailable`` also in the middle of reading.
        """
        options: Any = {"Range": f"bytes={start}-"} if start else {}
        limit = MinimumThroughput()
        with map_errors("GetObject", limit):
            answer = self._client.get_object(**self._object(key), **options)
            size = answer["ContentLength"]
        try:
            stream = ObjectStream(answer["Body"], size, limit)
            if start and not answer.get("ContentRange", "").startswith(f"bytes {start}-"):
                stream.skip(start)  # some stores ignore Range and send everything
            yield stream
        finally:
            answer["Body"].close()

    def put(
        self,
        key: str,
        body: bytes | BinaryIO,
        *,
        content_type: str,
        size: int | None = None,
        cache_control: str | None = None,
    ) -> None:
        """Store ``body``, at most 5 GB; a file is sent from its current position, and must be seekable.

        ``size`` in bytes; None: up to the end of ``body``.
        """
        options: Any = dict(self.location.encryption_parameters)
        if size is not None:
            options["ContentLength"] = size
        if cache_control is not None:
            options["CacheControl"] = cache_control
        with map_errors("PutObject", MinimumThroughput()):
            self._client.put_object(**self._object(key), Body=body, ContentType=content_type, **options)

    def copy(
        self,
        source_key: str,
        target_key: str,
        *,
        if_etag: str,
        content_type: str | None = None,
        part_size: int | None = None,
    ) -> ObjectFacts:
        """Copy, inside the store, the object that was verified as ``if_etag``, and prove that nothing else was copied.

        ``content_type`` replaces the type. Above 5 GB (or above ``part_size`` bytes) the copy is made in parts.
        Returns the facts of the copy. Raises ``NotFound`` when there is no source, ``Conflict("changed")`` when it is,
        or may be, another object by now; then no copy is left.
        """
        before = self._verified(source_key, if_etag)
        self._copy_object(source_key, target_key, before, content_type, part_size)
        after = self.head(target_key)
        if after is not None and (after.size, after.etag) == (before.size, before.etag):
            return after
        # A copy in parts has an ETag of its own, and so has every copy in some stores; some stores ignore if-match.
        # Then the proof is that the source is the same before and after. (Whatever was copied: only content that
        # intake has read at the target is ever served.)
        try:
            if after is None or after.size != before.size or self._verified(source_key, if_etag) != before:
                raise changed()
        except (Conflict, NotFound):
            self.delete(target_key)
            raise
        return after

    def set_content_type(self, key: str, content_type: str) -> None:
        """Change an object's type, by a copy onto itself. Only for keys that nobody else can write.

        Raises ``NotFound``, and ``Conflict("changed")`` when the size is another afterwards: with keys of a key service
        (SSE-KMS) each copy gets a new ETag, and no source is left to compare with.
        """
        before = self._existing(key)
        self._copy_object(key, key, before, content_type)
        if self._existing(key).size != before.size:
            raise changed()

    def copy_from(self, source: Bucket, source_key: str, key: str, facts: ObjectFacts) -> bool:
        """Let the store copy an object, last seen as ``facts``, from another of its buckets; returns whether it did.

        False where the buckets belong to different stores, or the store refuses it to this bucket's access key.
        """
        if (source.location.endpoint, source.location.region) != (self.location.endpoint, self.location.region):
            return False
        with suppress(NotFound, Unavailable), map_errors("CopyObject", copy.deadline_for(facts)):
            copy.copy_object(
                self._copy_client,
                source._object(source_key),
                self._object(key),
                facts=facts,
                content_type=None,
                part_size=None,
                encryption=self.location.encryption_parameters,
            )
            return True
        return False

    def delete(self, key: str) -> None:
        """Delete one object; a missing one is a success."""
        with suppress(NotFound), map_errors("DeleteObject"):
            self._client.delete_object(**self._object(key))

    def delete_prefix(self, prefix: str) -> int:
        """Delete every object below ``prefix``, which must name one workspace or probe; returns how many.

        Nothing outside of the prefix is deleted, whatever the store lists (see ``listing``).
        """
        if not DELETABLE.match(prefix):
            raise ValueError(f"refusing to delete everything below {prefix!r}")
        count = 0
        for page in self._pages(prefix):
            for full_key in delete_batch(self._client, self.location.bucket, [entry.key for entry in page]):
                self.delete(self.location.without_prefix(full_key))  # one by one, each with its own error
            count += len(page)
        return count

    def list(self, prefix: str) -> Iterator[ListedObject]:
        """Every object below ``prefix``, in the store's own order."""
        for page in self._pages(prefix):
            for entry in page:
                yield entry._replace(key=self.location.without_prefix(entry.key))

    def multipart(self, key: str) -> MultipartUploads:
        """The multipart uploads of one object."""
        return MultipartUploads(self._client, self, key, self._slot)

    def list_uploads(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """(key, begun at) of every multipart upload below ``prefix`` that was neither completed nor aborted."""
        full_prefix = self.location.full_key(prefix)
        for upload in list_uploads(self._client, self.location.bucket, full_prefix):
            if upload["Key"].startswith(full_prefix):  # some stores list every upload of the bucket
                yield self.location.without_prefix(upload["Key"]), upload["Initiated"]

    def ensure_exists(self, origins: Sequence[str]) -> bool:
        """Create the bucket when it is missing, and let pages of ``origins`` upload to it; other CORS rules stay.

        Returns False where the store takes no CORS rules, or not from this access key: then its operator has to
        allow the pages in its own configuration.
        """
        bucket = self.location.bucket
        with map_errors("CreateBucket"):
            if none_if_missing(self._client.head_bucket, Bucket=bucket) is None:
                self._create()
        with suppress(Unavailable, NotFound, Conflict), map_errors("PutBucketCors"):
            present = none_if_missing(self._client.get_bucket_cors, Bucket=bucket) or {}
            rules: Any = merged(present.get("CORSRules", []), origins)
            if rules is not None:
                self._client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
            return True
        return False

    @cached_property
    def _concurrency(self) -> ConcurrencyLimit:
        return ConcurrencyLimit()

    def _slot(self) -> AbstractContextManager[None]:
        """Around the requests that web requests wait for. The deployment's own store is trusted to answer in time."""
        return self._concurrency.slot() if self.location.egress else nullcontext()

    @cached_property
    def _client(self) -> S3Client:
        return connect(self.location, READ_TIMEOUT)

    @cached_property
    def _copy_client(self) -> S3Client:
        return connect(self.location, copy.READ_TIMEOUT)

    def _object(self, key: str) -> Any:
        return {"Bucket": self.location.bucket, "Key": self.location.full_key(key)}

    def _pages(self, prefix: str) -> Iterator[Sequence[ListedObject]]:
        max_pages = MAX_PAGES_SMALL if keys.is_small_prefix(prefix) else MAX_PAGES
        return pages_below(self._client, self.location.bucket, self.location.full_key(prefix), max_pages)

    def _create(self) -> None:
        bucket, region = self.location.bucket, self.location.region
        if region == "us-east-1":  # the one region that must not be named (CreateBucket in AWS's API reference)
            self._client.create_bucket(Bucket=bucket)
            return
        constraint: Any = {"LocationConstraint": region}
        try:
            self._client.create_bucket(Bucket=bucket, CreateBucketConfiguration=constraint)
        except self._client.exceptions.ClientError as error:
            # Many stores accept any region in a signature, and know no or other places for a bucket.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (400, 501):
                raise
            self._client.create_bucket(Bucket=bucket)

    def _copy_object(
        self,
        source_key: str,
        target_key: str,
        facts: ObjectFacts,
        content_type: str | None,
        part_size: int | None = None,
    ) -> None:
        with map_errors("CopyObject", copy.deadline_for(facts)):
            copy.copy_object(
                self._copy_client,
                self._object(source_key),
                self._object(target_key),
                facts=facts,
                content_type=content_type,
                part_size=part_size,
                encryption=self.location.encryption_parameters,
            )

    def _existing(self, key: str) -> ObjectFacts:
        facts = self.head(key)
        if facts is None:
            raise NotFound(Text("The uploaded file is not in the store."))
        return facts

    def _verified(self, key: str, etag: str) -> ObjectFacts:
        facts = self._existing(key)
        if facts.etag != etag:
            raise changed()
        return facts


@lru_cache(maxsize=512)
def bucket_at(location: Location) -> Bucket:
    """The one ``Bucket`` of this process for a location; its clients are made when they are first needed."""
    return Bucket(location)
