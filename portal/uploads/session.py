"""Upload sessions: finding one, what became of it, and ending one with its reservation."""

from __future__ import annotations

from uuid import UUID

from flask_babel import gettext
from sqlalchemy import select

from portal import audit, database, tasks
from portal.assets import daily_counts
from portal.assets.models import Asset
from portal.database import compare_and_set, db, transaction
from portal.errors import Conflict, Invalid, NotFound
from portal.quotas import service as quotas
from portal.storage.models import StorageProfile
from portal.tenancy.service import Member
from portal.texts import Text
from portal.uploads.models import OPEN, Upload, UploadState
from portal.uploads.staging import schedule_clear


def find(member: Member, upload_id: UUID) -> Upload:
    """One of this person's own sessions in this workspace: to be read, not changed. Raises ``NotFound``."""
    return find_with_profile(member, upload_id)[0]


def find_with_profile(member: Member, upload_id: UUID) -> tuple[Upload, StorageProfile]:
    """``find``, with the profile whose bucket its bytes go to."""
    return read(member.tenant_id, member.workspace, upload_id, member.user_id)


def read(tenant_id: UUID, workspace_id: UUID, upload_id: UUID, user_id: UUID) -> tuple[Upload, StorageProfile]:
    """A person's session as it is in the database now, with its profile. Raises ``NotFound``."""
    database.enter(tenant_id)
    statement = (
        select(Upload, StorageProfile)
        .join(StorageProfile, StorageProfile.id == Upload.profile_id)
        .where(Upload.workspace_id == workspace_id, Upload.id == upload_id, Upload.user_id == user_id)
        # After a lost race it is read again, and the identity map would give the row as it was before.
        .execution_options(populate_existing=True)
    )
    row = db.session.execute(statement).one_or_none()
    if row is None:
        raise NotFound(gettext("There is no such upload."))
    upload, profile = row
    return upload, profile


def asset_or_refusal(upload: Upload) -> Asset:
    """The asset of an ended session. Raises why there is none."""
    if upload.asset_id is not None:
        asset: Asset | None = db.session.scalar(
            select(Asset).where(Asset.workspace_id == upload.workspace_id, Asset.id == upload.asset_id)
        )
        if asset is None:
            raise NotFound(gettext("The file of this upload was deleted permanently."))
        return asset
    if upload.state is UploadState.EXPIRED:
        raise Conflict(gettext("This upload was not finished in time. Begin a new one."), code="upload_expired")
    if upload.state is UploadState.FAILED:
        raise Invalid(upload.reason_detail or Text("The upload failed."), code=upload.reason_code)
    raise Conflict(gettext("This upload was cancelled. Begin a new one."))


def refuse(upload: Upload, code: str, detail: Text, actor_id: UUID | None) -> bool:
    """End a session for good: its bytes are removed, its reservation is released, the reason stays.

    False when it was over, or committed, before.
    """
    return end(upload, UploadState.FAILED, code, detail, actor_id)


def end(upload: Upload, to: UploadState, code: str, detail: Text, actor_id: UUID | None) -> bool:
    """Close an open session and release its reservation, once. Returns whether this call did it."""
    condition = [Upload.id == upload.id, Upload.state.in_(OPEN)]
    if to is UploadState.EXPIRED:
        condition.append(Upload.expires_at < database.now())  # signing a part may have extended it just now
    with transaction(upload.tenant_id):
        closed = compare_and_set(
            Upload,
            condition,
            to,
            reason_code=code,
            reason_detail=detail,
            reserved_bytes=0,
        )
        if not closed:
            return False
        audit.record(
            upload.tenant_id, actor_id, f"upload.{to.value}", upload.id, workspace_id=upload.workspace_id, reason=code
        )
        daily_counts.count(upload.tenant_id, "upload", to.value, upload.size_bytes)
        if to is UploadState.FAILED:
            daily_counts.count(upload.tenant_id, "upload", f"failed:{code}")
        tasks.cancel(upload.id, "expire")
        schedule_clear(upload, at_once=True)
        # Last, because every begin and commit of the workspace waits for its counters, locked until our commit.
        quotas.release(upload.tenant_id, upload.workspace_id, upload.id, upload.reserved_bytes)
    return True
