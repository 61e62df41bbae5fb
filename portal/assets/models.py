"""Tables of assets: libraries, folders, assets and their derived variants, with the states an asset can be in."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    case,
    null,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column

from portal import texts
from portal.database import Base, Identified, choice
from portal.tasks import Task
from portal.tenancy.models import in_workspace
from portal.texts import TextColumn


class AssetState(StrEnum):
    """The state of an asset; a purged one has no row."""

    PROCESSING = "processing"
    AVAILABLE = "available"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    DELETED = "deleted"


class PreviewState(StrEnum):
    """Previews have their own state: a failed preview is not a failed file."""

    NONE = "none"
    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class ScanResult(StrEnum):
    """The result of the scan. ``clean`` only after a scan by a checked scanner."""

    PENDING = "pending"
    CLEAN = "clean"
    INFECTED = "infected"
    NOT_SCANNED = "not_scanned"


class Asset(Identified, Base):
    """A fact: bytes that arrived, and what is known of them.

    ``object_key`` is where the verified bytes lie (null until the decision, and after they were removed).
    ``charged_bytes`` is what the quota counts for it; its pending work is in ``portal.tasks``.
    ``quarantine_order`` is what an admin (``ordered_by``) has ordered for a quarantined file, ``proposed_by`` who wants
    it released; ``released_by`` stays as the mark of a file that was quarantined and released.
    """

    __tablename__ = "assets"
    if TYPE_CHECKING:  # mapped below, where the columns can be named
        waiting_for: Mapped[str | None]
    TRANSITIONS: ClassVar[dict[AssetState, set[AssetState]]] = {
        AssetState.PROCESSING: {AssetState.AVAILABLE, AssetState.QUARANTINED, AssetState.FAILED},
        AssetState.AVAILABLE: {AssetState.DELETED, AssetState.QUARANTINED},
        AssetState.QUARANTINED: {AssetState.AVAILABLE},
        AssetState.FAILED: {AssetState.DELETED},
        AssetState.DELETED: {AssetState.AVAILABLE, AssetState.FAILED, AssetState.QUARANTINED},
    }
    __table_args__ = (
        in_workspace(),
        UniqueConstraint("workspace_id", "id"),
        ForeignKeyConstraint(["workspace_id", "library_id"], ["libraries.workspace_id", "libraries.id"]),
        ForeignKeyConstraint(["workspace_id", "folder_id"], ["folders.workspace_id", "folders.id"]),
        ForeignKeyConstraint(["workspace_id", "profile_id"], ["storage_profiles.workspace_id", "storage_profiles.id"]),
        CheckConstraint("charged_bytes >= 0", name="charged"),
        Index("ix_assets_listing", "workspace_id", "id", postgresql_where=text("state <> 'deleted'")),
        Index("ix_assets_trash", "workspace_id", "id", postgresql_where=text("state = 'deleted'")),
        Index("ix_assets_kind", "workspace_id", "kind", "id", postgresql_where=text("state <> 'deleted'")),
        Index("ix_assets_library", "library_id", "id", postgresql_where=text("state <> 'deleted'")),
        Index("ix_assets_top", "library_id", "id", postgresql_where=text("state <> 'deleted' AND folder_id IS NULL")),
        Index(
            "ix_assets_folder",
            "folder_id",
            "id",
            postgresql_where=text("state <> 'deleted' AND folder_id IS NOT NULL"),
        ),
        Index("ix_assets_state", "workspace_id", "state", "id"),
        Index("ix_assets_sha256", "workspace_id", "sha256"),
        Index("ix_assets_profile", "workspace_id", "profile_id", "id"),
        Index(
            "ix_assets_name",
            "workspace_id",
            "search_name",
            postgresql_using="gin",
            postgresql_ops={"search_name": "gin_trgm_ops"},
        ),
        Index("ix_assets_quarantined", "tenant_id", "id", postgresql_where=text("state = 'quarantined'")),
        Index(
            "ix_assets_unscanned",
            "scan_reason",
            postgresql_where=text("state = 'available' AND scan_result = 'not_scanned'"),
        ),
        Index("ix_assets_same_hash", "tenant_id", "sha256"),
        Index("ix_assets_created_by", "tenant_id", "created_by", "id"),
        Index("ix_assets_previews_failed", "id", postgresql_where=text("state = 'available' AND previews = 'failed'")),
    )

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    library_id: Mapped[UUID]
    folder_id: Mapped[UUID | None]
    profile_id: Mapped[UUID]
    upload_id: Mapped[UUID] = mapped_column(unique=True)
    created_by: Mapped[UUID]

    file_name: Mapped[str] = mapped_column(String(255))
    # What a search compares with; Postgres fills it, and nothing reads it.
    search_name: Mapped[str] = mapped_column(Text, Computed("search_text(file_name)", persisted=True), deferred=True)
    kind: Mapped[str] = mapped_column(String(20))
    mime_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    staged_etag: Mapped[str] = mapped_column(String(100))
    object_key: Mapped[str | None] = mapped_column(String(1024))
    charged_bytes: Mapped[int] = mapped_column(BigInteger, default=0)

    state: Mapped[AssetState] = mapped_column(choice(AssetState, "state"), default=AssetState.PROCESSING)
    state_before: Mapped[AssetState | None] = mapped_column(choice(AssetState, "state_before"))
    reason_code: Mapped[str | None] = mapped_column(String(60))
    reason_detail: Mapped[texts.Text | None] = mapped_column(TextColumn)

    scan_result: Mapped[ScanResult] = mapped_column(choice(ScanResult, "scan_result"), default=ScanResult.PENDING)
    scan_signature: Mapped[str | None] = mapped_column(String(300))
    scan_engine: Mapped[str | None] = mapped_column(String(100))
    scan_database: Mapped[str | None] = mapped_column(String(100))
    scan_reason: Mapped[str | None] = mapped_column(String(60))
    scanned_at: Mapped[datetime | None]
    found_type: Mapped[str | None] = mapped_column(String(100))

    previews: Mapped[PreviewState] = mapped_column(choice(PreviewState, "previews"), default=PreviewState.NONE)
    previews_code: Mapped[str | None] = mapped_column(String(60))
    previews_detail: Mapped[texts.Text | None] = mapped_column(TextColumn)
    placeholder: Mapped[str | None] = mapped_column(String(7))
    width: Mapped[int | None]
    height: Mapped[int | None]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)

    quarantine_order: Mapped[str | None] = mapped_column(String(20))
    ordered_by: Mapped[UUID | None]
    proposed_by: Mapped[UUID | None]
    proposed_at: Mapped[datetime | None]
    released_by: Mapped[UUID | None]
    released_at: Mapped[datetime | None]

    last_opened_at: Mapped[datetime | None]
    quarantined_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    deleted_by: Mapped[UUID | None]
    purge_after: Mapped[datetime | None]


_CHECK = select(Task.waiting_for).where(Task.target_id == Asset.id, Task.kind == "take_in").scalar_subquery()
# What the verification of the file waits for, read from its task. Only processing files have such a task, so that lists
# of other files run no subquery.
Asset.waiting_for = column_property(
    case((Asset.state == AssetState.PROCESSING, _CHECK), else_=null()), expire_on_flush=False
)


class Variant(Identified, Base):
    """A derived file: its key carries its content's hash, so it never changes."""

    __tablename__ = "variants"
    __table_args__ = (
        in_workspace(),
        ForeignKeyConstraint(["workspace_id", "asset_id"], ["assets.workspace_id", "assets.id"], ondelete="CASCADE"),
        UniqueConstraint("asset_id", "name"),
    )

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    asset_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(String(20))
    object_key: Mapped[str] = mapped_column(String(1024))
    mime_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int]
    height: Mapped[int]


