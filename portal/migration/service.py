"""Commands and queries of moves: start, pause, resume, roll back, confirm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from portal import audit, database, tasks
from portal.assets.models import Asset
from portal.database import compare_and_set, db, transaction
from portal.errors import Conflict, Invalid, NotFound
from portal.migration.models import ItemState, Move, MoveItem, MoveState
from portal.quotas import service as quotas
from portal.storage import profiles
from portal.storage import service as storage
from portal.storage.models import StorageProfile
from portal.tenancy.service import Member
from portal.web.rate_limits import Rate, rates

# Of a workspace: each counts what lies in a storage, and keeps a worker busy. Pausing is never refused.
CHANGES = Rate("move", "60 per hour")
SLOWEST, FASTEST = 64 * 1024, 2**63 - 1  # bytes per second


@dataclass(frozen=True)
class Plan:
    """What a move would mean: ``files`` and ``bytes`` lie in the source; ``one_store``: the store copies by itself."""

    source: StorageProfile
    target: StorageProfile
    files: int
    bytes: int
    one_store: bool


def is_in_a_move(workspace_id: UUID, profile_id: UUID) -> bool:
    """Whether files are being moved from this profile or to it. Registered with ``storage`` in ``app``."""
    unfinished = select(Move.id).where(
        Move.workspace_id == workspace_id,
        Move.state != MoveState.DONE,
        or_(Move.source_id == profile_id, Move.target_id == profile_id),
    )
    return bool(db.session.scalar(select(unfinished.exists())))


def plan(member: Member, target_id: UUID) -> Plan:
    """What moving to ``target_id`` would mean. Raises ``NotFound``, and ``Conflict`` where it can't be."""
    source, target = _active(member), storage.find_unretired(member.workspace, target_id)
    _require_tested_other(source, target)
    files, size = _size_in(source)
    here, there = storage.bucket_for(source).location, storage.bucket_for(target).location
    return Plan(source, target, files, size, (here.endpoint, here.region) == (there.endpoint, there.region))


def start(member: Member, target_id: UUID, bytes_per_second: int | None = None) -> Move:
    """Move the workspace from its active profile to ``target_id``; new uploads go there from this moment on.

    Raises ``NotFound`` (no such profile), ``Conflict`` (a move is under way, the target is active already, or was not
    seen to work), ``Invalid`` (the speed; ``quota_exceeded``, when the managed store has no room), and ``Unavailable``
    for too many acts, as whatever has it work does.
    """
    _count(member)
    speed = checked_speed(bytes_per_second)
    with transaction(member.tenant_id) as session:
        source = _active(member)
        target = storage.find_unretired(member.workspace, target_id)
        _require_tested_other(source, target)
        files, size = _size_in(source)
        _require_room(member, source, target)
        move = Move(**_place(member), source_id=source.id, target_id=target.id, started_by=member.user_id)
        move.bytes_per_second, move.total_files, move.total_bytes = speed, files, size
        move.run_started_at = database.now()
        session.add(move)
        try:
            session.flush()
        except IntegrityError:
            raise Conflict(
                _("Another move is not finished yet. Finish it or move everything back, then start this one."),
                code="move_under_way",
            ) from None
        profiles.make_active(member, target.id)
        _record(move, member, "storage.move_started", files=files, bytes=size)
        _schedule(move)
    return move


def pause(member: Member, move_id: UUID) -> None:
    """Stop copying; what was moved stays moved. Raises ``NotFound``, ``Conflict``."""
    _change(member, move_id, MoveState.PAUSED, "storage.move_paused", _("This move is not copying files right now."))


def resume(member: Member, move_id: UUID) -> None:
    """Go on where it was. Raises ``NotFound``, ``Conflict``."""
    _count(member)
    _change(
        member,
        move_id,
        MoveState.COPYING,
        "storage.move_resumed",
        _("This move is not paused."),
        only_from=MoveState.PAUSED,
    )


def retry(member: Member, move_id: UUID) -> None:
    """Try again what could not be moved. Raises ``NotFound``, ``Conflict``."""
    _count(member)
    message = _("You can try files again when everything else has been copied.")
    _change(
        member,
        move_id,
        MoveState.COPYING,
        "storage.move_retried",
        message,
        only_from=MoveState.COPIED,
        retry_failed=True,
    )


def confirm(member: Member, move_id: UUID) -> None:
    """Remove what was left in the source. This can't be undone.

    Raises ``NotFound``, ``Conflict``.
    """
    message = _("Old copies can be removed when everything has been copied.")
    _change(member, move_id, MoveState.CLEARING, "storage.move_confirmed", message)


def roll_back(member: Member, move_id: UUID) -> None:
    """Bring everything back to where it was, what was uploaded meanwhile included: the same move the other way round.

    Raises ``NotFound``, ``Conflict``.
    """
    _count(member)
    workspace = member.workspace
    with transaction(member.tenant_id) as session:
        move = _find(workspace, move_id, lock=True)
        if move.state not in (MoveState.COPYING, MoveState.PAUSED, MoveState.COPIED):
            raise Conflict(_("The old copies are being removed. This move can't be undone any more."), code="too_late")
        back = storage.find_profile(workspace, move.source_id)
        session.execute(delete(MoveItem).where(MoveItem.move_id == move.id, MoveItem.state == ItemState.FAILED))
        files, size = _size_in(storage.find_profile(workspace, move.target_id))
        move.source_id, move.target_id, move.rolled_back = move.target_id, move.source_id, not move.rolled_back
        move.state, move.total_files, move.total_bytes = MoveState.COPYING, files, size
        move.moved_files = move.moved_bytes = 0
        move.copied_at = None
        _start_run(move)
        profiles.make_active(member, back.id)
        _record(move, member, "storage.move_rolled_back")
        _schedule(move)


