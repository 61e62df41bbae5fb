"""Paging by keyset: ``?limit=&cursor=``, cursors are opaque to clients.

    paging = read_paging()                                     # 422 for a limit or cursor that is none
    query = select(Asset).where(...).order_by(Asset.id.desc()).limit(paging.limit + 1)
    if (after := paging.after_id()) is not None:
        query = query.where(Asset.id < after)
    rows, cursor = cut(list(db.session.scalars(query)), paging, key=lambda asset: asset.id)

One row more than requested is fetched; ``cut`` drops it and makes the cursor from the last row that stays.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from flask import request
from flask_babel import gettext as _

from portal.errors import Invalid

LARGEST, DEFAULT = 200, 50
Row = TypeVar("Row")


@dataclass(frozen=True)
class Paging:
    """``limit`` rows after the place that ``after`` names (empty: from the start)."""

    limit: int = DEFAULT
    after: tuple[str, ...] = ()

    def after_id(self) -> UUID | None:
        """The place as an id, where the list is sorted by id alone. Raises ``Invalid``."""
        if not self.after:
            return None
        try:
            (only,) = self.after
            return UUID(only)
        except ValueError:
            raise _bad_cursor() from None

    def after_name(self) -> tuple[str, UUID] | None:
        """The place as a name and an id, where the list is sorted by both. Raises ``Invalid``."""
        if not self.after:
            return None
        try:
            name, last = self.after
            return name, UUID(last)
        except ValueError:
            raise _bad_cursor() from None


def read_paging(default: int = DEFAULT) -> Paging:
    """The paging of the request."""
    limit = request.args.get("limit", str(default))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= LARGEST):
        raise Invalid(_("limit must be a whole number from 1 to %(most)s.", most=LARGEST), field="limit")
    return Paging(int(limit), decode_cursor(request.args.get("cursor") or None))


def cut(rows: Sequence[Row], paging: Paging, key: Callable[[Row], Any]) -> tuple[Sequence[Row], str | None]:
    """The page and the cursor of the next one (None at the end). ``key`` gives the sort value or a tuple of them."""
    if len(rows) <= paging.limit:
        return rows, None
    page = rows[: paging.limit]
    place = key(page[-1])
    return page, encode_cursor(*(place if isinstance(place, tuple) else (place,)))


def page_of(rows: Sequence[Row], paging: Paging, key: Callable[[Row], Any]) -> tuple[Sequence[Row], str | None]:
    """A page of a list that is short enough to be read whole; ``key`` tells its rows apart, in whatever order they are.

    Raises ``Invalid`` where the row that the cursor names has gone.
    """
    places: list[tuple[str, ...]] = [(str(key(row)),) for row in rows]
    if paging.after and paging.after not in places:
        raise _bad_cursor()
    start = places.index(paging.after) + 1 if paging.after else 0
    return cut(rows[start:], paging, key)


def all_pages(read: Callable[[Paging], tuple[Sequence[Row], str | None]]) -> Iterator[Row]:
    """Every row of a list, read page by page: for commands, which print it whole."""
    cursor: str | None = None
    while True:
        rows, cursor = read(Paging(LARGEST, decode_cursor(cursor)))
        yield from rows
        if cursor is None:
            return


def encode_cursor(*place: Any) -> str:
    """An opaque cursor for a place in a sorted list."""
    text = json.dumps([str(part) for part in place], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str | None) -> tuple[str, ...]:
    """The place that a cursor names. Raises ``Invalid`` for what no server gave out."""
    if cursor is None:
        return ()
    try:
        place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise _bad_cursor() from None
    parts = place if isinstance(place, list) else []
    if not parts or not all(isinstance(part, str) and "\0" not in part for part in parts):
        raise _bad_cursor()
    return tuple(place)


def _bad_cursor() -> Invalid:
    return Invalid(_("No list has given out this cursor. Start again without it."), field="cursor")
