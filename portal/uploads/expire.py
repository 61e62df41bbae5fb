"""Expire: a session that is not committed in time ends, and its reservation is released."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update

from portal import database, tasks
from portal.database import db, transaction
from portal.storage import service as storage
from portal.storage.models import StorageProfile
from portal.texts import Text
from portal.uploads import part_plan
from portal.uploads.models import MULTIPART, OPEN, Upload, UploadState
from portal.uploads.session import end

LONGEST_FIRST_LIFE = timedelta(days=1)  # of a session in parts of which none has arrived


def expire(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> None:
    """End a session that has expired, unless it had the short life before its first part, and a part is there now.

    Uses the network. Raises ``Unavailable``.
    """
    database.enter(tenant_id)
    statement = select(Upload, StorageProfile).join(StorageProfile, StorageProfile.id == Upload.profile_id)
    found = db.session.execute(
        statement.where(Upload.workspace_id == workspace_id, Upload.id == upload_id)
    ).one_or_none()
    if found is None:
        return
    upload, profile = found
    if not _prolong(upload, profile):
        end(upload, UploadState.EXPIRED, "upload_expired", Text("The upload was not finished in time."), None)


def expire_due(tenant_id: UUID, workspace_id: UUID, upload_id: UUID) -> None:
    """``expire`` for the scheduler. A session that was extended meanwhile is due again at its new end."""
    with tasks.acquire("expire", tenant_id, workspace_id, upload_id) as lease:
        if lease is None:
            return
        expire(tenant_id, workspace_id, upload_id)
        here = Upload.workspace_id == workspace_id, Upload.id == upload_id, Upload.state.in_(OPEN)
        with transaction(tenant_id):
            ends_at = db.session.scalar(select(Upload.expires_at).where(*here))
            if ends_at is not None:
                tasks.hand_back(lease, ends_at)


def has_long_life(upload: Upload) -> bool:
    """Whether the session has the life of one of which a part has arrived (or is from before there was another)."""
    return upload.expires_at > upload.created_at + LONGEST_FIRST_LIFE


def _prolong(upload: Upload, profile: StorageProfile) -> bool:
    """Give a session in parts its seven days, when its first, short life is over and a part has arrived; done?

    Parts that were signed all at once arrive without another request to us.
    """
    over = upload.state in OPEN and upload.expires_at < database.now()
    if not over or upload.method != MULTIPART or has_long_life(upload):
        return False
    if not part_plan.arrived_of(upload, storage.bucket_for(profile)):
        return False
    ends_at = upload.expires_at + part_plan.LIFE
    here = Upload.id == upload.id, Upload.state.in_(OPEN), Upload.expires_at == upload.expires_at
    with transaction(upload.tenant_id):
        statement = update(Upload).where(*here).values(expires_at=ends_at).returning(Upload.id)
        return db.session.scalar(statement.execution_options(synchronize_session=False)) is not None
