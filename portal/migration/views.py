"""The pages of a move: begin it, watch it, decide about it."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _l

from portal.migration import forms, presenters, service
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.pages import is_fragment_wanted, render

blueprint = Blueprint("migration", __name__)

HERE = "/t/<tenant_slug>/w/<workspace_slug>/storage/moves"
ACTIONS = {
    "pause": (service.pause, _l("The move is paused. Files that were moved stay in the new storage.")),
    "resume": (service.resume, _l("The move continues.")),
    "retry": (service.retry, _l("The remaining files are being moved.")),
    "rollback": (service.roll_back, _l("All files are being moved back.")),
    "confirm": (service.confirm, _l("The old copies are being removed.")),
}


@blueprint.get(HERE)
@member(Permission.MANAGE_STORAGE)
def index(member: Member) -> ResponseReturnValue:
    moves = [presenters.row_of_move(move) for move in service.list_moves(member)]
    return render_template("migration/index.html", moves=moves, member=member)


@blueprint.get(f"{HERE}/under-way")
@member(Permission.MANAGE_STORAGE)
def unfinished(member: Member) -> ResponseReturnValue:
    """One line for the pages of the storage; empty when no move is unfinished."""
    move = service.find_unfinished(member)
    line = presenters.line_of_move(move) if move else None
    return render_template("migration/_unfinished.html", line=line, member=member)


@blueprint.get(f"{HERE}/to/<uuid:profile_id>")
@member(Permission.MANAGE_STORAGE)
def new(member: Member, profile_id: UUID) -> ResponseReturnValue:
    """What a move to this profile would mean, before it starts. An unfinished one has to be finished first."""
    if move := service.find_unfinished(member):
        flash(gettext("A move is not finished. Finish it or move everything back before you start another."), "warning")
        return _to(member, move.id)
    return render_template("migration/new.html", plan=service.plan(member, profile_id), member=member)


@blueprint.post(f"{HERE}/to/<uuid:profile_id>")
@member(Permission.MANAGE_STORAGE)
def start(member: Member, profile_id: UUID) -> ResponseReturnValue:
    move = service.start(member, profile_id, forms.speed_limit(request.form))
    flash(gettext("The move has started. New uploads go to the new storage from now on."), "success")
    return _to(member, move.id)


@blueprint.get(f"{HERE}/<uuid:move_id>")
@member(Permission.MANAGE_STORAGE)
def show(member: Member, move_id: UUID) -> ResponseReturnValue:
    """How far it is; to htmx the changing part alone, which names the phase that it shows in ``seen``."""
    seen = request.args.get("seen", "") if is_fragment_wanted() else None
    shown = presenters.page_of_move(service.find(member, move_id), seen)
    return render("migration/show.html", "migration/_progress.html", shown=shown, member=member)


@blueprint.post(f"{HERE}/<uuid:move_id>/speed")
@member(Permission.MANAGE_STORAGE)
def set_speed(member: Member, move_id: UUID) -> ResponseReturnValue:
    service.set_speed(member, move_id, forms.speed_limit(request.form))
    flash(gettext("The new speed limit applies within a few seconds."), "success")
    return _to(member, move_id)


@blueprint.post(f"{HERE}/<uuid:move_id>/<any({', '.join(ACTIONS)}):action>")
@member(Permission.MANAGE_STORAGE)
def change(member: Member, move_id: UUID, action: str) -> ResponseReturnValue:
    """Pause, resume, retry, roll back, or confirm it."""
    command, message = ACTIONS[action]
    command(member, move_id)
    if is_fragment_wanted():
        shown = presenters.page_of_move(service.find(member, move_id))
        return render_template("migration/_progress.html", shown=shown, member=member)
    flash(str(message), "success")
    return _to(member, move_id)


def _to(member: Member, move_id: UUID) -> ResponseReturnValue:
    return redirect(url_for("migration.show", workspace_id=member.workspace, move_id=move_id), 303)
