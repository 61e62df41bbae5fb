"""The pages of tenant admins and operators: axe finds nothing serious, and nothing is wider than a phone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from portal.admin import service as admin
from portal.database import db, now, transaction
from portal.errors import Conflict
from portal.mail import service as mail
from portal.mail.models import Email
from portal.mail.service import Addressee
from tests.browser.conftest import Scene, Visits
from tests.browser.test_accessibility import EXAMINED, PHONE, WIDE, Examination
from tests.support.statement_counter import admin_pages_of

BEYOND = """() => [...document.querySelectorAll("main *")]
    .filter((element) => element.getBoundingClientRect().right > 360)
    .map((element) => element.outerHTML.slice(0, 100))"""


@pytest.fixture(scope="module")
def addresses(scene: Scene) -> Iterator[list[str]]:
    """Of every desk that is a page, for tina, who is an operator here; and of one letter."""
    cast = scene.cast
    with cast.app.app_context():
        with suppress(Conflict):
            admin.make_operator(cast.tina.email)
        with transaction():
            tina, words = Addressee("Tina", cast.tina.email), "Three bytes."
            mail.enqueue("task_alarm", [tina], None, task="The recount", detail=words, at=now(), path="/")
        letter = db.session.query(Email.id).filter_by(recipient=cast.tina.email).first()
        assert letter is not None
    found = admin_pages_of(cast.app, cast.acme.slug, cast.acme.id, cast.press.id)
    pages = [each for each in found.values() if not each.startswith("/v1/") and is_page(scene, each)]
    yield [*pages, f"/operator/mail/{letter.id}"]


def is_page(scene: Scene, address: str) -> bool:
    """A whole page, not a file or a part of one."""
    answer = scene.cast.tina.browser.get(address)
    return answer.status_code == 200 and "<html" in answer.get_data(as_text=True)


def test_admin_pages_are_accessible(visit: Visits, scene: Scene, addresses: list[str]) -> None:
    examination = Examination()
    page = visit(scene.cast.tina, **EXAMINED)
    for address in addresses:
        page.goto(address)
        examination.look_at(page, address, looks=((WIDE, "light"), (PHONE, "dark")))
    assert examination.found == {}


def test_admin_pages_are_not_wider_than_a_phone(visit: Visits, scene: Scene, addresses: list[str]) -> None:
    page = visit(scene.cast.tina, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    wide = {}
    for address in addresses:
        page.goto(address)
        if page.evaluate("document.documentElement.scrollWidth") > 360:
            wide[address] = page.evaluate(BEYOND)
    assert wide == {}
