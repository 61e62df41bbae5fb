"""The pages of a move: begin it, watch it, decide about it."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _l

from portal.errors import Invalid
from portal.migration import service
from portal.migration.models import Move, MoveState
from portal.migration.progress import list_stayed, progress_of
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.pages import is_fragment_wanted, render

blueprint = Blueprint("moving", __name__)

HERE = "/t/<tenant_slug>/w/<workspace_slug>/storage/moves"
MB = 1024 * 1024
ACTS = {
    "pause": (service.pause, _l("Paused. What was moved stays moved.")),
    "resume": (service.resume, _l("It goes on.")),
    "retry": (service.retry, _l("Trying again.")),
    "rollback": (service.roll_back, _l("Everything is being brought back to where it was.")),
    "confirm": (service.confirm, _l("The old copies are being removed.")),
}


@blueprint.get(HERE)
@member(Permission.MANAGE_STORAGE)
def index(member: Member) -> ResponseReturnValue:
    """The move that is under way and those before it."""
    moves = [progress_of(move) for move in service.list_moves(member)]
    return render_template("migration/index.html", moves=moves, **_place(member))


@blueprint.get(f"{HERE}/under-way")
@member(Permission.MANAGE_STORAGE)
def under_way(member: Member) -> ResponseReturnValue:
    """The move that is under way in one line, for the pages of the storage; nothing when there is none."""
    move = service.find_under_way(member)
    progress = progress_of(move) if move else None
    return render_template("migration/_under_way.html", progress=progress, **_place(member))


@blueprint.get(f"{HERE}/to/<uuid:profile_id>")
@member(Permission.MANAGE_STORAGE)
def new(member: Member, profile_id: UUID) -> ResponseReturnValue:
    """What a move to this profile would mean, in numbers, before it begins; one that is under way comes first."""
    if move := service.find_under_way(member):
        flash(gettext("A move is under way. Finish it, or bring everything back, before the next one."), "warning")
        return _to(member, move.id)
    return render_template("migration/new.html", plan=service.plan(member, profile_id), **_place(member))


@blueprint.post(f"{HERE}/to/<uuid:profile_id>")
@member(Permission.MANAGE_STORAGE)
def start(member: Member, profile_id: UUID) -> ResponseReturnValue:
    """Begin."""
    move = service.start(member, profile_id, _speed())
    flash(gettext("The move has begun. New uploads go to the new storage from now on."), "success")
    return _to(member, move.id)


@blueprint.get(f"{HERE}/<uuid:move_id>")
@member(Permission.MANAGE_STORAGE)
def show(member: Member, move_id: UUID) -> ResponseReturnValue:
    """How far it is; to htmx the changing part alone, and what changed since it ``seen`` is said."""
    move = service.find(member, move_id)
    said = is_fragment_wanted() and request.args.get("seen") != _phase(move)
    return render("migration/show.html", "migration/_progress.html", said=said, **_shown(move), **_place(member))


@blueprint.post(f"{HERE}/<uuid:move_id>/speed")
@member(Permission.MANAGE_STORAGE)
def set_speed(member: Member, move_id: UUID) -> ResponseReturnValue:
    """Another limit."""
    service.set_speed(member, move_id, _speed())
    flash(gettext("The new speed applies within a few seconds."), "success")
    return _to(member, move_id)


@blueprint.post(f"{HERE}/<uuid:move_id>/<any({', '.join(ACTS)}):act>")
@member(Permission.MANAGE_STORAGE)
def change(member: Member, move_id: UUID, act: str) -> ResponseReturnValue:
    """Pause, resume, retry, roll back, or finish it."""
    command, words = ACTS[act]
    command(member, move_id)
    if is_fragment_wanted():
        return render_template("migration/_progress.html", **_shown(service.find(member, move_id)), **_place(member))
    flash(str(words), "success")
    return _to(member, move_id)


def _to(member: Member, move_id: UUID) -> ResponseReturnValue:
    return redirect(url_for("moving.show", workspace_id=member.workspace, move_id=move_id), 303)


def _shown(move: Move) -> dict[str, object]:
    moving = move.state in (MoveState.COPYING, MoveState.CLEARING)
    shown = {"move": move, "progress": progress_of(move), "stayed": list_stayed(move)}
    return {**shown, "moving": moving, "phase": _phase(move)}


def _phase(move: Move) -> str:
    """Its state; copying that can't go on is ``waiting``."""
    return "waiting" if move.state is MoveState.COPYING and move.waiting_for else move.state.value


def _place(member: Member) -> dict[str, object]:
    return {"workspace": {"id": member.workspace, "name": member.workspace_name}}


def _speed() -> int | None:
    """The form's MB per second in bytes; empty is no limit. Raises ``Invalid``."""
    given = request.form.get("megabytes_per_second", "").strip().replace(",", ".")
    if not given:
        return None
    try:
        return round(float(given) * MB)
    except (ValueError, OverflowError):
        words = gettext("The speed is a number of MB per second, such as 20, or empty for no limit.")
        raise Invalid(words, field="megabytes_per_second") from None
