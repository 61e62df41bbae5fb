"""Every page and list of tenant admins and operators, with 500 workspaces, 5,000 people and 1,000,000 files.

The time is the server's, from the request to the last byte of the answer, in one process that has seen each page
before; beside it stands how many statements it took.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from flask import Flask
from sqlalchemy import select

from bench.deployment import deployed
from portal.admin import load_data
from portal.admin import service as admin
from portal.assets.models import Asset, AssetState
from portal.database import db, enter, leave
from portal.quotas.models import WorkspaceQuota
from portal.tenancy import service as tenancy
from tests.support.people import Browser
from tests.support.statement_counter import admin_pages_of, counted

SLUG = "crowd"
ROUNDS = 12
WORK = "an admin page with 500 workspaces, 5,000 people, 1,000,000 files"
SLOW = ("audit_log.download", "usage_reports.as_csv")  # files of all lines, not pages


def run() -> list[dict[str, Any]]:
    """Rows for the table."""
    with deployed() as here:
        with here.app.app_context():
            admin.make_operator(here.cast.tina.email)
            load_data.generate(here.settings, SLUG, load_data.Size(), here.cast.tina.email, print)
            leave()
        return measure(here.app, here.cast.tina.browser)


def measure(app: Flask, browser: Browser) -> list[dict[str, Any]]:
    """The same on a crowd that is there; ``browser`` is of somebody who is its administrator and an operator."""
    with app.app_context():
        tenant = tenancy.find_tenant(SLUG)
        assert tenant is not None
        enter(tenant.id)
        largest = select(WorkspaceQuota.workspace_id).order_by(WorkspaceQuota.used_bytes.desc()).limit(1)
        held = select(Asset.id).where(Asset.state == AssetState.QUARANTINED).limit(1)
        where = tenant.id, db.session.scalars(largest).one(), db.session.scalars(held).first()
        addresses = admin_pages_of(app, SLUG, *where)
        leave()
    return [_row(browser, name, address) for name, address in sorted(addresses.items()) if name not in SLOW]


def _row(browser: Browser, name: str, address: str) -> dict[str, Any]:
    with counted() as statements:
        answer = browser.get(address)
    assert answer.status_code == 200, (address, answer.status)
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        browser.get(address).get_data()
        taken.append(time.perf_counter() - began)
    measured = f"ms of server time, {name}, {len(statements)} statements"
    ours = round(statistics.median(taken) * 1000, 1)
    return {"work": WORK, "measure": measured, "ours": ours, "peer": None, "ratio": None, "target": "≤ 100"}
