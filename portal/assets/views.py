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

from portal.assets import cards, library, service, variants
from portal.assets.cards import CardRow, Listed
from portal.assets.forms import GalleryQuery
from portal.assets.models import AssetState
from portal.assets.presenters import Buckets, page_view
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web import drawn
from portal.web.body import read_query
from portal.web.pages import is_fragment_wanted
from portal.web.paging import read_paging

HERE = "/t/<tenant_slug>/w/<workspace_slug>"
TEMPLATES = {"grid": "library/_card.html", "list": "library/_row.html"}
VIEW_COOKIE, A_YEAR = "stowage_view", 365 * 86400

blueprint = Blueprint("library", __name__)


@blueprint.get(f"{HERE}/files")
@member(Permission.VIEW)
def index(member: Member) -> ResponseReturnValue:
    """The gallery; to htmx, which asks with a cursor, the next items alone."""
    query, paging = read_query(GalleryQuery), read_paging()
    view = query.view or _view_of_cookie()
    listed, cursor = cards.list_cards(member.workspace, query.filters(), paging)
    more = url_for(".index", workspace_id=member.workspace, cursor=cursor, **query.address()) if cursor else None
    html = _draw(listed, view, member)
    context: dict[str, Any] = {"cards": drawn.SLOT if listed else "", "next_url": more}
    if paging.after and is_fragment_wanted():
        return drawn.fill(render_template(f"library/_{view}_items.html", **context), html)
    context["library"] = library.find_library(member.workspace, query.library) if query.library else None
    address = query.address()
    context |= {"view": view, "query": address, "given": tuple(address.items())}
    page = render_template("library/index.html", **context, **place(member))
    response = make_response(drawn.fill(page, html))
    if query.view:
        kept: dict[str, Any] = {"max_age": A_YEAR, "httponly": True, "samesite": "Lax", "secure": request.is_secure}
        response.set_cookie(VIEW_COOKIE, query.view, **kept)
    return response


@blueprint.get(f"{HERE}/files/<uuid:asset_id>")
@member(Permission.VIEW)
def asset(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """One file's page; looking at it counts as opening it."""
    return render_template("library/asset.html", **_asset(member, asset_id, opening=True), **place(member))


@blueprint.get(f"{HERE}/files/<uuid:asset_id>/panel")
@member(Permission.VIEW)
def panel(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """The changing part of a file's page, which asks for itself until it is final."""
    return render_template("library/_asset.html", **_asset(member, asset_id), **place(member))


@blueprint.get(f"{HERE}/files/<uuid:asset_id>/card")
@member(Permission.VIEW)
def card(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """One card of the gallery, which asks for itself until it is final; nothing for what is in the trash by now."""
    template = TEMPLATES.get(request.args.get("view", ""), TEMPLATES["grid"])
    row = cards.find_card(member.workspace, asset_id)
    if row.state == AssetState.DELETED:
        return ""
    return render_template(template, poll=_polls(), **_cards([row], member))


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


def back(member: Member, words: str) -> ResponseReturnValue:
    """To the page of this workspace on which it was done, with a message; else to the gallery."""
    flash(words, "success")
    came_from = urlsplit(request.headers.get("HX-Current-URL") or request.referrer or "")
    home = url_for("library.index", workspace_id=member.workspace)
    if came_from.path.startswith(home.removesuffix("files")):
        return redirect(f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path, 303)
    return redirect(home, 303)


def _draw(listed: Sequence[Listed], view: str, member: Member) -> bytes:
    """The HTML of the cards. One that was drawn before is not drawn again while its row and its addresses hold."""
    all_alike = (member.workspace, member.tenant_slug, member.workspace_slug, variants.window())

    def context(missing: list[tuple[Listed, Any]]) -> dict[str, Any]:
        rows = cards.find_cards(member.workspace, [UUID(each.id) for each, _ in missing])
        return _cards(rows, member)

    return drawn.parts(TEMPLATES[view], [(each, all_alike) for each in listed], context)


def _cards(rows: Sequence[CardRow | None], member: Member) -> dict[str, Any]:
    """What the templates of cards see."""
    buckets = Buckets(member.workspace)
    return {"assets": [row and cards.shown(row, buckets) for row in rows], "workspace_id": member.workspace}


def _asset(member: Member, asset_id: UUID, *, opening: bool = False) -> dict[str, Any]:
    found = service.find_asset(member.workspace, asset_id)
    derived = service.variants_of([found])[found.id]
    shown = page_view(found, derived, Buckets(member.workspace), service.author_of(found))
    if opening:
        service.opened(member.tenant_id, member.workspace, asset_id)
    return {"asset": shown, "poll": _polls(), "back_url": None}


def place(member: Member) -> dict[str, Any]:
    """What every page of these knows: where it is, and what the person may do here."""
    may = {"download": True, "edit": member.may(Permission.EDIT), "purge": member.may(Permission.PURGE)}
    return {"workspace": {"id": member.workspace, "name": member.workspace_name}, "may": may}


def _view_of_cookie() -> str:
    kept = request.cookies.get(VIEW_COOKIE, "")
    return kept if kept in TEMPLATES else "grid"


def _polls() -> int:
    """How often this fragment has asked; the pauses grow with it."""
    count = request.args.get("poll", "0")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 6 else 0