def set_speed(member: Member, move_id: UUID, bytes_per_second: int | None) -> None:
    """Another limit, from the next few seconds on. Raises ``NotFound``, ``Invalid``."""
    speed = checked_speed(bytes_per_second)
    _count(member)
    with transaction(member.tenant_id):
        move = _find(member.workspace, move_id, lock=True)
        move.bytes_per_second = speed
        _start_run(move)
        _schedule(move)


def checked_speed(bytes_per_second: int | None) -> int | None:
    """A limit as it can be kept. Raises ``Invalid``."""
    if bytes_per_second is not None and bytes_per_second < SLOWEST:
        raise Invalid(_("The speed must be 64 KB per second or more, or empty for no limit."), field="bytes_per_second")
    if bytes_per_second is not None and bytes_per_second > FASTEST:
        raise Invalid(_("This speed is too high. Leave it empty for no limit."), field="bytes_per_second")
    return bytes_per_second


def find(member: Member, move_id: UUID) -> Move:
    """One move of the workspace. Raises ``NotFound``."""
    return _find(member.workspace, move_id)


def find_unfinished(member: Member) -> Move | None:
    """The move of the workspace that is not done (a unique index allows one)."""
    query = select(Move).where(Move.workspace_id == member.workspace, Move.state != MoveState.DONE)
    return db.session.scalar(query)


def list_moves(member: Member) -> Sequence[Move]:
    """The latest fifty, newest first."""
    query = select(Move).where(Move.workspace_id == member.workspace).order_by(Move.id.desc()).limit(50)
    return db.session.scalars(query).all()


def _count(member: Member) -> None:
    rates().count(CHANGES, str(member.workspace))


def _active(member: Member) -> StorageProfile:
    here = StorageProfile.workspace_id == member.workspace, StorageProfile.active
    return db.session.scalars(select(StorageProfile).where(*here)).one()


def _require_tested_other(source: StorageProfile, target: StorageProfile) -> None:
    if source.id == target.id:
        raise Conflict(_("The files of this workspace are stored there already."), code="already_there")
    profiles.require_tested(target)


def _require_room(member: Member, source: StorageProfile, target: StorageProfile) -> None:
    """What comes out of an own bucket counts against the limits from then on."""
    paid = select(func.coalesce(func.sum(Asset.size_bytes - Asset.charged_bytes), 0))
    here = Asset.workspace_id == source.workspace_id, Asset.profile_id == source.id, Asset.object_key.is_not(None)
    missing = int(db.session.scalar(paid.where(*here)) or 0)
    quotas.check_room(member.tenant_id, member.workspace, storage.counted(target, missing))


def _change(
    member: Member,
    move_id: UUID,
    to: MoveState,
    action: str,
    refusal: str,
    *,
    only_from: MoveState | None = None,
    retry_failed: bool = False,
) -> None:
    """Move on to state ``to``, and record it as ``action``; else raise ``Conflict`` with ``refusal``.

    only_from: the one state in which this command makes sense, where ``TRANSITIONS`` leads to ``to`` from others, too.
    retry_failed: forget which files failed, so that they are copied again.
    """
    with transaction(member.tenant_id) as session:
        move = _find(member.workspace, move_id, lock=True)
        allowed = move.state is only_from if only_from else to in Move.TRANSITIONS.get(move.state, ())
        here = [Move.id == move.id, Move.state == move.state]
        if not allowed or not compare_and_set(Move, here, to):
            raise Conflict(refusal, code="conflict")
        if retry_failed:
            failed = MoveItem.move_id == move.id, MoveItem.state == ItemState.FAILED
            session.execute(delete(MoveItem).where(*failed))
        # The speed that the page shows is that of this run: the time in which the move was paused does not count.
        session.execute(
            update(Move)
            .where(Move.id == move.id)
            .values(run_started_at=database.now(), run_started_bytes=Move.moved_bytes, waiting_for=None)
        )
        _record(move, member, action)
        if to is MoveState.PAUSED:
            tasks.cancel(move.id, "move")  # the worker stops when it renews its lease: the task is gone
        else:
            _schedule(move)


def _start_run(move: Move) -> None:
    """Whoever works on it stops within seconds; the next one finds what has changed."""
    move.run_started_at, move.run_started_bytes, move.waiting_for = database.now(), move.moved_bytes, None


def _size_in(profile: StorageProfile) -> tuple[int, int]:
    """Files and bytes of originals; the one sum over assets, when a move begins."""
    here = Asset.workspace_id == profile.workspace_id, Asset.profile_id == profile.id
    row = db.session.execute(select(func.count(), func.coalesce(func.sum(Asset.size_bytes), 0)).where(*here)).one()
    return int(row[0]), int(row[1])


def _find(workspace_id: UUID, move_id: UUID, *, lock: bool = False) -> Move:
    query = select(Move).where(Move.workspace_id == workspace_id, Move.id == move_id)
    move = db.session.scalar(query.with_for_update() if lock else query)
    if move is None:
        raise NotFound(_("There is no such move."))
    return move


def _place(member: Member) -> dict[str, Any]:
    return {"tenant_id": member.tenant_id, "workspace_id": member.workspace}


def _record(move: Move, member: Member, action: str, **facts: Any) -> None:
    audit.record(move.tenant_id, member.user_id, action, move.id, workspace_id=move.workspace_id, **facts)


def _schedule(move: Move) -> None:
    """Whoever works on it loses the lease, and stops within seconds: the next one finds what has changed."""
    tasks.schedule("move", move.id, tenant_id=move.tenant_id, workspace_id=move.workspace_id)
