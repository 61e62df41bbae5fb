"""What the gallery, the list and the trash show of each file: one ``Card`` a file, from one statement a page.

A card holds what a template writes, ready: templates only loop. A page has fifty cards, so what is the same for all of
them (addresses, the bucket) is made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from flask import url_for
from flask_babel import gettext
from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from portal.assets.models import Asset, AssetState, Variant
from portal.assets.presenters import is_final, poll_seconds, state_mark
from portal.assets.preview_urls import PreviewUrls
from portal.database import db
from portal.errors import NotFound
from portal.identity.models import User
from portal.library.asset_list import AnyRow, AnySelect, Filters, list_rows, paths_of
from portal.sizes import SizeFormat
from portal.web import formats
from portal.web.formats import FileName, Moment
from portal.web.paging import Paging
from portal.web.state_mark import StateMark

View = Literal["grid", "list"]
NO_ID = UUID(int=0)
_NO_ID = str(NO_ID)
GROUND = "#8a929c"  # the colour behind a picture whose own is not known
NARROW, WIDE = 0.5, 2.2  # width to height: what is beyond is shown whole instead of cut to the box
KIND_ICONS = {"photo": "photo", "vector": "vector", "video": "video", "document": "file-text", "archive": "file-zip"}
BADGES = {"video": "video", "document": "file-type-pdf"}  # kinds whose preview looks like a photo


class Box(NamedTuple):
    """Where a picture is shown: which variants come into question, and the width in pixels that they should fill."""

    names: tuple[str, ...]
    width: int


BOXES: dict[View, Box] = {"grid": Box(("small", "medium"), 240), "list": Box(("thumb",), 40)}
LARGE = ("web", "large", "medium", "small")  # what the large preview may show


class Picture(NamedTuple):
    """A preview. ``larger`` is for screens of twice the density; ``ground`` is the colour until it is loaded."""

    src: str
    larger: str | None
    width: int
    height: int
    css: str
    ground: str


class LargePreview(NamedTuple):
    """What static/js/lightbox.js shows: the address of the largest picture, its size in pixels, a text beside it."""

    address: str
    width: int
    height: int
    facts: str


class Poll(NamedTuple):
    """A card that is not final polls ``address`` after ``seconds``."""

    address: str
    seconds: int


@dataclass(slots=True)
class Card:
    """One file in the gallery, the list or the trash. ``place``: its library and folders, in the results of a search.

    ``author`` and ``added`` are None in the grid, which does not show them.
    """

    id: str
    address: str
    name: FileName
    actions: str
    size_bytes: int
    size: str
    exact_size: str
    status: str
    mark: StateMark
    kind: str
    picture: Picture | None
    icon: str
    icon_css: str
    badge: str | None
    large: LargePreview | None
    poll: Poll | None
    author: str | None
    added: Moment | None
    deleted: Moment | None
    removed: Moment | None
    place: str | None


class Choice(NamedTuple):
    """One of the links that narrow a list, or show it another way."""

    words: str
    address: str
    current: bool
    icon: str = ""


class FilterBar(NamedTuple):
    """The filters above the list. ``states`` are values and words of a select field; ``narrowed``: is a filter set?"""

    views: list[Choice]
    kinds: list[Choice]
    states: list[tuple[str, str]]
    narrowed: bool


class Derived(NamedTuple):
    """A derived file, as a card needs it; sizes in pixels."""

    name: str
    width: int
    height: int
    object_key: str


def _derived(view: View) -> ScalarSelect[Any]:
    """The derived files that a card may show, from small to large, as one column of its asset: an array of ``Derived``.

    Rows of their own would be two hundred a page, and another statement.
    """
    facts = func.json_build_array(Variant.name, Variant.width, Variant.height, Variant.object_key)
    shown = Variant.asset_id == Asset.id, Variant.name.in_((*BOXES[view].names, *LARGE))
    return select(func.json_agg(aggregate_order_by(facts, Variant.width))).where(*shown).scalar_subquery()


_COLUMNS = select(
    Asset.id,
    Asset.library_id,
    Asset.folder_id,
    Asset.profile_id,
    Asset.file_name,
    Asset.kind,
    Asset.size_bytes,
    Asset.state,
    Asset.reason_code,
    Asset.reason_detail,
    Asset.waiting_for,
    Asset.scan_result,
    Asset.scan_signature,
    Asset.scan_reason,
    Asset.previews,
    Asset.placeholder,
    Asset.width,
    Asset.height,
    Asset.created_at,
    Asset.deleted_at,
    Asset.purge_after,
    Asset.released_at,
)
_GRID = _COLUMNS.add_columns(_derived("grid").label("derived"))
_LIST = _COLUMNS.add_columns(
    _derived("list").label("derived"), User.name.label("author_name"), User.email.label("author_email")
).outerjoin(User, User.id == Asset.created_by)


def gallery_page(workspace_id: UUID, filters: Filters, paging: Paging, view: View) -> tuple[list[Card], str | None]:
    """The cards of one page, newest first, and the cursor of the next. Results of a search show their folders."""
    rows, cursor = list_rows(_columns(view), workspace_id, filters, paging)
    places = paths_of(workspace_id, [row.id for row in rows]) if filters.q else {}
    return cards(workspace_id, rows, view, places=places), cursor


def trash_page(workspace_id: UUID, paging: Paging) -> tuple[list[Card], str | None]:
    """The cards of one page of what can be restored, newest first, and the cursor of the next."""
    staying = _LIST.where(Asset.purge_after > func.now())
    rows, cursor = list_rows(staying, workspace_id, Filters(status=AssetState.DELETED), paging)
    return cards(workspace_id, rows, "list"), cursor


def find_row(workspace_id: UUID, asset_id: UUID, view: View) -> AnyRow:
    """What the card of one asset is made from, in whatever state it is. Raises ``NotFound``."""
    row = db.session.execute(
        _columns(view).where(Asset.workspace_id == workspace_id, Asset.id == asset_id)
    ).one_or_none()
    if row is None:
        raise NotFound(gettext("There is no such file in this workspace."))
    return row


def _columns(view: View) -> AnySelect:
    """What a card needs of an asset; only the list shows who added it."""
    return _LIST if view == "list" else _GRID


def cards(
    workspace_id: UUID,
    rows: Sequence[AnyRow],
    view: View,
    *,
    polls: int = 0,
    places: Mapping[UUID, Sequence[str]] | None = None,
) -> list[Card]:
    """The cards of these rows, in their order. ``polls``: how often the page has polled them.

    ``places`` has for an asset's id the names of its library and folders.
    """
    urls = PreviewUrls(workspace_id)
    # ``url_for`` costs as much as half a card: each address is made once, with a place for the id.
    page = url_for("library.asset", workspace_id=workspace_id, asset_id=NO_ID)
    file = url_for("delivery_api.download", w=workspace_id, a=NO_ID)
    poll = url_for("library.card", workspace_id=workspace_id, asset_id=NO_ID, view=view, poll=polls + 1)
    kind_words = names_of_kinds()
    marks: dict[tuple[Any, ...], StateMark] = {}
    # Patterns are translated once: a translation costs as much as five other fields of a card.
    actions, units = gettext("Actions for %(name)s"), SizeFormat()
    made = []
    for row in rows:
        asset_id = str(row.id)
        derived = [Derived(*each) for each in row.derived or ()]
        name = formats.file_name(row.file_name)
        size = units.short(row.size_bytes)
        icon, css = _no_picture(row)
        made.append(
            Card(
                id=asset_id,
                address=page.replace(_NO_ID, asset_id),
                name=name,
                actions=actions % {"name": name.whole},
                size_bytes=row.size_bytes,
                size=size,
                exact_size=units.exact(row.size_bytes),
                status=row.state.value,
                mark=_mark(row, marks),
                kind=kind_words.get(row.kind, row.kind),
                picture=_picture(row, derived, BOXES[view], urls),
                icon=icon,
                icon_css=css,
                badge=BADGES.get(row.kind) if derived else None,
                large=large_preview(row, derived, file.replace(_NO_ID, asset_id), size),
                poll=None if is_final(row) else Poll(poll.replace(_NO_ID, asset_id), poll_seconds(polls)),
                author=(row.author_name or row.author_email or "") if view == "list" else None,
                added=formats.moment(row.created_at) if view == "list" else None,
                deleted=row.deleted_at and formats.moment(row.deleted_at),
                removed=row.purge_after and formats.moment(row.purge_after),
                place=" / ".join(map(formats.visible, places[row.id])) if places and row.id in places else None,
            )
        )
    return made


def filter_bar(workspace_id: UUID, query: Mapping[str, str], view: View) -> FilterBar:
    """The filters of a list that is narrowed by ``query``, the parameters of its address."""

    here = url_for("library.index", workspace_id=workspace_id)

    def address(**changed: str | None) -> str:
        values = {name: value for name, value in {**query, **changed}.items() if value is not None}
        return f"{here}?{urlencode(values)}" if values else here

    kind = query.get("kind")
    kinds = {
        "photo": gettext("Photos"),
        "vector": gettext("Vector"),
        "video": gettext("Videos"),
        "document": gettext("Documents"),
        "archive": gettext("Archives"),
    }
    return FilterBar(
        views=[
            Choice(gettext("Grid"), address(view="grid"), view == "grid", "layout-grid"),
            Choice(gettext("List"), address(view="list"), view == "list", "list"),
        ],
        kinds=[Choice(gettext("All"), address(kind=None), kind is None)]
        + [Choice(words, address(kind=name), kind == name) for name, words in kinds.items()],
        states=[
            ("", gettext("Any state")),
            ("available", gettext("Ready")),
            ("processing", gettext("Checking…")),
            ("quarantined", gettext("Quarantined")),
            ("failed", gettext("Failed")),
        ],
        narrowed=any(query.get(name) for name in ("q", "kind", "status")),
    )


def names_of_kinds() -> dict[str, str]:
    """The kinds of files, each with its name for one file."""
    return {
        "photo": gettext("Photo"),
        "vector": gettext("Vector"),
        "video": gettext("Video"),
        "document": gettext("Document"),
        "archive": gettext("Archive"),
    }


def _mark(row: AnyRow, known: dict[tuple[Any, ...], StateMark]) -> StateMark:
    """The state of an asset. On most pages all are alike: what is in ``known`` is not translated again."""
    reason = (row.reason_code, row.reason_detail, row.waiting_for, row.released_at is None)
    key = (row.state, *reason, row.scan_result, row.scan_signature, row.scan_reason)
    if key not in known:
        known[key] = state_mark(row)
    return known[key]


def _picture(row: AnyRow, derived: Sequence[Derived], box: Box, urls: PreviewUrls) -> Picture | None:
    """The smallest picture that fills the box, else the largest there is, and the next one for dense screens."""
    fitting = [each for each in derived if each.name in box.names]
    if not fitting:
        return None
    first = next((each for each in fitting if each.width >= box.width), fitting[-1])
    larger = next((each for each in fitting if each.width > first.width), None)
    css = "picture-img"
    if row.kind == "vector" or not NARROW <= first.width / first.height <= WIDE:
        css += " picture-whole"
    if row.kind == "document":
        css += " picture-top"
    return Picture(
        src=urls.picture(row.profile_id, first.object_key),
        larger=urls.picture(row.profile_id, larger.object_key) if larger else None,
        width=first.width,
        height=first.height,
        css=css,
        ground=row.placeholder or GROUND,
    )


def _no_picture(row: AnyRow) -> tuple[str, str]:
    """The icon in place of a picture, and its class."""
    if row.state == AssetState.QUARANTINED:
        return "shield-x", "picture-none picture-bad"
    if row.state == AssetState.FAILED:
        return "alert-triangle", "picture-none picture-bad"
    return KIND_ICONS.get(row.kind, "file-unknown"), "picture-none" if is_final(row) else "picture-none picture-busy"


def large_preview(row: Any, derived: Sequence[Derived | Variant], file: str, size: str) -> LargePreview | None:
    """The largest picture of an asset (an ``Asset`` or a row of it); ``file`` is the address of its download."""
    largest = next((each for each in reversed(derived) if each.name in LARGE), None)
    if largest is None or row.state != AssetState.AVAILABLE:
        return None
    facts = f"{size} · {row.width} × {row.height}" if row.width else size
    return LargePreview(f"{file}?variant={largest.name}", largest.width, largest.height, facts)
