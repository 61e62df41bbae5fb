"""Moves over JSON."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from portal.migration import service
from portal.migration.models import Move, MoveState
from portal.migration.progress import list_stayed, progress_of
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Body, Listing, Time
from portal.web.openapi import operation
from portal.web.paging import Paging, page_of

blueprint = Blueprint("moving_api", __name__)

MOVES = "/v1/workspaces/<uuid:w>/storage-moves"
ONE = f"{MOVES}/<uuid:move_id>"
Speed = Annotated[int, Field(ge=service.SLOWEST, le=service.FASTEST)] | None


class StartMove(Body):
    """From the active profile to another one."""

    target_id: UUID
    bytes_per_second: Speed = Field(default=None, description="null: as fast as it goes")


class ChangeMove(Body):
    """What can be changed while it goes on."""

    bytes_per_second: Speed = Field(description="null: as fast as it goes")


class StayedView(Answer):
    """A file that could not be moved."""

    asset_id: UUID
    file_name: str
    size_bytes: int
    reason: str


class MoveView(Answer):
    """A move, and how far it is."""

    id: UUID
    source_id: UUID
    target_id: UUID
    state: MoveState = Field(description="copied: all reads from the target; the source's copies wait to be confirmed")
    rolled_back: bool
    bytes_per_second: int | None
    total_files: int
    total_bytes: int
    moved_files: int
    moved_bytes: int
    failed_files: int
    percent: int
    speed_bytes_per_second: int | None
    left_seconds: int | None
    waiting_for: str | None = Field(description="in words, while a store is unavailable or the quota is full")
    created_at: Time
    copied_at: Time | None
    finished_at: Time | None
    failed: list[StayedView] = Field(description="the first of them")

    @classmethod
    def of(cls, move: Move) -> MoveView:
        """With its progress now."""
        now = progress_of(move)
        return cls(
            id=move.id,
            source_id=move.source_id,
            target_id=move.target_id,
            state=move.state,
            rolled_back=move.rolled_back,
            bytes_per_second=move.bytes_per_second,
            total_files=move.total_files,
            total_bytes=move.total_bytes,
            moved_files=move.moved_files,
            moved_bytes=move.moved_bytes,
            waiting_for=str(move.waiting_for) if move.waiting_for else None,
            created_at=move.created_at,
            copied_at=move.copied_at,
            finished_at=move.finished_at,
            failed_files=now.failed_files,
            percent=now.percent,
            speed_bytes_per_second=round(now.bytes_per_second) if now.bytes_per_second else None,
            left_seconds=round(now.left.total_seconds()) if now.left is not None else None,
            failed=[
                StayedView(
                    asset_id=file.asset_id,
                    file_name=file.file_name,
                    size_bytes=file.size_bytes,
                    reason=str(file.reason or ""),
                )
                for file in list_stayed(move)
            ],
        )


@blueprint.get(MOVES)
@member(Permission.MANAGE_STORAGE)
@operation(paged=True, returns=Listing[MoveView])
def index(member: Member, paging: Paging) -> Listing[MoveView]:
    """List the latest moves of a workspace, the newest first."""
    page, cursor = page_of(service.list_moves(member), paging, key=lambda move: move.id)
    return Listing[MoveView](items=[MoveView.of(move) for move in page], next_cursor=cursor)


@blueprint.post(MOVES)
@member(Permission.MANAGE_STORAGE)
@operation(body=StartMove, returns=MoveView, status=201, errors=("conflict", "quota_exceeded"))
def start(member: Member, body: StartMove) -> MoveView:
    """Begin to move a workspace to another storage profile; new uploads go there at once.

    Files stay readable all the time. What was left in the old storage is removed when the move is confirmed.
    """
    return MoveView.of(service.start(member, body.target_id, body.bytes_per_second))


@blueprint.get(ONE)
@member(Permission.MANAGE_STORAGE)
@operation(returns=MoveView)
def show(member: Member, move_id: UUID) -> MoveView:
    """Show how far a move is."""
    return MoveView.of(service.find(member, move_id))


@blueprint.patch(ONE)
@member(Permission.MANAGE_STORAGE)
@operation(body=ChangeMove, returns=MoveView)
def change(member: Member, move_id: UUID, body: ChangeMove) -> MoveView:
    """Limit its speed, or lift the limit."""
    service.set_speed(member, move_id, body.bytes_per_second)
    return MoveView.of(service.find(member, move_id))


@blueprint.post(f"{ONE}/pause")
@member(Permission.MANAGE_STORAGE)
@operation(returns=MoveView, errors=("conflict",))
def pause(member: Member, move_id: UUID) -> MoveView:
    """Stop copying; what was moved stays moved."""
    service.pause(member, move_id)
    return MoveView.of(service.find(member, move_id))


@blueprint.post(f"{ONE}/resume")
@member(Permission.MANAGE_STORAGE)
@operation(returns=MoveView, errors=("conflict",))
def resume(member: Member, move_id: UUID) -> MoveView:
    """Go on where it was."""
    service.resume(member, move_id)
    return MoveView.of(service.find(member, move_id))


@blueprint.post(f"{ONE}/retry")
@member(Permission.MANAGE_STORAGE)
@operation(returns=MoveView, errors=("conflict",))
def retry(member: Member, move_id: UUID) -> MoveView:
    """Try again what could not be moved."""
    service.retry(member, move_id)
    return MoveView.of(service.find(member, move_id))


@blueprint.post(f"{ONE}/rollback")
@member(Permission.MANAGE_STORAGE)
@operation(returns=MoveView, errors=("conflict",))
def roll_back(member: Member, move_id: UUID) -> MoveView:
    """Bring everything back to where it was, what was uploaded meanwhile included."""
    service.roll_back(member, move_id)
    return MoveView.of(service.find(member, move_id))


@blueprint.post(f"{ONE}/confirm")
@member(Permission.MANAGE_STORAGE)
@operation(returns=MoveView, errors=("conflict",))
def confirm(member: Member, move_id: UUID) -> MoveView:
    """Remove what was left in the old storage. This can't be undone."""
    service.confirm(member, move_id)
    return MoveView.of(service.find(member, move_id))
