"""Tables of moves: one row a move, one for each asset that it has switched, or could not."""

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


class MoveState(StrEnum):
    """``copied``: everything that could be moved reads from the target; the source's copies stay until
    an owner confirms.

    ``clearing`` removes those copies. Rolling back is the same move the other way round.
    """

    COPYING = "copying"
    PAUSED = "paused"
    COPIED = "copied"
    CLEARING = "clearing"
    DONE = "done"


class ItemState(StrEnum):
    """What became of one asset; ``copying``: something of it may lie in the target already."""

    COPYING = "copying"
    MOVED = "moved"
    FAILED = "failed"


class Move(Identified, Base):
    """A workspace on its way from one profile (``source_id``) to another (``target_id``).

    ``total_*`` is what lay in the source when this direction began, originals only; ``moved_*`` what was switched
    since. ``run_started_*``: when the work last began, and what had been moved by then, for the speed. ``waiting_for``
    says why it can't go on now: a store is unavailable, or the quota is full. ``bytes_per_second`` null: no limit.
    """

    __tablename__ = "moves"
    TRANSITIONS: ClassVar[dict[MoveState, set[MoveState]]] = {
        MoveState.COPYING: {MoveState.PAUSED, MoveState.COPIED, MoveState.COPYING},
        MoveState.PAUSED: {MoveState.COPYING},
        MoveState.COPIED: {MoveState.CLEARING, MoveState.COPYING},
        MoveState.CLEARING: {MoveState.DONE},
    }
    __table_args__ = (
        in_workspace(),
        UniqueConstraint("workspace_id", "id"),
        ForeignKeyConstraint(["workspace_id", "source_id"], ["storage_profiles.workspace_id", "storage_profiles.id"]),
        ForeignKeyConstraint(["workspace_id", "target_id"], ["storage_profiles.workspace_id", "storage_profiles.id"]),
        CheckConstraint("source_id <> target_id", name="two_profiles"),
        CheckConstraint("bytes_per_second > 0", name="speed"),
        Index("uq_moves_unfinished", "workspace_id", unique=True, postgresql_where=text("state <> 'done'")),
    )

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    source_id: Mapped[UUID]
    target_id: Mapped[UUID]
    state: Mapped[MoveState] = mapped_column(choice(MoveState, "state"), default=MoveState.COPYING)
    rolled_back: Mapped[bool] = mapped_column(default=False)
    started_by: Mapped[UUID]
    bytes_per_second: Mapped[int | None] = mapped_column(BigInteger)

    total_files: Mapped[int]
    total_bytes: Mapped[int] = mapped_column(BigInteger)
    moved_files: Mapped[int] = mapped_column(default=0)
    moved_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    run_started_at: Mapped[datetime]
    run_started_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    waiting_for: Mapped[texts.Text | None] = mapped_column(TextColumn)
    copied_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class MoveItem(Base):
    """One asset in a move. The row outlives the asset: it is what remembers the copies in the source.

    ``part_upload_id``: the store's name for the unfinished upload of a large object to ``part_key``.
    """

    __tablename__ = "move_items"
    __table_args__ = (
        in_workspace(),
        ForeignKeyConstraint(["workspace_id", "move_id"], ["moves.workspace_id", "moves.id"], ondelete="CASCADE"),
    )

    move_id: Mapped[UUID] = mapped_column(primary_key=True)
    asset_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    state: Mapped[ItemState] = mapped_column(choice(ItemState, "state"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[texts.Text | None] = mapped_column(TextColumn)
    part_key: Mapped[str | None] = mapped_column(String(1024))
    part_upload_id: Mapped[str | None] = mapped_column(Text)
