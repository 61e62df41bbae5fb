"""The worker's side of a move: claim it, bring over or clear asset after asset, several at a time, until it must stop.

The state in the rows is the whole memory: an asset that still names the source is still to be moved. Killed anywhere,
the next worker goes on. One call works for some minutes, so that other jobs get their turn; the sweep rings again.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Flask, current_app
from sqlalchemy import exists, func, or_, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from portal import audit, database
from portal.assets.models import Asset, AssetState
from portal.database import compare_and_set, db, transaction
from portal.errors import Invalid, Problem, Unavailable
from portal.migration import asset_move
from portal.migration.asset_move import Work
from portal.migration.models import ItemState, Move, MoveItem, MoveState
from portal.migration.rate_limit import Pace, Stopped
from portal.objectstore import errors
from portal.storage import probe_runs
from portal.storage import service as storage
from portal.storage.models import ProfileMode
from portal.uploads.models import OPEN, Upload

log = logging.getLogger(__name__)

SLICE_SECONDS = 300
AT_ONCE = 4  # assets: enough to hide a store's latency
BATCH = 50
LEASE = timedelta(seconds=60)
RENEW_SECONDS = 5  # also how soon a worker hears that the move was paused
AGAIN = timedelta(seconds=15)


def run(tenant_id: UUID, workspace_id: UUID, move_id: UUID) -> None:
    """Work on one move for a while. Safe to call at any time, twice, and after a crash at any point."""
    with _claim(tenant_id, workspace_id, move_id) as work:
        if work is None:
            return
        try:
            if _work_through(work, *_steps(work)):
                _complete(work)
        except Stopped:
            log.info("move %s stops here", move_id)
        except (Unavailable, Invalid) as problem:
            _wait(work, problem)


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
    mine = [Move.id == move.id, Move.claim_token == work.token]
    with transaction(move.tenant_id):
        if move.state is MoveState.CLEARING:
            compare_and_set(Move, mine, MoveState.DONE, finished_at=database.now(), due_at=None)
            action = "storage.move_finished"
        elif db.session.scalar(_unfinished(move)):
            return  # an upload that began before the move is still under way, or an asset is in somebody's hands
        else:
            compare_and_set(Move, mine, MoveState.COPIED, copied_at=database.now(), due_at=None, waiting_for=None)
            action = "storage.move_copied"
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
    """A store that is away, or a quota that is full, is said on the page and tried again soon.

    Where somebody has to mend a store, both are tested, once: the test finds whose it is, and its owners are told.
    """
    log.info("move %s waits: %s", work.move.id, problem.code)
    with transaction(work.move.tenant_id):
        mine = Move.id == work.move.id, Move.claim_token == work.token
        db.session.execute(update(Move).where(*mine).values(waiting_for=problem.detail))
        if errors.needs_person(problem) and work.move.waiting_for != problem.detail:
            for profile in (work.source, work.target):
                if profile.mode is ProfileMode.BYOS:
                    probe_runs.request(work.move.workspace_id, profile.id)


@contextmanager
def _claim(tenant_id: UUID, workspace_id: UUID, move_id: UUID) -> Iterator[Work | None]:
    """The right to work on a move, renewed by a thread that also hears when the work must stop."""
    token = secrets.token_hex(8)
    at_work = Move.state.in_((MoveState.COPYING, MoveState.CLEARING))
    free = or_(Move.claim_until.is_(None), Move.claim_until < func.now())
    with transaction(tenant_id) as session:
        mine = update(Move).where(Move.workspace_id == workspace_id, Move.id == move_id, at_work, free)
        move = session.scalars(
            mine.values(claim_token=token, claim_until=func.now() + LEASE).returning(Move)
        ).one_or_none()
    if move is None:
        yield None
        return
    source, target = (storage.find_profile(workspace_id, each) for each in (move.source_id, move.target_id))
    db.session.expunge_all()  # several threads read these, none changes them
    work = Work(move, token, source, target, Pace(move.bytes_per_second))
    done = threading.Event()
    renewal = threading.Thread(target=_renew, args=(db.engine, work, done), name=f"move-{token}", daemon=True)
    renewal.start()
    try:
        yield work
    finally:
        done.set()
        renewal.join()
        _let_go(work)


def _let_go(work: Work) -> None:
    mine = Move.id == work.move.id, Move.claim_token == work.token
    with transaction(work.move.tenant_id):
        free = {"claim_token": None, "claim_until": None, "due_at": func.now() + AGAIN}
        db.session.execute(update(Move).where(*mine).values(free))


def _renew(engine: Any, work: Work, done: threading.Event) -> None:
    mine = Move.id == work.move.id, Move.claim_token == work.token, Move.state == work.move.state
    renew = update(Move).where(*mine).values(claim_until=func.now() + LEASE)
    while not done.wait(RENEW_SECONDS):
        try:
            with engine.begin() as connection:
                tenant = {"t": str(work.move.tenant_id)}
                connection.execute(text("SELECT set_config('app.tenant_id', :t, true)"), tenant)
                if not connection.execute(renew).rowcount:
                    work.pace.stop()
                    return
        except SQLAlchemyError as error:
            log.warning("the lease of move %s could not be renewed: %s", work.move.id, type(error).__name__)
