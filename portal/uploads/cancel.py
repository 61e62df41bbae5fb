"""Cancel: a person aborts an upload of theirs, or an administrator all open ones of a person."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from flask_babel import gettext
from sqlalchemy import func, select

from portal import database
from portal.database import db
from portal.errors import Conflict
from portal.tenancy.service import Member
from portal.texts import Text
from portal.uploads.models import OPEN, Upload, UploadState
from portal.uploads.session import end, find


def cancel(member: Member, upload_id: UUID) -> None:
    """Abort a session that is still open; repeating it, or aborting an ended session, changes nothing.

    Raises ``Conflict`` once it was committed: then it is an asset, which can be deleted.
    """
    upload = find(member, upload_id)
    if upload.state in (UploadState.VERIFYING, UploadState.COMMITTED):
        raise Conflict(gettext("This upload is committed already. Delete the file instead."))
    if end(upload, UploadState.ABORTED, "aborted", Text("The upload was cancelled."), member.user_id):
        return
    # Somebody else was faster: committed, which is a conflict, or ended, which is what was wanted.
    if find(member, upload_id).state in (UploadState.VERIFYING, UploadState.COMMITTED):
        raise Conflict(gettext("This upload is committed already. Delete the file instead."))


def count_open_of(tenant_id: UUID, user_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many open sessions these people have in the entered tenant; who has none is left out."""
    here = Upload.tenant_id == tenant_id, Upload.user_id.in_(user_ids), Upload.state.in_(OPEN)
    counted = select(Upload.user_id, func.count()).where(*here).group_by(Upload.user_id)
    return {row[0]: row[1] for row in db.session.execute(counted)}


def end_all_of(tenant_id: UUID, user_id: UUID, actor_id: UUID | None, *, workspace_id: UUID | None = None) -> int:
    """Abort every open session of a person in a tenant, or in one workspace of it; how many.

    What they reserved is free at once.

    Each in a transaction of its own: the counters of a workspace are not locked for all of them together.
    """
    database.enter(tenant_id)
    here = [Upload.tenant_id == tenant_id, Upload.user_id == user_id, Upload.state.in_(OPEN)]
    if workspace_id is not None:
        here.append(Upload.workspace_id == workspace_id)
    uploads = db.session.scalars(select(Upload).where(*here).execution_options(populate_existing=True)).all()
    db.session.expunge_all()  # each transaction ends what the one before has loaded
    words = Text("An administrator ended this upload.")
    return sum(end(each, UploadState.ABORTED, "aborted", words, actor_id) for each in uploads)
