"""The pages of a workspace's files: the gallery and each file, and the fragments that keep them up to date."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.assets import service
from portal.assets.models import AssetState
from portal.assets.presenters import is_final, page_view, poll_seconds
from portal.assets.preview_urls import PreviewUrls
from portal.folders import contents
from portal.library import presenters
from portal.library.forms import GalleryQuery
from portal.library.presenters import Poll, View
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web import formats
from portal.web.body import read_query
from portal.web.pages import is_fragment_wanted
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
    if paging.after and is_fragment_wanted():
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
    response = make_response(page)
    if query.view:
        kept: dict[str, Any] = {"max_age": A_YEAR, "httponly": True, "samesite": "Lax", "secure": request.is_secure}
        response.set_cookie(VIEW_COOKIE, query.view, **kept)
    return response


def _spot(member: Member, query: GalleryQuery) -> dict[str, Any]:
    """Where the page is, and the folders there; nothing where it shows more than one place."""
    if not query.is_place:
        return {"spot": None, "folders": (), "more_folders": None}
    paging = Paging(contents.SHOWN, decode_cursor(query.folders))
    spot, folders, cursor = contents.look(member.workspace, query.library, query.folder_id, paging)
    address = {**query.address(), "folders": cursor}
    more = url_for(".index", workspace_id=member.workspace, **address) if cursor else None
    return {"spot": spot, "folders": folders, "more_folders": more}


@blueprint.get(f"{HERE}/files/<uuid:asset_id>")
@member(Permission.VIEW)
def asset(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """One file's page; looking at it counts as opening it."""
    found = _asset(member, asset_id, opening=True)
    shown = found["asset"]
    spot = None
    if shown["status"] != AssetState.DELETED:
        spot, _, _ = contents.look(member.workspace, shown["library_id"], shown["folder_id"], Paging(1))
    return render_template("library/asset.html", spot=spot, **found, **place(member))


@blueprint.get(f"{HERE}/files/<uuid:asset_id>/panel")
@member(Permission.VIEW)
def panel(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """The changing part of a file's page, which asks for itself until it is final."""
    return render_template("library/_asset.html", **_asset(member, asset_id), **place(member))


@blueprint.get(f"{HERE}/files/<uuid:asset_id>/card")
@member(Permission.VIEW)
def card(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """One card of the gallery, which asks for itself until it is final; nothing for what is in the trash by now.

    Where the address names a place, nothing for what lies elsewhere either.
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
    response = make_response("")
    undo = url_for("trash.restore", workspace_id=member.workspace, asset_id=asset_id)
    response.headers["HX-Trigger"] = json.dumps({"toast": {"text": words, "tone": "calm", "undo_url": undo}})
    return response


def done(member: Member, words: str, address: str | None, **facts: Any) -> ResponseReturnValue:
    """What a form above the page has done: a toast, and the page is drawn again (static/js/form_dialog.js reads it).

    Without script, to the page at ``address`` (None: back) with a message. ``facts`` are the toast's, and ``gone``, the
    folder that is there no more; ``leads``: the page at ``address`` is shown in any case.
    """
    if not is_fragment_wanted():
        flash(words, "success")
        return redirect(address, 303) if address else back(member, None)
    response = make_response("")
    after = {name: facts.pop(name, None) for name in ("gone", "leads")}
    told = {"toast": {"text": words, "tone": "good", **facts}, "stowage:done": {"address": address, **after}}
    response.headers["HX-Trigger"] = json.dumps(told)
    return response


def back(member: Member, words: str | None) -> ResponseReturnValue:
    """To the page of this workspace on which it was done, with a message; else to the gallery."""
    if words:
        flash(words, "success")
    came_from = urlsplit(request.headers.get("HX-Current-URL") or request.referrer or "")
    home = url_for("library.index", workspace_id=member.workspace)
    if came_from.path.startswith(home.removesuffix("files")):
        return redirect(f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path, 303)
    return redirect(home, 303)


def told_restored(member: Member, asset_id: UUID, *, homeless: bool = False) -> str:
    """That one file is out of the trash, by its name; ``homeless``: its folder is gone."""
    name = service.find_asset(member.workspace, asset_id).file_name
    if homeless:
        return str(gettext("“%(name)s” was restored to the top of its library: its folder is gone.", name=name))
    return str(gettext("“%(name)s” was restored.", name=name))


def _asset(member: Member, asset_id: UUID, *, opening: bool = False) -> dict[str, Any]:
    """What the templates of one file's page see. ``opening``: note that somebody looked at it."""
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
        "large": presenters.large_preview(found, derived, file, formats.size(found.size_bytes)),
        "poll": None if is_final(found) else Poll(again, poll_seconds(polls)),
    }


def place(member: Member) -> dict[str, Any]:
    """What every page of these knows: where it is, and what the person may do here."""
    may = {"download": True, "edit": member.may(Permission.EDIT), "purge": member.may(Permission.PURGE)}
    may["own"] = member.may(Permission.MANAGE_WORKSPACE)
    return {"workspace": {"id": member.workspace, "name": member.workspace_name}, "may": may}


def _view_of_cookie() -> View:
    kept = request.cookies.get(VIEW_COOKIE, "")
    return "list" if kept == "list" else "grid"


def _polls() -> int:
    """How often this fragment has asked; the pauses grow with it."""
    count = request.args.get("poll", "0")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 6 else 0
