"""How far a move is, how fast, how long it may take, and what stayed behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, func, or_, select

from portal import database
from portal.assets.models import Asset
from portal.database import db
from portal.migration.models import ItemState, Move, MoveItem, MoveState
from portal.storage import service as storage
from portal.storage.models import StorageProfile
from portal.texts import Text

SHOWN = 100  # files that could not be moved, on the page


@dataclass(frozen=True)
class Progress:
    """How far a move is. ``left`` None: not known yet, or nothing is being copied."""

    move: Move
    source: StorageProfile
    target: StorageProfile
    failed_files: int
    bytes_per_second: float | None
    left: timedelta | None

    @property
    def percent(self) -> int:
        """Of the bytes that lay in the source when it began; of the files, where they hold none."""
        done, total = (
            (self.move.moved_bytes, self.move.total_bytes)
            if self.move.total_bytes
            else (self.move.moved_files, self.move.total_files)
        )
        return min(100, done * 100 // total) if total else 100


@dataclass(frozen=True)
class Stayed:
    """A file that could not be moved, and why."""

    asset_id: UUID
    file_name: str
    size_bytes: int
    reason: Text | None


def progress_of(move: Move) -> Progress:
    """How far it is, how fast, and how long it may take: by what was moved since the work last began."""
    source = storage.find_profile(move.workspace_id, move.source_id)
    target = storage.find_profile(move.workspace_id, move.target_id)
    failed = db.session.scalar(
        select(func.count()).where(MoveItem.move_id == move.id, MoveItem.state == ItemState.FAILED)
    )
    speed = _speed(move, database.now())
    rest = max(0, move.total_bytes - move.moved_bytes)
    left = timedelta(seconds=round(rest / speed)) if speed and move.state is MoveState.COPYING else None
    return Progress(move, source, target, failed or 0, speed, left)


def list_stayed(move: Move) -> list[Stayed]:
    """The first files that could not be moved, with the reason."""
    query = (
        select(MoveItem.asset_id, Asset.file_name, MoveItem.size_bytes, MoveItem.reason)
        .join(Asset, Asset.id == MoveItem.asset_id)
        .where(MoveItem.move_id == move.id, MoveItem.state == ItemState.FAILED)
    )
    rows = db.session.execute(query.order_by(MoveItem.asset_id).limit(SHOWN))
    return [Stayed(row.asset_id, row.file_name, row.size_bytes, row.reason) for row in rows]


def keeps(profile: StorageProfile, asset_id: UUID) -> bool:
    """Whether a move that is not finished has left copies of this asset in that profile, or will bring them there."""
    here = MoveItem.workspace_id == profile.workspace_id, MoveItem.asset_id == asset_id
    ours = Move.id == MoveItem.move_id, or_(Move.source_id == profile.id, Move.target_id == profile.id)
    return bool(db.session.scalar(select(exists().where(*here, *ours, Move.state != MoveState.DONE))))


def _speed(move: Move, at: datetime) -> float | None:
    moved, seconds = move.moved_bytes - move.run_started_bytes, (at - move.run_started_at).total_seconds()
    return moved / seconds if moved > 0 and seconds > 0 and move.state is MoveState.COPYING else None
