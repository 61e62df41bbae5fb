"""Every desk asks the database a fixed number of questions, however many workspaces, people and files there are."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.admin import load_data
from portal.admin import service as admin
from portal.tenancy.models import TenantRole
from tests.admin.conftest import Made, make_crowd
from tests.support.engines import TestEngines
from tests.support.people import Browser, Cast
from tests.support.statement_counter import admin_pages_of, counted

MOST = 15  # statements of one page
EVERY_LINE = {"trail.download"}  # a file of all lines is read page by page


@pytest.fixture(scope="module")
def hamlet(app: Flask, engines: TestEngines) -> Made:
    """A crowd a tenth of the other."""
    return make_crowd(app, engines, load_data.Size(workspaces=2, people=6, assets=1_000))


def statements(browser: Browser, place: Made) -> dict[str, list[str]]:
    """Endpoint -> what it asks of the database, once what is believed for some seconds is known: the least of three."""
    where = place.slug, place.tenant_id, place.workspace_id, place.held_id
    found: dict[str, list[str]] = {}
    for endpoint, address in admin_pages_of(browser.application, *where).items():
        assert browser.get(address).status_code == 200, address
        for _ in range(3):
            with counted() as asked:
                browser.get(address).get_data()
            found[endpoint] = min(found.get(endpoint, asked), asked, key=len)
    return found


def test_a_desk_costs_the_same_statements_at_any_size(cast: Cast, made: Made, hamlet: Made) -> None:
    with cast.app.app_context():
        admin.make_operator(cast.tina.email)
        for place in (made, hamlet):
            admin.add_user(place.slug, cast.tina.email, TenantRole.ADMIN, None)
    few, many = (statements(cast.tina.browser, place) for place in (hamlet, made))
    assert len(many) >= 15, "the admin pages are found"
    for endpoint in many.keys() - EVERY_LINE:
        assert len(many[endpoint]) == len(few[endpoint]), (endpoint, many[endpoint])
        assert len(many[endpoint]) <= MOST, (endpoint, many[endpoint])
