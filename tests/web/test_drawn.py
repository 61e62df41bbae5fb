"""Parts of pages that are drawn once and kept for everybody."""

from __future__ import annotations

import re

from sqlalchemy import text

from portal.database import db
from tests.support.factories import make_asset
from tests.support.people import Cast


def tokens(page: str) -> set[str]:
    return set(re.findall(r'name="csrf_token" value="([^"]+)"', page))


def test_nobody_sees_a_part_that_was_drawn_for_somebody_else(cast: Cast) -> None:
    make_asset(cast)
    people = (cast.alice, cast.bob, cast.vera)
    pages = {actor.name: actor.browser.get(cast.page("files")).text for _ in range(2) for actor in people}
    for actor in people:
        others = [other for other in people if other is not actor]
        assert actor.email in pages[actor.name]
        assert not any(other.email in pages[actor.name] for other in others)
        assert not any(tokens(pages[actor.name]) & tokens(pages[other.name]) for other in others)
        assert tokens(pages[actor.name])
        assert "\0" not in pages[actor.name]
    assert ["data-upload" in pages[actor.name] for actor in people] == [True, True, False]


def test_a_kept_part_shows_what_has_changed(cast: Cast) -> None:
    page = cast.page("files")
    before = cast.bob.browser.get(page).text
    assert 'type="search" name="q" value="sea"' in cast.bob.browser.get(page + "?q=sea").text
    cast.bob.api.post(cast.url("libraries"), json={"name": "Press kit"})
    make_asset(cast, size_bytes=3 * 1024**3, charged_bytes=3 * 1024**3)
    after = cast.bob.browser.get(page).text
    assert ("Press kit" in before, "Press kit" in after) == (False, True)
    assert ("3.0 GB" in before, "3.0 GB" in after) == (False, True)


def test_the_database_keeps_its_plans_from_one_request_to_the_next(cast: Cast) -> None:
    for _ in range(40):
        assert cast.vera.browser.get(cast.page("files")).status_code == 200
    with cast.app.app_context():
        prepared = db.session.scalars(text("SELECT statement FROM pg_prepared_statements")).all()
    assert any("FROM assets" in statement for statement in prepared)
