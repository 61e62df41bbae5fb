"""One asset: lease it, copy its objects, switch it by a compare-and-set, and write down what became of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from portal import database, tasks
from portal.assets.models import Asset, AssetState, Variant
from portal.assets.preview_jobs import FOREVER
from portal.database import db, transaction
from portal.errors import Conflict, NotFound, Problem
from portal.migration.copy import Route, copy
from portal.migration.models import ItemState, Move, MoveItem, MoveState
from portal.migration.rate_limit import RateLimit, Stopped
from portal.objectstore import keys
from portal.quotas import service as quotas
from portal.storage import service as storage
from portal.storage.models import StorageProfile
from portal.tasks import Lease
from portal.texts import Text

log = logging.getLogger(__name__)

UNEXPECTED = Text("It could not be copied because of an unexpected error. The server's log has the details. Try again.")


@dataclass(frozen=True)
class Work:
    """One worker's part in a move: by which right, from where to where, and how fast."""

    move: Move
    lease: Lease
    source: StorageProfile
    target: StorageProfile
    limit: RateLimit


def bring(work: Work, asset_id: UUID) -> None:
    """Copy and switch one asset, or note why it stays. Nothing to do when it is leased, or has moved.

    Raises ``Stopped``, ``Unavailable``, and ``Invalid`` with ``quota_exceeded``; then the asset is as it was.
    """
    move = work.move
    # Nobody else copies or removes its objects meanwhile, whatever is due for it.
    with tasks.exclusive("move_asset", asset_id, tenant_id=move.tenant_id, workspace_id=move.workspace_id) as lease:
        asset = _settled(move, asset_id)
        if lease is None or asset is None:
            return
        derived = db.session.scalars(select(Variant.object_key).where(Variant.asset_id == asset_id)).all()
        _begin(move, asset)
        route = Route(
            storage.bucket_for(work.source), storage.bucket_for(work.target), work.limit, _StoredUploadId(move, asset)
        )
        try:
            if asset.object_key:
                copy(route, asset.object_key, sha256=asset.sha256)
            for key in derived:
                copy(route, key, cache_control=FOREVER)
        except (NotFound, Conflict) as problem:
            log.warning("asset %s stays where it is: %s", asset_id, problem.code)
            _fail(move, asset, problem.text)
            return
        except (Stopped, Problem, SQLAlchemyError):
            raise  # not this file's fault: all of them wait
        except Exception:
            log.exception("asset %s could not be moved", asset_id)
            _fail(move, asset, UNEXPECTED)
            return
        _switch(work, lease, asset)


def _settled(move: Move, asset_id: UUID) -> Asset | None:
    """The asset, unless it has moved, is gone, or is being checked."""
    database.enter(move.tenant_id)
    here = Asset.workspace_id == move.workspace_id, Asset.id == asset_id, Asset.profile_id == move.source_id
    found = select(Asset).where(*here, Asset.state != AssetState.PROCESSING)
    return db.session.scalar(found.execution_options(populate_existing=True))


def _switch(work: Work, lease: Lease, asset: Asset) -> None:
    """From now on the asset is read at the target. The counters come last, as everywhere."""
    move = work.move
    charged = storage.counted(work.target, asset.size_bytes) if asset.object_key else 0
    with transaction(move.tenant_id) as session:
        mine = Move.id == move.id, Move.state == MoveState.COPYING
        done = {"moved_files": Move.moved_files + 1, "moved_bytes": Move.moved_bytes + asset.size_bytes}
        counted_up = update(Move).where(*mine).values({**done, "waiting_for": None}).returning(Move.id)
        changed = session.execute(counted_up.execution_options(synchronize_session=False)).one_or_none()
        if changed is None or not tasks.still_mine(work.lease):
            raise Stopped
        here, before = (Asset.id == asset.id, Asset.profile_id == move.source_id), asset.charged_bytes
        switched = update(Asset).where(*here).values(profile_id=move.target_id, charged_bytes=charged)
        gone = session.execute(switched.returning(Asset.id)).one_or_none() is None
        if gone or not tasks.still_mine(lease):
            raise Stopped  # the lease went to somebody else: what was copied is looked at again
        _note(move, asset, ItemState.MOVED, None)
        session.flush()
        _charge(asset, before, charged)


def _charge(asset: Asset, before: int, after: int) -> None:
    """What is paid for where: moving out of the counted store frees, moving in takes room."""
    place = asset.tenant_id, asset.workspace_id, asset.id
    if after > before:
        quotas.reserve(*place, after - before)
        quotas.settle(*place, after - before)
    elif after < before:
        quotas.free(*place, before - after)


def _begin(move: Move, asset: Asset) -> None:
    """Before the first byte: whatever becomes of this attempt, clearing knows that something may lie in the target."""
    place = {"tenant_id": move.tenant_id, "workspace_id": move.workspace_id, "size_bytes": asset.size_bytes}
    new = insert(MoveItem).values(move_id=move.id, asset_id=asset.id, state=ItemState.COPYING, **place)
    with transaction(move.tenant_id):
        db.session.execute(new.on_conflict_do_nothing())


