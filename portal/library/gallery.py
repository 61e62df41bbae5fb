"""The pages of a workspace's files: the gallery and each file, and the fragments that keep them up to date."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.assets import preview_urls, service
from portal.assets.models import AssetState
from portal.assets.presenters import Buckets, page_view
from portal.folders import contents
from portal.library import presenters
from portal.library.forms import GalleryQuery
from portal.library.presenters import CardRow, Listed
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web import drawn
from portal.web.body import read_query
from portal.web.pages import is_fragment_wanted
from portal.web.paging import Paging, decode_cursor, read_paging

HERE = "/t/<tenant_slug>/w/<workspace_slug>"
TEMPLATES = {"grid": "library/_card.html", "list": "library/_row.html"}
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
    listed, cursor = presenters.list_cards(member.workspace, query.filters(), paging)
    more = url_for(".index", workspace_id=member.workspace, cursor=cursor, **address) if cursor else None
    html = _draw(listed, view, member, searched=bool(query.q))
    context: dict[str, Any] = {"cards": drawn.SLOT if listed else "", "next_url": more}
    if paging.after and is_fragment_wanted():
        return drawn.fill(render_template(f"library/_{view}_items.html", **context), html)
    context |= {"view": view, "query": address, "given": tuple(address.items()), **_spot(member, query)}
    page = render_template("library/index.html", **context, **place(member))
    response = make_response(drawn.fill(page, html))
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
    row = presenters.find_card(member.workspace, asset_id)
    here = query.library or query.folder_id
    lies_in = row.folder_id or row.library_id
    if row.state == AssetState.DELETED or (here is not None and str(query.folder_id or query.library) != lies_in):
        return ""
    return render_template(TEMPLATES[query.view or "grid"], poll=_polls(), **_cards([row], member))


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
    name = presenters.find_card(member.workspace, asset_id).file_name
    if homeless:
        return str(gettext("“%(name)s” was restored to the top of its library: its folder is gone.", name=name))
    return str(gettext("“%(name)s” was restored.", name=name))


def _draw(listed: Sequence[Listed], view: str, member: Member, *, searched: bool) -> bytes:
    """The HTML of the cards. One that was drawn before is not drawn again while its row and its addresses hold.

    Those that were searched for say where they lie.
    """
    all_alike = (member.workspace, member.tenant_slug, member.workspace_slug, preview_urls.window())
    found = contents.places_of(member.workspace, [UUID(each.id) for each in listed]) if searched else {}

    def context(missing: list[tuple[Listed, Any, Any]]) -> dict[str, Any]:
        rows = presenters.find_cards(member.workspace, [UUID(each.id) for each, _, _ in missing])
        return {**_cards(rows, member), "wheres": [where for _, _, where in missing]}

    return drawn.parts(TEMPLATES[view], [(each, all_alike, found.get(each.id)) for each in listed], context)


def _cards(rows: Sequence[CardRow | None], member: Member) -> dict[str, Any]:
    """What the templates of cards see."""
    buckets = Buckets(member.workspace)
    return {"assets": [row and presenters.shown(row, buckets) for row in rows], "workspace_id": member.workspace}


def _asset(member: Member, asset_id: UUID, *, opening: bool = False) -> dict[str, Any]:
    found = service.find_asset(member.workspace, asset_id)
    derived = service.variants_of([found])[found.id]
    shown = page_view(found, derived, Buckets(member.workspace), service.author_of(found))
    if opening:
        service.opened(member.tenant_id, member.workspace, asset_id)
    return {"asset": shown, "poll": _polls()}


def place(member: Member) -> dict[str, Any]:
    """What every page of these knows: where it is, and what the person may do here."""
    may = {"download": True, "edit": member.may(Permission.EDIT), "purge": member.may(Permission.PURGE)}
    may["own"] = member.may(Permission.MANAGE_WORKSPACE)
    return {"workspace": {"id": member.workspace, "name": member.workspace_name}, "may": may}


def _view_of_cookie() -> str:
    kept = request.cookies.get(VIEW_COOKIE, "")
    return kept if kept in TEMPLATES else "grid"


def _polls() -> int:
    """How often this fragment has asked; the pauses grow with it."""
    count = request.args.get("poll", "0")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 6 else 0
