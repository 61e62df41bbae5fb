"""For clients that send parts: signatures for the next parts, the parts that have arrived, the unfinished uploads.

The multipart upload is created in the store when its first parts are signed (ADR 11): ``begin`` needs no network, and a
session that never sends a byte leaves nothing in the store.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask_babel import gettext
from sqlalchemy import func, select, update

from portal import database, tasks
from portal.database import db, transaction
from portal.errors import Conflict, Invalid, Unavailable
from portal.objectstore.bucket import Bucket
from portal.objectstore.presign import SignedRequest
from portal.storage import health
from portal.storage import service as storage
from portal.storage.models import StorageProfile
from portal.tenancy import blocks
from portal.tenancy.service import Member
from portal.uploads import begin, session
from portal.uploads.begin import Begun
from portal.uploads.expire import LONGEST_FIRST_LIFE, expire, has_long_life
from portal.uploads.models import MULTIPART, OPEN, Upload, UploadState
from portal.uploads.part_plan import LIFE, SIGNED_FOR, Plan, arrived_of
from portal.uploads.staging import staging_key

MAX_LISTED = 100  # unfinished uploads that are searched for interrupted ones
ATTEMPTS = 5  # in a race for the store's upload id: the loser reads the winner's


@dataclass(frozen=True)
class SignedParts:
    """A request for each part by its number, valid until ``expires_at``."""

    requests: dict[int, SignedRequest]
    expires_at: datetime


def sign_parts(member: Member, upload_id: UUID, numbers: Sequence[int]) -> SignedParts:
    """Sign these parts of an upload. Checks that the store still has it.

    The upload expires seven days from now once a part has arrived; before that after an hour, and a day at most in all.

    Raises ``NotFound``; ``Invalid`` for a number outside of the file; ``Conflict`` when the upload has ended or is
    sent in one request; ``Unavailable``; ``Forbidden`` when an admin has blocked this person's uploads.
    """
    for _ in range(ATTEMPTS):
        upload, profile = find_open(member, upload_id)
        _check(upload, numbers)
        health.require_working(profile)
        bucket = storage.bucket_for(profile)
        try:
            multipart_id = _id_in_store(upload, bucket) or bucket.multipart(staging_key(upload)).create(
                upload.signed_type
            )
        except Unavailable as problem:
            health.report_problem(upload.tenant_id, profile.id, problem)
            raise
        signed_until = database.now() + SIGNED_FOR
        if _save_signing(upload, multipart_id, signed_until, _life(upload, bucket)):
            return SignedParts(_sign(upload, bucket, multipart_id, numbers), signed_until)
        if multipart_id != upload.multipart_id:
            bucket.multipart(staging_key(upload)).abort(multipart_id)
        blocks.require_unblocked(upload.tenant_id, upload.user_id)
    raise Conflict(gettext("This upload is being started several times at once. Try again."))


def find_with_parts(member: Member, upload_id: UUID) -> Begun:
    """A session of this person, with the parts that have arrived. Raises ``NotFound``, ``Unavailable``."""
    upload, profile = session.find_with_profile(member, upload_id)
    if upload.method != MULTIPART or upload.state not in OPEN:
        return Begun(upload, begin.sign(upload, profile), profile.mode)
    try:
        return Begun(upload, None, profile.mode, arrived_of(upload, storage.bucket_for(profile)))
    except Unavailable as problem:
        health.report_problem(upload.tenant_id, profile.id, problem)
        raise


def list_interrupted(member: Member, *, sending: Collection[str]) -> list[Upload]:
    """This person's uploads in parts that were begun and are not in ``sending`` (ids as text).

    Only the browser knows whether it is sending one: the store shows a part when it has arrived.
    """
    found = list_open(member, after=None, limit=MAX_LISTED)
    return [
        upload
        for upload in found
        if upload.method == MULTIPART and upload.state == UploadState.UPLOADING and str(upload.id) not in sending
    ]


def list_open(member: Member, *, after: UUID | None, limit: int) -> Sequence[Upload]:
    """This person's sessions in this workspace that still take bytes, the oldest first."""
    mine = Upload.workspace_id == member.workspace, Upload.user_id == member.user_id
    statement = select(Upload).where(*mine, Upload.state.in_(OPEN), Upload.expires_at > database.now())
    if after is not None:
        statement = statement.where(Upload.id > after)
    return db.session.scalars(statement.order_by(Upload.id).limit(limit)).all()


