"""The pages of the trash: list, restore, delete permanently."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from portal.assets import service
from portal.library import presenters
from portal.library.gallery import HERE, back, place, restored_message
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.pages import wants_next_rows
from portal.web.paging import read_paging

blueprint = Blueprint("trash", __name__)


@blueprint.get(f"{HERE}/trash")
@member(Permission.VIEW)
def index(member: Member) -> ResponseReturnValue:
    """What can be restored; for htmx with a cursor only the next rows."""
    paging = read_paging()
    cards, cursor = presenters.trash_page(member.workspace, paging)
    context = {
        "cards": cards,
        "next_url": url_for(".index", workspace_id=member.workspace, cursor=cursor) if cursor else None,
        **place(member),
    }
    if wants_next_rows(paging):
        return render_template("trash/_items.html", **context)
    return render_template("trash/index.html", total=service.trash_summary(member.workspace), **context)


@blueprint.post(f"{HERE}/trash/<uuid:asset_id>/restore")
@member(Permission.EDIT)
def restore(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """Restore one file."""
    gone = service.restore(member, asset_id)
    return back(member, restored_message(member, asset_id, homeless=gone))


@blueprint.post(f"{HERE}/trash/<uuid:asset_id>/purge")
@member(Permission.PURGE)
def purge(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """Delete one file permanently."""
    service.delete_for_good(member, asset_id)
    return _to_trash(member, gettext("Deleted for good. The space is free in a moment."))


@blueprint.post(f"{HERE}/trash/empty")
@member(Permission.PURGE)
def empty(member: Member) -> ResponseReturnValue:
    """Delete everything in the trash permanently."""
    gone = service.empty_trash(member)
    if not gone.count:
        return _to_trash(member, gettext("The trash was empty."))
    text = ngettext(
        "%(num)s file deleted for good. Its space is free in a moment.",
        "%(num)s files deleted for good. Their space is free in a moment.",
        gone.count,
    )
    return _to_trash(member, text)


def _to_trash(member: Member, text: str) -> ResponseReturnValue:
    flash(text, "success")
    return redirect(url_for("trash.index", workspace_id=member.workspace), 303)
