"""The bucket port: the only place that knows boto3. Keys go in without the profile's prefix.

A method that uses the network refuses to do so inside a command's transaction. Errors: ``NotFound`` (no such object),
``Conflict("changed")``, and ``Unavailable("storage_unavailable")`` for everything else, a missing bucket and a refused
key included; in our words, with the store's code and status in the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from functools import cached_property, lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

from portal.database import assert_no_transaction
from portal.errors import Conflict, NotFound, Unavailable
from portal.network.deadlines import Pace
from portal.objectstore import keys
from portal.objectstore.circuit_breaker import Restraint
from portal.objectstore.client import connect, our_words, unless_missing
from portal.objectstore.copy import COPY_TIMEOUT, copy, time_for
from portal.objectstore.cors import with_ours
from portal.objectstore.errors import changed
from portal.objectstore.head_object import head_object
from portal.objectstore.listing import MOST_PAGES, MOST_PAGES_OF_ALL, Listed, delete_batch, is_listed, pages_below
from portal.objectstore.location import Location, ObjectFacts
from portal.objectstore.multipart import Parts, uploads_below
from portal.objectstore.post_support import CONTENT, accepts_post
from portal.objectstore.presign import Presigner, SignedRequest
from portal.objectstore.stream import ObjectStream

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Bucket", "Location", "ObjectFacts", "ObjectStream", "SignedRequest", "bucket_at"]

READ_TIMEOUT = 60  # seconds without a byte; what bounds the whole is in ``patience``
ERASABLE = re.compile(r"(workspaces|\.stowage)/[^/]+/")  # a prefix that may be erased names an owner at least


class Bucket(Presigner):
    """One bucket: what browsers are given (see ``Presigner``), and what the portal itself does there.

    Safe to share between threads; ``bucket_at`` keeps one for each location.
    """

    def head(self, key: str) -> ObjectFacts | None:
        """What the store says of one object, or None when there is none."""
        with self._turn(), our_words("HeadObject"):
            what: Any = {"client": self._client, "presigner": self._inside, "key": key}
            answer = unless_missing(head_object, hidden=True, **what)
            if answer is None and is_listed(self._client, self._at(key)):
                answer = head_object(**what)
            return None if answer is None else ObjectFacts.of(answer)

    def promote(
        self,
        source_key: str,
        target_key: str,
        *,
        if_etag: str,
        content_type: str | None = None,
        part_size: int | None = None,
    ) -> ObjectFacts:
        """Copy inside the store what was verified as ``if_etag``, and prove that this, and nothing else, was copied.

        ``content_type`` replaces the type. Above 5 GB (or above ``part_size``, when given) the copy goes in parts.
        Raises ``NotFound`` when the source is missing, ``Conflict("changed")`` when it is, or may be, another by now.
        """
        before = self._unchanged(source_key, if_etag)
        self._copy(source_key, target_key, before, content_type, part_size)
        after = self.head(target_key)
        if after is not None and (after.size, after.etag) == (before.size, before.etag):
            return after
        # A copy in parts, and some stores, give the copy an ETag of its own, and some stores ignore if-match. Then the
        # proof is that the source stood still meanwhile. (Whatever was copied, only what intake reads there is served.)
        try:
            if after is None or after.size != before.size or self._unchanged(source_key, if_etag) != before:
                raise changed()
        except (Conflict, NotFound):
            self.delete(target_key)
            raise
        return after

    def retype(self, key: str, content_type: str) -> None:
        """Give an object another type, by a copy onto itself: only where nobody else writes. Its size is the proof.

        With keys of a key service (SSE-KMS) each copy has an ETag of its own, and no source is left to compare with.
        Raises ``NotFound``, and ``Conflict("changed")`` when it is another by now.
        """
        before = self._found(key)
        self._copy(key, key, before, content_type)
        if self._found(key).size != before.size:
            raise changed()

    @contextmanager
    def open(self, key: str, start: int = 0) -> Iterator[ObjectStream]:
        """The bytes of one object as a stream, from byte ``start`` on, which must be one of it.

        Raises ``NotFound``; ``Unavailable`` also in the middle of reading.
        """
        span: Any = {"Range": f"bytes={start}-"} if start else {}
        pace = Pace()
        with our_words("GetObject", pace):
            answer = self._client.get_object(**self._at(key), **span)
            size = answer["ContentLength"]
        try:
            stream = ObjectStream(answer["Body"], size, pace)
            if start and not answer.get("ContentRange", "").startswith(f"bytes {start}-"):
                stream.skip(start)  # some stores send the whole, whatever was asked for
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
        """Store ``body``, at most 5 GB; a file is streamed from where it stands, and must be seekable."""
        given = {"CacheControl": cache_control, "ContentLength": size}
        options: Any = {name: value for name, value in given.items() if value is not None} | self.location.sealing
        with our_words("PutObject", Pace()):
            self._client.put_object(**self._at(key), Body=body, ContentType=content_type, **options)

    def parts(self, key: str) -> Parts:
        """Sending one object in parts, so that a sender that was killed goes on where it was."""
        return Parts(self._client, self._at(key), self.location.sealing, self._turn)

    def unfinished(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """(key, begun at) of every upload in parts below ``prefix`` that was neither completed nor given up."""
        full_prefix = self.location.full_key(prefix)
        for upload in uploads_below(self._client, self._name, full_prefix):
            if upload["Key"].startswith(full_prefix):  # some stores list every upload of the bucket
                yield self.location.own_key(upload["Key"]), upload["Initiated"]

    def copy_from(self, source: Bucket, source_key: str, key: str, facts: ObjectFacts) -> bool:
        """Have the store copy an object of another of its buckets, last seen as ``facts``; did it?

        False where the buckets belong to two stores, or the store does not do it for this one's access key.
        """
        one_store = source.location.endpoint, source.location.region
        if one_store != (self.location.endpoint, self.location.region):
            return False
        with suppress(NotFound, Unavailable), our_words("CopyObject", time_for(facts)):
            where = source._at(source_key), self._at(key)
            sealing = self.location.sealing
            copy(self._patient_client, *where, facts=facts, content_type=None, part_size=None, extra=sealing)
            return True
        return False

    def delete(self, key: str) -> None:
        """Remove one object; a missing one is a success."""
        with suppress(NotFound), our_words("DeleteObject"):
            self._client.delete_object(**self._at(key))

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object below ``prefix``, which must name one workspace or probe; how many there were.

        Nothing is removed that a store names outside of it (see ``listing``).
        """
        if not ERASABLE.match(prefix):
            raise ValueError(f"refusing to delete everything below {prefix!r}")
        count = 0
        for page in self._pages(prefix):
            for full_key in delete_batch(self._client, self._name, [full_key for full_key, *_ in page]):
                self.delete(self.location.own_key(full_key))  # what is left, one by one, with its own reason
            count += len(page)
        return count

    def list(self, prefix: str) -> Iterator[tuple[str, int, datetime]]:
        """(key, size in bytes, last modified) of every object below ``prefix``, in the store's own order."""
        for page in self._pages(prefix):
            for full_key, size, modified in page:
                yield self.location.own_key(full_key), size, modified

    def ensure(self, origins: Sequence[str]) -> bool:
        """Create the bucket when it is missing, and let pages of ``origins`` upload to it; other CORS rules stay.

        False where the store takes no such rules, or not from this key: then only its own configuration can let
        pages in.
        """
        with our_words("CreateBucket"):
            if unless_missing(self._client.head_bucket, Bucket=self._name) is None:
                self._create()
        with suppress(Unavailable, NotFound, Conflict), our_words("PutBucketCors"):
            present = unless_missing(self._client.get_bucket_cors, Bucket=self._name) or {}
            rules: Any = with_ours(present.get("CORSRules", []), origins)
            if rules is not None:
                self._client.put_bucket_cors(Bucket=self._name, CORSConfiguration={"CORSRules": rules})
            return True
        return False

    def accepts_post(self) -> bool:
        """Does the store take form uploads? Asked with a real one, as browsers reach it; the object is removed after.

        Raises ``Unavailable`` when no store answers, neither at the browsers' address nor at the servers'.
        """
        assert_no_transaction()
        key = keys.probe(uuid4(), "post.txt")
        try:
            return accepts_post(self.location, key, lambda key: self.head(key) is not None)
        finally:
            self.delete(key)

    def takes_parts(self) -> bool:
        """Does the store put together what is sent in parts, and list them? Asked with an upload of one small part."""
        key = keys.probe(uuid4(), "parts.txt")
        parts = self.parts(key)
        upload_id = ""
        try:
            upload_id = parts.begin("text/plain")
            parts.send(upload_id, 1, BytesIO(CONTENT), len(CONTENT))
            parts.complete(upload_id, {part.number: part.etag for part in parts.there(upload_id) or []})
            facts = self.head(key)
            return facts is not None and facts.size == len(CONTENT)
        except (NotFound, Conflict, Unavailable):
            if upload_id:
                with suppress(Unavailable, NotFound, Conflict):
                    parts.abort(upload_id)
            return False
        finally:
            self.delete(key)

    @property
    def _name(self) -> str:
        return self.location.bucket

    @cached_property
    def _inside(self) -> Presigner:
        return Presigner(self.location, public=False)

    @cached_property
    def _restraint(self) -> Restraint:
        return Restraint()

    def _turn(self) -> AbstractContextManager[None]:
        """Around what web requests wait for; the deployment's own store is trusted."""
        return self._restraint.turn() if self.location.egress else nullcontext()

    @cached_property
    def _client(self) -> S3Client:
        return connect(self.location, READ_TIMEOUT)

    @cached_property
    def _patient_client(self) -> S3Client:
        return connect(self.location, COPY_TIMEOUT)

    def _at(self, key: str) -> Any:
        return {"Bucket": self._name, "Key": self.location.full_key(key)}

    def _create(self) -> None:
        region = self.location.region
        elsewhere: Any = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region != "us-east-1" else {}
        try:
            self._client.create_bucket(Bucket=self._name, **elsewhere)
        except self._client.exceptions.ClientError as error:
            # Many stores take any region in a signature, and know places of their own names for buckets, or none.
            if not elsewhere or error.response["ResponseMetadata"]["HTTPStatusCode"] not in (400, 501):
                raise
            self._client.create_bucket(Bucket=self._name)

    def _copy(
        self, source: str, target: str, facts: ObjectFacts, content_type: str | None, part_size: int | None = None
    ) -> None:
        given: Any = {"content_type": content_type, "part_size": part_size, "extra": self.location.sealing}
        with our_words("CopyObject", time_for(facts)):
            copy(self._patient_client, self._at(source), self._at(target), facts=facts, **given)

    def _found(self, key: str) -> ObjectFacts:
        facts = self.head(key)
        if facts is None:
            raise NotFound("The uploaded file is not in the store.")
        return facts

    def _unchanged(self, key: str, etag: str) -> ObjectFacts:
        facts = self._found(key)
        if facts.etag != etag:
            raise changed()
        return facts

    def _pages(self, prefix: str) -> Iterator[Sequence[Listed]]:
        most = MOST_PAGES if keys.is_of_one(prefix) else MOST_PAGES_OF_ALL
        return pages_below(self._client, self._name, self.location.full_key(prefix), most)


@lru_cache(maxsize=512)
def bucket_at(location: Location) -> Bucket:
    """The one ``Bucket`` of this process for a location; its clients are made when they are first needed."""
    return Bucket(location)
