"""The worker's side of a move: acquire it, bring over or clear asset after asset, several at a time.

The state in the rows is the whole memory: an asset that still names the source is still to be moved. Killed anywhere,
the next worker goes on. One call works for a minute, so that other jobs get their turn; then it is enqueued again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Flask, current_app
from sqlalchemy import exists, or_, select, update

from portal import audit, database, tasks
from portal.assets.models import Asset, AssetState
from portal.database import compare_and_set, db, transaction
from portal.errors import Invalid, Problem, Unavailable
from portal.migration import asset_move
from portal.migration.asset_move import Work
from portal.migration.models import ItemState, Move, MoveItem, MoveState
from portal.migration.rate_limit import RateLimit, Stopped
from portal.objectstore import errors
from portal.storage import probe_runs
from portal.storage import service as storage
from portal.storage.models import ProfileMode
from portal.tasks import Lease, LeaseLost
from portal.texts import Text
from portal.uploads.models import OPEN, Upload

log = logging.getLogger(__name__)

SLICE_SECONDS = 60
AT_ONCE = 4  # assets: enough to hide a store's latency
BATCH = 50
RENEW_SECONDS = 5  # also how soon a worker hears that the move was paused
AGAIN = timedelta(seconds=15)
NO_ROOM = Text("There is no space left for the next file. Free some space, or ask an administrator for more.")


def run(tenant_id: UUID, workspace_id: UUID, move_id: UUID) -> None:
    """Work on one move for a while. Safe to call at any time, twice, and after a crash at any point."""
    stop = threading.Event()
    with tasks.acquire(
        "move", tenant_id, workspace_id, move_id, renew_seconds=RENEW_SECONDS, on_lost=stop.set
    ) as lease:
        work = _begin(lease, stop) if lease is not None else None
        if lease is None or work is None:
            return
        try:
            ended = _work_through(work, *_steps(work))
        except Stopped:
            log.info("move %s stops here", move_id)
            raise LeaseLost from None
        except (Unavailable, Invalid) as problem:
            _wait(work, problem)
            return
        if not ended:
            with transaction(tenant_id):
                tasks.hand_back(lease, database.now())
        else:
            _complete(work)


def _steps(work: Work) -> tuple[Callable[[Work, UUID], None], Callable[[Move, UUID], Sequence[UUID]]]:
    """What is done with each asset, and which are next. A store that has got another address keeps what it has."""
    if work.move.state is MoveState.COPYING:
        return asset_move.bring, _to_bring
    return asset_move.close if asset_move.is_one_place(work) else asset_move.clear, _to_clear


def _work_through(work: Work, step: Callable[[Work, UUID], None], find: Callable[[Move, UUID], Sequence[UUID]]) -> bool:
    """One asset after another; was the end reached?"""
    ends, after = time.monotonic() + SLICE_SECONDS, UUID(int=0)
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    def one(asset_id: UUID) -> None:
        with app.app_context():
            step(work, asset_id)

    threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="move")
    try:
        while batch := find(work.move, after):
            after = batch[-1]
            for done in [threads.submit(one, asset_id) for asset_id in batch]:
                done.result()
            if time.monotonic() > ends:
                return False
    finally:
        threads.shutdown(cancel_futures=True)
    return True


def _to_bring(move: Move, after: UUID) -> Sequence[UUID]:
    database.enter(move.tenant_id)
    failed = exists().where(
        MoveItem.move_id == move.id, MoveItem.asset_id == Asset.id, MoveItem.state == ItemState.FAILED
    )
    here = Asset.workspace_id == move.workspace_id, Asset.profile_id == move.source_id, Asset.id > after
    query = select(Asset.id).where(*here, Asset.state != AssetState.PROCESSING, ~failed)
    return db.session.scalars(query.order_by(Asset.id).limit(BATCH)).all()


def _to_clear(move: Move, after: UUID) -> Sequence[UUID]:
    database.enter(move.tenant_id)
    touched = MoveItem.move_id == move.id, MoveItem.asset_id > after
    return db.session.scalars(select(MoveItem.asset_id).where(*touched).order_by(MoveItem.asset_id).limit(BATCH)).all()


def _complete(work: Work) -> None:
    """The end of copying, once nothing can arrive in the source any more; or of clearing."""
    move = work.move
    mine = [Move.id == move.id, Move.state == move.state]
    with transaction(move.tenant_id):
        if move.state is MoveState.CLEARING:
            compare_and_set(Move, mine, MoveState.DONE, finished_at=database.now())
            action = "storage.move_finished"
        elif db.session.scalar(_unfinished(move)):
            # An upload that began before the move is still under way, or somebody is at work on an asset.
            tasks.hand_back(work.lease, database.now() + AGAIN)
            return
        else:
            compare_and_set(Move, mine, MoveState.COPIED, copied_at=database.now(), waiting_for=None)
            action = "storage.move_copied"
        tasks.complete(work.lease)
        audit.record(move.tenant_id, None, action, move.id, workspace_id=move.workspace_id)


def _unfinished(move: Move) -> Any:
    failed = exists().where(
        MoveItem.move_id == move.id, MoveItem.asset_id == Asset.id, MoveItem.state == ItemState.FAILED
    )
    asset = exists().where(Asset.workspace_id == move.workspace_id, Asset.profile_id == move.source_id, ~failed)
    upload = exists().where(
        Upload.workspace_id == move.workspace_id, Upload.profile_id == move.source_id, Upload.state.in_(OPEN)
    )
    return select(or_(asset, upload))


def _wait(work: Work, problem: Problem) -> None:
    """A store is unavailable, or the quota is full: the page shows it, and the work is tried again soon.

    Where a person has to fix a store, both are tested once: the test finds which one it is and notifies its owners.
    """
    # The limit's own text carries sizes, written for whoever is asked by it; this one is read later, in any language.
    reason = NO_ROOM if problem.code == "quota_exceeded" else problem.text
    log.info("move %s waits: %s", work.move.id, problem.code)
    with transaction(work.move.tenant_id):
        db.session.execute(update(Move).where(Move.id == work.move.id).values(waiting_for=reason))
        tasks.hand_back(work.lease, database.now() + AGAIN)
        if errors.needs_person(problem) and work.move.waiting_for != reason:
            for profile in (work.source, work.target):
                if profile.mode is ProfileMode.BYOS:
                    probe_runs.request(work.move.workspace_id, profile.id)


def _begin(lease: Lease, stop: threading.Event) -> Work | None:
    """What is to be done; ``stop`` is set when the move was paused, or went to somebody else."""
    with transaction(lease.tenant_id) as session:
        move = session.get(Move, lease.target_id, populate_existing=True)
        if move is None or move.state not in (MoveState.COPYING, MoveState.CLEARING):
            return None
    source, target = (storage.find_profile(move.workspace_id, each) for each in (move.source_id, move.target_id))
    db.session.expunge_all()  # several threads read these, none changes them
    return Work(move, lease, source, target, RateLimit(move.bytes_per_second, stop))
