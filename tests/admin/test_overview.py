"""The overview of a tenant."""

from __future__ import annotations

import html
import re
from uuid import UUID

from portal.admin import service as admin
from portal.web.paging import encode_cursor
from tests.support.factories import make_asset
from tests.support.people import Cast
from tests.support.statement_counter import counted


def overview(cast: Cast) -> str:
    return f"/t/{cast.acme.slug}/overview"


def test_an_admin_sees_usage_and_workspaces(cast: Cast) -> None:
    make_asset(cast)
    page = cast.tina.browser.get(overview(cast))
    assert page.status_code == 200
    for text in ("Press", "Alice", "4 people", cast.page("members")):
        assert text in page.text
    assert "Lair" not in page.text
    assert cast.mallory.email not in page.text


def test_only_admins_of_this_tenant_see_it(cast: Cast) -> None:
    assert cast.alice.browser.get(overview(cast)).status_code == 403
    assert cast.mallory.browser.get(overview(cast)).status_code == 404
    assert cast.nobody.get(overview(cast)).status_code == 302


def test_it_runs_the_same_statements_for_one_workspace_and_for_many(cast: Cast) -> None:
    cast.tina.browser.get(overview(cast))  # the first request of a browser records its session
    with counted() as few:
        cast.tina.browser.get(overview(cast))
    with cast.app.app_context():
        for number in range(5):
            admin.open_workspace(cast.acme.slug, f"w{number}", f"W{number}", cast.bob.email)
    with counted() as many:
        cast.tina.browser.get(overview(cast))
    assert len(many) == len(few)


def test_a_long_list_is_paged(cast: Cast) -> None:
    with cast.app.app_context():
        for number in range(4):
            admin.open_workspace(cast.acme.slug, f"w{number}", f"W{number}", cast.bob.email)
    seen: list[str] = []
    address = f"{overview(cast)}?limit=2&cursor={encode_cursor('', UUID(int=0))}"
    while address:
        part = cast.tina.browser.get(address, headers={"HX-Request": "true"})
        assert part.status_code == 200 and "<html" not in part.text
        seen += re.findall(r"<strong[^>]*>([^<]+)</strong>", part.text)
        more = re.search(r'href="([^"]+cursor[^"]+)"', part.text)
        address = html.unescape(more[1]) + "&limit=2" if more else ""
    assert seen == ["Press", "W0", "W1", "W2", "W3"]
    assert "<html" in cast.tina.browser.get(f"{overview(cast)}?limit=2").text
    for bad in ("cursor=WyJhIl0", "limit=0"):
        assert cast.tina.browser.get(f"{overview(cast)}?{bad}").status_code == 422
