"""Keyset paging: every row once, whatever the size of the page."""

from __future__ import annotations

from uuid import UUID

import pytest

from portal.database import new_id
from portal.errors import Invalid
from portal.web.access import public, put_mark, require_marks
from portal.web.paging import Paging, cut, decode_cursor, encode_cursor, page_of
from tests.support.people import Cast


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_pages_together_hold_every_row_once(limit: int) -> None:
    rows = [new_id() for _ in range(7)]
    seen: list[UUID] = []
    paging = Paging(limit)
    while True:
        after = paging.after_id()
        left = [row for row in rows if after is None or row > after]
        page, cursor = cut(left[: limit + 1], paging, key=lambda row: row)
        seen += page
        if cursor is None:
            break
        paging = Paging(limit, decode_cursor(cursor))
    assert seen == rows


def test_a_short_list_is_given_out_in_pages_whatever_its_order() -> None:
    rows = ["c", "a", "b"]
    first, cursor = page_of(rows, Paging(2), key=str)
    assert (first, page_of(rows, Paging(2, decode_cursor(cursor)), key=str)) == (["c", "a"], (["b"], None))
    with pytest.raises(Invalid):
        page_of(rows, Paging(2, ("gone",)), key=str)


def test_a_cursor_carries_any_text() -> None:
    place = ("ünï/\u202ecode", "", "2026-11-23")
    assert decode_cursor(encode_cursor(*place)) == place


def test_a_cursor_of_another_list_is_refused() -> None:
    for place in (("a",), ("a", "b")):
        with pytest.raises(Invalid):
            Paging(5, place).after_id()


def test_a_view_takes_one_mark_and_a_route_needs_one(cast: Cast) -> None:
    @public
    def view() -> str:
        return ""

    with pytest.raises(TypeError, match="two access marks"):
        put_mark(view, view.access_mark)  # type: ignore[attr-defined]
    require_marks(cast.app)
