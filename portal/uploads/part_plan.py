"""Uploads in parts (S3 multipart): which uploads use them, how a file is divided, and which parts have arrived.

The size of a part follows from the size of the file, so it is not stored. The store knows which parts it has; the row
has only the store's upload id, from the first signed part on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from flask_babel import gettext as _

from portal import database
from portal.errors import Conflict, Invalid, Unavailable
from portal.objectstore.bucket import Bucket
from portal.objectstore.multipart import Part, newest_parts
from portal.storage.service import UploadMethods
from portal.uploads.models import MULTIPART, Upload
from portal.uploads.staging import staging_key

MB = 1024**2
MIN_SIZE = 100 * MB  # smaller files are sent faster in one request
# S3 takes parts from 5 MB on. A lost part of this size costs little, and 10,000 of them make 156 GB.
USUAL_PART = 16 * MB
LARGEST_PART = 100 * MB
MOST_PARTS = 10_000  # S3: "Amazon S3 multipart upload limits"
LARGEST_FILE = MOST_PARTS * LARGEST_PART
SINGLE_REQUEST_LIMIT = 5 * 1024**3  # bytes; S3: a single PUT or POST takes at most 5 GB
LIFE = timedelta(days=7)  # from the last signed part
MAX_NAMED_PARTS = 1000  # numbers of missing parts in one answer
SIGNED_FOR = timedelta(hours=1)  # a part of 100 MB at 1 Mbit/s takes a quarter of it


def method_for(size: int, methods: UploadMethods, *, offered: bool) -> str:
    """``POST``, ``PUT`` or ``s3_multipart``, by the file's size, what the store does and what the client offers.

    Raises ``Invalid`` (``file_too_large``) with the reason for what can be sent in none of these ways.
    """
    if offered and methods.multipart and size >= MIN_SIZE:
        return MULTIPART
    if size > SINGLE_REQUEST_LIMIT:
        raise _too_large(offered)
    return methods.single or "PUT"


def check_size(size: int, *, offered: bool) -> None:
    """Refuse sizes that no store can take. Raises ``Invalid`` (``file_too_large``)."""
    if size > SINGLE_REQUEST_LIMIT and not offered:
        raise _too_large(offered)
    if size > LARGEST_FILE:
        raise Invalid(
            _(
                "A file can be sent in at most %(count)s parts of %(size)s MB. This one is larger.",
                count=MOST_PARTS,
                size=LARGEST_PART // MB,
            ),
            code="file_too_large",
            field="size_bytes",
            limit_bytes=LARGEST_FILE,
        )


def _too_large(offered: bool) -> Invalid:
    if offered:
        detail = _("A file of this size must be sent in parts. The storage of this workspace does not support that.")
    else:
        detail = _("A file of this size must be sent in parts. This client does not support that.")
    return Invalid(
        detail,
        code="file_too_large",
        field="size_bytes",
        limit_bytes=SINGLE_REQUEST_LIMIT,
    )


def part_size(size: int) -> int:
    """Bytes of every part but the last: 16 MB, or more (in whole MB) where that would need more than 10,000 parts."""
    return max(USUAL_PART, -(-size // (MOST_PARTS * MB)) * MB)


@dataclass(frozen=True)
class Plan:
    """How a file of ``size`` bytes is divided."""

    size: int

    @property
    def count(self) -> int:
        """How many parts there are; their numbers begin at 1."""
        return -(-self.size // part_size(self.size))

    def size_of(self, number: int) -> int:
        """Bytes of one part."""
        whole = part_size(self.size)
        return self.size - whole * (number - 1) if number == self.count else whole

    def arrived(self, there: Iterable[Part]) -> dict[int, Part]:
        """The newest whole part of each number, of those that the store has, oldest first (see ``newest_parts``)."""
        return newest_parts(
            part for part in there if 1 <= part.number <= self.count and part.size == self.size_of(part.number)
        )

    def missing(self, arrived: Mapping[int, Part]) -> list[int]:
        """The numbers of the parts that have to be sent, or sent again."""
        return [number for number in range(1, self.count + 1) if number not in arrived]


def arrived_of(upload: Upload, bucket: Bucket) -> dict[int, Part]:
    """The whole parts that the store has of an open upload, by number. Uses the network. Raises ``Unavailable``."""
    there = bucket.multipart(staging_key(upload)).list_parts(upload.multipart_id) if upload.multipart_id else None
    return Plan(upload.size_bytes).arrived(there or [])


def assemble(upload: Upload, bucket: Bucket) -> None:
    """Complete the multipart upload, unless another commit has done so.

    Uses the network. Raises ``Conflict`` (``upload_missing``) that names the first missing parts; ``Unavailable``.
    """
    key, plan = staging_key(upload), Plan(upload.size_bytes)
    parts = bucket.multipart(key)
    there = parts.list_parts(upload.multipart_id) if upload.multipart_id else None
    if there is None and bucket.head(key) is not None:
        return  # completed by a commit that died before it changed the row, or by one that runs now
    arrived = plan.arrived(there or [])
    if missing := plan.missing(arrived):
        raise Conflict(
            _(
                "%(missing)s of %(count)s parts have not arrived in the storage yet. Send them, then commit again.",
                missing=len(missing),
                count=plan.count,
            ),
            code="upload_missing",
            expires_at=database.zulu(upload.expires_at),
            missing_parts=missing[:MAX_NAMED_PARTS],
        )
    if there is not None and upload.multipart_id is not None:
        try:
            parts.complete(upload.multipart_id, {number: part.etag for number, part in arrived.items()})
        except Unavailable:  # stores answer so, too, for an upload that another commit has just completed
            if bucket.head(key) is None:
                raise