class Rescan(Identified, Base):
    """One scan of everything again, tenant after tenant, in the order of ids: at most one runs.

    What lies up to ``cursor`` of ``cursor_tenant``, and in the tenants before, was scheduled; ``batch`` files of it at
    ``batch_at`` may not be done.
    """

    __tablename__ = "rescans"
    __table_args__ = (
        Index("uq_rescans_running", "stopped", unique=True, postgresql_where=text("finished_at IS NULL")),
    )

    started_by: Mapped[UUID | None]
    cause: Mapped[str] = mapped_column(String(20))
    database: Mapped[str] = mapped_column(String(100))
    total: Mapped[int] = mapped_column(BigInteger)
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    infected: Mapped[int] = mapped_column(BigInteger, default=0)
    cursor_tenant: Mapped[UUID]
    cursor: Mapped[UUID]
    batch: Mapped[int] = mapped_column(default=0)
    batch_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    stopped: Mapped[bool] = mapped_column(default=False)


class DailyCount(Base):
    """What happened to files of a tenant on one day (UTC): ``kind`` is ``scan`` (by verdict) or ``upload`` (by result).

    Written with the change that it counts, so that no chart ever sums over assets.
    """

    __tablename__ = "daily_counts"
    __table_args__ = (Index("ix_daily_counts_day", "day"),)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    label: Mapped[str] = mapped_column(String(60), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