def _fail(move: Move, asset: Asset, reason: Text) -> None:
    with transaction(move.tenant_id):
        _note(move, asset, ItemState.FAILED, reason)


def _note(move: Move, asset: Asset, state: ItemState, reason: Text | None) -> None:
    place = {"move_id": move.id, "asset_id": asset.id, "tenant_id": move.tenant_id, "workspace_id": move.workspace_id}
    outcome: dict[str, Any] = {"state": state, "reason": reason}
    if state is ItemState.MOVED:
        outcome |= {"part_key": None, "part_upload_id": None}
    statement = insert(MoveItem).values(**place, **outcome, size_bytes=asset.size_bytes)
    db.session.execute(statement.on_conflict_do_update(index_elements=["move_id", "asset_id"], set_=outcome))


class _StoredUploadId:
    """The unfinished upload of one asset's original, in its item's row."""

    def __init__(self, move: Move, asset: Asset) -> None:
        self._move, self._asset = move, asset
        self._mine = MoveItem.move_id == move.id, MoveItem.asset_id == asset.id

    def find(self, key: str) -> str | None:
        """The id of the upload that was begun for ``key``."""
        database.enter(self._move.tenant_id)
        return db.session.scalar(select(MoveItem.part_upload_id).where(*self._mine, MoveItem.part_key == key))

    def keep(self, key: str, upload_id: str | None) -> None:
        """Remember it; None: forget it."""
        place = {"tenant_id": self._move.tenant_id, "workspace_id": self._move.workspace_id}
        ids = {"move_id": self._move.id, "asset_id": self._asset.id}
        parts = {"state": ItemState.COPYING, "part_key": key if upload_id else None, "part_upload_id": upload_id}
        statement = insert(MoveItem).values(**ids, **place, **parts, size_bytes=self._asset.size_bytes)
        with transaction(self._move.tenant_id):
            db.session.execute(statement.on_conflict_do_update(index_elements=list(ids), set_=parts))


def is_one_place(work: Work) -> bool:
    """Do both profiles lead to the same objects under two addresses? Asked of the stores: no name can tell."""
    source, target = storage.bucket_for(work.source), storage.bucket_for(work.target)
    key = keys.probe(uuid4(), "place.txt")
    try:
        source.put(key, b"Is this seen from the other address, too?", content_type="text/plain")
        return target.head(key) is not None
    finally:
        source.delete(key)


def clear(work: Work, asset_id: UUID) -> None:
    """Remove what the move left of an asset wherever the asset does not lie; of one that is gone, on both sides.

    What is missing where the asset lies stays where it was left: it is the only copy.
    """
    move = work.move
    database.enter(move.tenant_id)
    here = Asset.workspace_id == move.workspace_id, Asset.id == asset_id
    found = db.session.execute(select(Asset.profile_id, Asset.object_key).where(*here)).one_or_none()
    home, key = found or (None, None)
    if not (home and key and _is_lost(work, asset_id, home, key)):
        for profile in (work.source, work.target):
            if profile.id != home:
                bucket = storage.bucket_for(profile)
                for prefix in (keys.asset_prefix, keys.quarantine_prefix):
                    bucket.delete_prefix(prefix(move.workspace_id, asset_id))
    close(work, asset_id)


def close(work: Work, asset_id: UUID) -> None:
    """Nothing is left to do for this asset; what stayed behind stays in the report."""
    move = work.move
    database.enter(move.tenant_id)
    item = db.session.scalars(select(MoveItem).where(MoveItem.move_id == move.id, MoveItem.asset_id == asset_id)).one()
    if item.part_key and item.part_upload_id:
        lives = db.session.scalar(select(Asset.profile_id).where(Asset.id == asset_id))
        for profile in (work.source, work.target):
            if profile.id != lives:
                storage.bucket_for(profile).multipart(item.part_key).abort(item.part_upload_id)
    if item.state is not ItemState.FAILED:
        with transaction(move.tenant_id):
            db.session.execute(delete(MoveItem).where(MoveItem.move_id == move.id, MoveItem.asset_id == asset_id))


def _is_lost(work: Work, asset_id: UUID, home: UUID, key: str) -> bool:
    profile = work.target if home == work.target.id else work.source
    if home != profile.id or storage.bucket_for(profile).head(key) is not None:
        return False
    database.enter(work.move.tenant_id)
    still = Asset.workspace_id == work.move.workspace_id, Asset.id == asset_id, Asset.object_key == key
    if db.session.scalar(select(Asset.id).where(*still)) is None:
        return False  # it was moved or removed after its row was read
    log.warning("asset %s is missing where it lies: what the move has left elsewhere stays there", asset_id)
    return True
