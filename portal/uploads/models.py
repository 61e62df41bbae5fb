"""The table of uploads: sessions with their reservation and their expiry."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal import texts
from portal.database import Base, Identified, choice
from portal.tenancy.models import in_workspace
from portal.texts import TextColumn


class UploadState(StrEnum):
    """``created → uploading → verifying → committed``, or an end with a reason."""

    CREATED = "created"
    UPLOADING = "uploading"
    VERIFYING = "verifying"
    COMMITTED = "committed"
    ABORTED = "aborted"
    EXPIRED = "expired"
    FAILED = "failed"


OPEN = (UploadState.CREATED, UploadState.UPLOADING)
MULTIPART = "s3_multipart"  # the method of an upload that is sent in parts; the others are POST and PUT


class Upload(Identified, Base):
    """One session. ``reserved_bytes`` is its part of the quota's reserved bytes; ``form_expires_at`` is when the last
    signed request for its staging key stops working; ``cleared_at`` is set when the staging key was removed after that.
    ``multipart_id`` is the store's name for the parts of one that is sent in parts, null until the first is signed.
    """

    __tablename__ = "uploads"
    TRANSITIONS: ClassVar[dict[UploadState, set[UploadState]]] = {
        UploadState.CREATED: {
            UploadState.UPLOADING,
            UploadState.VERIFYING,
            UploadState.ABORTED,
            UploadState.EXPIRED,
            UploadState.FAILED,
        },
        UploadState.UPLOADING: {
            UploadState.VERIFYING,
            UploadState.ABORTED,
            UploadState.EXPIRED,
            UploadState.FAILED,
        },
        UploadState.VERIFYING: {UploadState.COMMITTED, UploadState.FAILED},
    }
    __table_args__ = (
        in_workspace(),
        UniqueConstraint("workspace_id", "id"),
        UniqueConstraint("workspace_id", "user_id", "idempotency_key"),
        ForeignKeyConstraint(["workspace_id", "library_id"], ["libraries.workspace_id", "libraries.id"]),
        ForeignKeyConstraint(["workspace_id", "folder_id"], ["folders.workspace_id", "folders.id"]),
        ForeignKeyConstraint(["workspace_id", "profile_id"], ["storage_profiles.workspace_id", "storage_profiles.id"]),
        CheckConstraint("size_bytes > 0", name="size"),
        CheckConstraint("reserved_bytes >= 0", name="reserved"),
        Index("ix_uploads_expiry", "expires_at", postgresql_where=text("state IN ('created', 'uploading')")),
        Index("ix_uploads_open", "tenant_id", "user_id", postgresql_where=text("state IN ('created', 'uploading')")),
        Index("ix_uploads_failed", "created_at", postgresql_where=text("state = 'failed'")),
    )

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    profile_id: Mapped[UUID]
    library_id: Mapped[UUID]
    folder_id: Mapped[UUID | None]
    user_id: Mapped[UUID]
    asset_id: Mapped[UUID | None]

    file_name: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(20))
    declared_type: Mapped[str] = mapped_column(String(200))
    signed_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    method: Mapped[str] = mapped_column(String(20))
    reserved_bytes: Mapped[int] = mapped_column(BigInteger)
    multipart_id: Mapped[str | None] = mapped_column(Text)

    state: Mapped[UploadState] = mapped_column(choice(UploadState, "state"), default=UploadState.CREATED)
    reason_code: Mapped[str | None] = mapped_column(String(60))
    reason_detail: Mapped[texts.Text | None] = mapped_column(TextColumn)
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    request_hash: Mapped[str | None] = mapped_column(String(64))
    expires_at: Mapped[datetime]
    form_expires_at: Mapped[datetime]
    cleared_at: Mapped[datetime | None]
