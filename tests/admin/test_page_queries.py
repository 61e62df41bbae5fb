"""Every admin page runs a fixed number of queries, however many workspaces, people and files there are."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.admin import load_data
from portal.admin import service as admin
from portal.tenancy.models import TenantRole
from tests.admin.conftest import GeneratedTenant, generate
from tests.support.engines import TestEngines
from tests.support.people import Browser, Cast
from tests.support.statement_counter import admin_pages_of, counted

MOST_STATEMENTS = 15  # of one page
DOWNLOADS = {"audit_log.download"}  # a download reads page by page


@pytest.fixture(scope="module")
def small(app: Flask, engines: TestEngines) -> GeneratedTenant:
    """A tenant of a third of the other's size."""
    return generate(app, engines, load_data.Size(workspaces=2, people=6, assets=1_000))


def statements(browser: Browser, place: GeneratedTenant) -> dict[str, list[str]]:
    """Endpoint -> its statements, once what is cached for some seconds is known: the fewest of three requests."""
    where = place.slug, place.tenant_id, place.workspace_id, place.quarantined_id
    found: dict[str, list[str]] = {}
    for endpoint, address in admin_pages_of(browser.application, *where).items():
        assert browser.get(address).status_code == 200, address
        for _ in range(3):
            with counted() as asked:
                browser.get(address).get_data()
            found[endpoint] = min(found.get(endpoint, asked), asked, key=len)
    return found


def test_a_page_runs_the_same_statements_at_any_size(cast: Cast, made: GeneratedTenant, small: GeneratedTenant) -> None:
    with cast.app.app_context():
        admin.make_operator(cast.tina.email)
        for place in (made, small):
            admin.add_user(place.slug, cast.tina.email, TenantRole.ADMIN, None)
    few, many = (statements(cast.tina.browser, place) for place in (small, made))
    assert len(many) >= 15, "the admin pages are found"
    for endpoint in many.keys() - DOWNLOADS:
        assert len(many[endpoint]) == len(few[endpoint]), (endpoint, many[endpoint])
        assert len(many[endpoint]) <= MOST_STATEMENTS, (endpoint, many[endpoint])
