"""One object from one bucket into another, and the proof that it arrived whole.

Inside one store the store copies; else the bytes stream through a spool of one part, so memory and disk stay the same
whatever the size. What is larger than a part goes in parts, and whoever comes after a killed worker sends the rest.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from portal.errors import Conflict, NotFound
from portal.migration.rate_limit import RateLimit
from portal.objectstore.bucket import Bucket, ObjectFacts, ObjectStream
from portal.objectstore.multipart import newest_parts
from portal.texts import Text

CHUNK = 1024 * 1024
PART = 64 * 1024**2  # bytes, the same for all parts (R2 requires it); times S3's 10,000 parts: 625 GB


class UnfinishedUploads(Protocol):
    """Where the unfinished upload of a large object is remembered."""

    def find(self, key: str) -> str | None:
        """The id of the upload that was begun for ``key``."""

    def keep(self, key: str, upload_id: str | None) -> None:
        """Remember it; None: forget it."""


@dataclass(frozen=True)
class Route:
    """From where to where, how fast, and where unfinished uploads are kept."""

    source: Bucket
    target: Bucket
    limit: RateLimit
    unfinished: UnfinishedUploads


def copy(route: Route, key: str, *, sha256: str | None = None, cache_control: str | None = None) -> None:
    """Bring ``key`` into the target bucket under the same name, whole, unless it is there already.

    ``sha256`` (hex) is what it was verified with; None: what the source has now. Raises ``NotFound`` when the source
    has no such object, ``Conflict("changed")`` when it is another one by now or what arrived is, ``Stopped``, and
    ``Unavailable``.
    """
    facts = route.source.head(key)
    if facts is None:
        raise NotFound(Text("The file is missing in the storage that it should be moved from."))
    wanted = sha256 or _sha256(route, route.source, key)
    there = route.target.head(key)
    if there is not None and there.size == facts.size and _sha256(route, route.target, key) == wanted:
        return
    inside = route.target.copy_from(route.source, key, key, facts)
    if not inside:
        _send(route, key, facts, cache_control)
    arrived = _sha256(route, route.target, key, paced=inside)  # each byte counts once against the limit
    if arrived == wanted:
        return
    if there is None:  # what lay there before is not ours to remove: both may be one place
        route.target.delete(key)
    if _sha256(route, route.source, key) != wanted:
        raise Conflict(
            Text("The file was replaced in its storage after it was checked. It was left there."), code="changed"
        )
    raise Conflict(
        Text("The copy differs from the original. The file was left where it was. Try again."), code="changed"
    )


def _send(route: Route, key: str, facts: ObjectFacts, cache_control: str | None) -> None:
    content_type = facts.content_type or "application/octet-stream"
    if facts.size > PART:
        _send_parts(route, key, facts, content_type)
        return
    with route.source.get(key) as stream, tempfile.TemporaryFile() as spool:
        size = _fill(spool, stream, PART, route.limit)
        route.target.put(key, spool, content_type=content_type, size=size, cache_control=cache_control)


def _send_parts(route: Route, key: str, facts: ObjectFacts, content_type: str) -> None:
    parts = route.target.multipart(key)
    upload_id = route.unfinished.find(key)
    there = parts.list_parts(upload_id) if upload_id else None
    if upload_id is None or there is None:
        upload_id, there = parts.create(content_type), []
        route.unfinished.keep(key, upload_id)
    whole = newest_parts(part for part in there if part.size == PART)
    sent = {number: part.etag for number, part in whole.items()}
    first = next(number for number in range(1, len(sent) + 2) if number not in sent)
    with route.source.get(key, (first - 1) * PART) as stream:
        for number in range(first, -(-facts.size // PART) + 1):
            with tempfile.TemporaryFile() as spool:
                size = _fill(spool, stream, PART, route.limit)
                sent[number] = parts.upload_part(upload_id, number, spool, size)
    parts.complete(upload_id, sent)
    route.unfinished.keep(key, None)


def _fill(spool: BinaryIO, stream: ObjectStream, most: int, limit: RateLimit) -> int:
    """Up to ``most`` bytes of the stream into the spool, which then stands at its beginning; how many there were."""
    size = 0
    while size < most and (chunk := stream.read(min(CHUNK, most - size))):
        limit.take(len(chunk))
        spool.write(chunk)
        size += len(chunk)
    spool.seek(0)
    return size


def _sha256(route: Route, bucket: Bucket, key: str, *, paced: bool = False) -> str | None:
    """What the object holds now, read to its end; None when there is none. A store's own word is not asked."""
    digest = hashlib.sha256()
    try:
        with bucket.get(key) as stream:
            while chunk := stream.read(CHUNK):
                route.limit.take(len(chunk) if paced else 0)
                digest.update(chunk)
    except NotFound:
        return None
    return digest.hexdigest()
