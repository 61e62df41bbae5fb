"""The pages of a workspace's files: the gallery and each file, and the fragments that keep them up to date."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from htmx_flask import make_response, request

from portal.assets import service
from portal.assets.models import AssetState
from portal.assets.presenters import is_final, page_view, poll_seconds
from portal.assets.preview_urls import PreviewUrls
from portal.folders import contents
from portal.folders.service import Target
from portal.library import presenters
from portal.library.forms import GalleryQuery
from portal.library.presenters import Poll, View
from portal.sizes import format_size
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import read_query
from portal.web.pages import is_fragment_wanted, wants_next_rows
from portal.web.paging import Paging, decode_cursor, read_paging

HERE = "/t/<tenant_slug>/w/<workspace_slug>"
ITEMS = {"grid": "library/_grid_items.html", "list": "library/_list_items.html"}
VIEW_COOKIE, A_YEAR = "stowage_view", 365 * 86400

blueprint = Blueprint("library", __name__)


@blueprint.get(f"{HERE}/files")
@member(Permission.VIEW)
def index(member: Member) -> ResponseReturnValue:
    """The gallery of all files, or of one place with its folders; to htmx with a cursor, what comes next alone."""
    query, paging = read_query(GalleryQuery), read_paging()
    view = query.view or _view_of_cookie()
    address = query.address()
    if query.folders and is_fragment_wanted():
        return render_template(f"library/_folders_{view}.html", **_spot(member, query), **place(member))
    cards, cursor = presenters.gallery_page(member.workspace, query.filters(), paging, view)
    more = url_for(".index", workspace_id=member.workspace, cursor=cursor, **address) if cursor else None
    if wants_next_rows(paging):
        return render_template(ITEMS[view], cards=cards, next_url=more)
    page = render_template(
        "library/index.html",
        cards=cards,
        next_url=more,
        view=view,
        query=address,
        filters=presenters.filter_bar(member.workspace, address, view),
        **_spot(member, query),
        **place(member),
    )
    response: Response = make_response(page)
    # Stored only where it was chosen: opening a link that names a view changes nothing in the next visit without one.
    if query.view:
        secure = request.is_secure
        response.set_cookie(VIEW_COOKIE, query.view, max_age=A_YEAR, httponly=True, samesite="Lax", secure=secure)
    return response


def _spot(member: Member, query: GalleryQuery) -> dict[str, Any]:
    """Where the page is, and the folders there; nothing where it shows more than one place."""
    if not query.is_place:
        return {"spot": None, "folders": (), "more_folders": None}
    paging = Paging(contents.SHOWN, decode_cursor(query.folders))
    spot, folders, cursor = contents.browse(member.workspace, query.library, query.folder_id, paging)
    address = {**query.address(), "folders": cursor}
    more = url_for(".index", workspace_id=member.workspace, **address) if cursor else None
    return {"spot": spot, "folders": folders, "more_folders": more}


@blueprint.get(f"{HERE}/files/<uuid:asset_id>")
@member(Permission.VIEW)
def asset(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """One file's page; showing it counts as opening the file."""
    found = _asset(member, asset_id, opening=True)
    shown = found["asset"]
    spot = None
    if shown["status"] != AssetState.DELETED:
        spot, _, _ = contents.browse(member.workspace, shown["library_id"], shown["folder_id"], Paging(1))
    return render_template("library/asset.html", spot=spot, **found, **place(member))


