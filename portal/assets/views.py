"""The pages of a workspace's files: the gallery and each file, and the fragments that keep them up to date."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale, gettext
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from portal.assets import cards, library, service, variants
from portal.assets.cards import CardRow
from portal.assets.forms import GalleryQuery
from portal.assets.models import AssetState
from portal.assets.presenters import Buckets, page_view
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import read_query
from portal.web.pages import is_fragment_wanted
from portal.web.paging import read_paging

HERE = "/t/<tenant_slug>/w/<workspace_slug>"
VIEWS = ("grid", "list")
VIEW_COOKIE, A_YEAR = "stowage_view", 365 * 86400
DRAWN = 2048  # cards that a process keeps, of about 4 KB each
FORM_TOKEN = "\0token\0"  # stands in drawn cards where each person's CSRF token goes; no file name can contain it

blueprint = Blueprint("library", __name__)


@blueprint.get(f"{HERE}/files")
@member(Permission.VIEW)
def index(member: Member) -> ResponseReturnValue:
    """The gallery; to htmx, which asks with a cursor, the next items alone."""
    query, paging = read_query(GalleryQuery), read_paging()
    view = query.view or _view_of_cookie()
    rows, cursor = cards.list_cards(member.workspace, query.filters(), paging)
    context: dict[str, Any] = {
        "cards": draw(rows, view, member),
        "next_url": url_for(".index", workspace_id=member.workspace, cursor=cursor, **query.address()) if cursor else None,
    }
    if paging.after and is_fragment_wanted():
        return render_template(f"library/_{view}_items.html", **context)
    context["library"] = library.find_library(member.workspace, query.library) if query.library else None
    page = render_template("library/index.html", view=view, query=query.address(), **context, **place(member))
    response = make_response(page)
    if query.view:
        response.set_cookie(VIEW_COOKIE, query.view, max_age=A_YEAR, httponly=True, samesite="Lax", secure=request.is_secure)
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
    view = request.args.get("view", "")
    row = cards.find_card(member.workspace, asset_id)
    if row.state is AssetState.DELETED:
        return ""
    return draw([row], view if view in VIEWS else VIEWS[0], member, poll=_polls())[0]


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


def draw(rows: list[CardRow], view: str, member: Member, poll: int = 0) -> list[Markup]:
    """The HTML of each card. One that was drawn before is not drawn again while its row and its addresses hold."""
    where, buckets = (member.tenant_slug, member.workspace_slug), Buckets(member.workspace)
    may_edit, language, now = member.may(Permission.EDIT), str(get_locale()), variants.window()
    drawn = [_drawn(row, view, where, buckets, may_edit, language, now, poll) for row in rows]
    token = generate_csrf()  # base64: nothing to escape
    return [Markup(html.replace(FORM_TOKEN, token)) for html in drawn]


@lru_cache(maxsize=DRAWN)
def _drawn(
    row: CardRow,
    view: str,
    _where: tuple[str, str],
    buckets: Buckets,
    may_edit: bool,
    _language: str,
    _window: int,
    poll: int,
) -> str:
    """A card depends on nothing but these arguments, on those with an underscore by way of what it calls."""
    template = "library/_card.html" if view == "grid" else "library/_row.html"
    may = {"download": True, "edit": may_edit}
    return render_template(template, asset=cards.shown(row, buckets), may=may, poll=poll, form_token=FORM_TOKEN)


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
    return kept if kept in VIEWS else VIEWS[0]


def _polls() -> int:
    """How often this fragment has asked; the pauses grow with it."""
    count = request.args.get("poll", "0")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 6 else 0