def _check(upload: Upload, numbers: Sequence[int]) -> None:
    if upload.method != MULTIPART:
        raise Conflict(gettext("This upload is sent in one request, not in parts."))
    count = Plan(upload.size_bytes).count
    if wrong := [number for number in numbers if not 1 <= number <= count]:
        raise Invalid(
            gettext("This file has parts 1 to %(count)s. There is no part %(wrong)s.", count=count, wrong=wrong[0]),
            field="part_numbers",
        )


def _id_in_store(upload: Upload, bucket: Bucket) -> str | None:
    """The store's id of this upload; None where there is none, or a lifecycle rule of the bucket has aborted it.

    Raises ``Conflict`` when the parts were completed already: only the commit is missing.
    """
    if upload.multipart_id is None or bucket.multipart(staging_key(upload)).exists(upload.multipart_id):
        return upload.multipart_id
    if bucket.head(staging_key(upload)) is not None:
        raise Conflict(gettext("All parts have arrived. Commit this upload."))
    return None


def _life(upload: Upload, bucket: Bucket) -> datetime:
    """Until when the session lives after these signatures. A signature alone must not reserve space for a week."""
    if has_long_life(upload) or arrived_of(upload, bucket):
        return database.now() + LIFE
    return min(database.now() + begin.SHORTEST_LIFE, upload.created_at + LONGEST_FIRST_LIFE)


def _save_signing(upload: Upload, multipart_id: str, signed_until: datetime, ends_at: datetime) -> bool:
    """Save the store's id and the new expiry before anything is signed; False when the row has changed meanwhile."""
    statement = (
        update(Upload)
        .where(
            Upload.id == upload.id,
            Upload.state.in_(OPEN),
            # Of two that created a multipart upload at once one changes the row; the other aborts its own.
            Upload.multipart_id.is_not_distinct_from(upload.multipart_id),
            ~blocks.is_blocked(upload.tenant_id, upload.user_id),
        )
        .values(
            state=UploadState.UPLOADING,
            multipart_id=multipart_id,
            expires_at=ends_at,
            form_expires_at=func.greatest(Upload.form_expires_at, signed_until),
        )
        .returning(Upload.id)
        .execution_options(synchronize_session=False)
    )
    with transaction(upload.tenant_id):
        if db.session.scalar(statement) is None:
            return False
        tasks.schedule(
            "expire", upload.id, tenant_id=upload.tenant_id, workspace_id=upload.workspace_id, due_at=ends_at
        )
    return True


def _sign(upload: Upload, bucket: Bucket, multipart_id: str, numbers: Sequence[int]) -> dict[int, SignedRequest]:
    parts, plan = bucket.multipart(staging_key(upload)), Plan(upload.size_bytes)
    seconds = int(SIGNED_FOR.total_seconds())
    return {
        number: parts.sign_part(multipart_id, number, size=plan.size_of(number), expires_in=seconds)
        for number in numbers
    }


def find_open(member: Member, upload_id: UUID) -> tuple[Upload, StorageProfile]:
    """A session that still takes bytes. Raises ``NotFound``; ``Conflict``, ``Invalid`` when it has ended."""
    upload, profile = session.find_with_profile(member, upload_id)
    if upload.state in OPEN and upload.expires_at < database.now():
        expire(upload.tenant_id, upload.workspace_id, upload.id)
        upload, profile = session.find_with_profile(member, upload_id)
    if upload.state not in OPEN:
        session.asset_or_refusal(upload)
        raise Conflict(gettext("This upload is committed already."))
    return upload, profile