@blueprint.get(f"{HERE}/files/<uuid:asset_id>/panel")
@member(Permission.VIEW)
def panel(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """The changing part of a file's page, which polls until the file is final."""
    return render_template("library/_asset.html", **_asset(member, asset_id), **place(member))


@blueprint.get(f"{HERE}/files/<uuid:asset_id>/card")
@member(Permission.VIEW)
def card(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """One card of the gallery, which polls until the file is final; empty once the file is in the trash.

    Where the address names a folder or library, empty for a file that was moved elsewhere, too.
    """
    query = read_query(GalleryQuery)
    view = query.view or "grid"
    row = presenters.find_row(member.workspace, asset_id, view)
    here = query.folder_id or query.library
    lies_in = row.folder_id or row.library_id
    if row.state == AssetState.DELETED or (here is not None and here != lies_in):
        return ""
    return render_template(ITEMS[view], cards=presenters.cards(member.workspace, [row], view, polls=_polls()))


@blueprint.post(f"{HERE}/files/<uuid:asset_id>/discard")
@member(Permission.EDIT)
def discard(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """Into the trash, with an offer to undo."""
    service.discard(member, asset_id)
    words = gettext("Moved to the trash. It stays there for 30 days.")
    if not is_fragment_wanted():
        return back(member, words)
    undo = url_for("trash.restore", workspace_id=member.workspace, asset_id=asset_id)
    answer: Response = make_response("", trigger={"toast": {"text": words, "tone": "calm", "undo_url": undo}})
    return answer


def done(
    member: Member,
    words: str,
    address: str | None,
    *,
    tone: str = "good",
    undo_url: str | None = None,
    undo_values: dict[str, list[str]] | None = None,
    gone: str | None = None,
    leads: bool = False,
) -> ResponseReturnValue:
    """The answer to a form in a dialog: a toast, and the page below is loaded again (static/js/form_dialog.js).

    Without script, to the page at ``address`` (None: back) with a message. ``undo_url`` and ``undo_values`` are the
    toast's button. ``gone``: the id of a folder that was deleted. ``leads``: to the page at ``address`` in any case.
    """
    if not is_fragment_wanted():
        flash(words, "success")
        return redirect(address, 303) if address else back(member, None)
    toast = {"text": words, "tone": tone}
    if undo_url:
        toast["undo_url"] = undo_url
    shown = {**toast, "undo_values": undo_values} if undo_values else toast
    answer: Response = make_response(
        "", trigger={"toast": shown, "stowage:done": {"address": address, "gone": gone, "leads": leads}}
    )
    return answer


def back(member: Member, words: str | None) -> ResponseReturnValue:
    """To the page of this workspace on which it was done, with a message; else to the gallery."""
    if words:
        flash(words, "success")
    # Path and query of the address alone, and only below this workspace: a Referer must not lead to another site.
    came_from = urlsplit(request.htmx.current_url or request.referrer or "")
    home = url_for("library.index", workspace_id=member.workspace)
    if came_from.path.startswith(home.removesuffix("files")):
        return redirect(f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path, 303)
    return redirect(home, 303)


def restored_message(member: Member, asset_id: UUID, *, homeless: bool = False) -> str:
    """That one file is out of the trash, by its name; ``homeless``: its folder is gone."""
    name = service.find_asset(member.workspace, asset_id).file_name
    if homeless:
        return str(gettext("“%(name)s” was restored to the top of its library: its folder is gone.", name=name))
    return str(gettext("“%(name)s” was restored.", name=name))


def _asset(member: Member, asset_id: UUID, *, opening: bool = False) -> dict[str, Any]:
    """What the templates of one file's page see. ``opening``: record that somebody opened it."""
    found = service.find_asset(member.workspace, asset_id)
    derived = service.variants_of([found])[found.id]
    shown = page_view(found, derived, PreviewUrls(member.workspace), service.author_of(found))
    file = url_for("delivery_api.download", w=member.workspace, a=asset_id)
    polls = _polls()
    again = url_for(".panel", workspace_id=member.workspace, asset_id=asset_id, poll=polls + 1)
    if opening:
        service.opened(member.tenant_id, member.workspace, asset_id)
    return {
        "asset": shown,
        "large": presenters.large_preview(found, derived, file, format_size(found.size_bytes)),
        "poll": None if is_final(found) else Poll(again, poll_seconds(polls)),
    }


def address_of(member: Member, target: Target) -> str:
    """The page of a folder, or of a library's top."""
    where = {"folder_id": target.folder_id} if target.folder_id else {"library": target.library_id}
    return url_for("library.index", workspace_id=member.workspace, **where)


def place(member: Member) -> dict[str, Any]:
    """What every page of these knows: where it is, and what the person may do here."""
    may = {"download": True, "edit": member.may(Permission.EDIT), "purge": member.may(Permission.PURGE)}
    may["own"] = member.may(Permission.MANAGE_WORKSPACE)
    return {"workspace": {"id": member.workspace, "name": member.workspace_name}, "may": may}


def _view_of_cookie() -> View:
    return "list" if request.cookies.get(VIEW_COOKIE) == "list" else "grid"


def _polls() -> int:
    """How often this fragment was polled; the pauses grow with it."""
    count = request.args.get("poll", "0")
    # Bounded, because int() takes long for thousands of digits; isdigit() is also true of digits that int() refuses.
    return int(count) if count.isascii() and count.isdigit() and len(count) < 6 else 0
