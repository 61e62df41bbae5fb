"""A small crowd, made once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from portal.admin import load_data
from portal.assets.models import Asset, AssetState
from portal.database import db, enter
from portal.tenancy.models import Workspace
from tests.support.engines import TestEngines

SIZE = load_data.Size(workspaces=7, people=40, assets=3_000)


@dataclass(frozen=True)
class Made:
    """A tenant, one of its workspaces, a file that is held there, and what the maker said."""

    slug: str
    tenant_id: UUID
    workspace_id: UUID
    held_id: UUID | None
    words: list[str]


def make_crowd(app: Flask, engines: TestEngines, size: load_data.Size) -> Made:
    """A tenant of this size."""
    slug, words = f"crowd-{uuid4().hex[:8]}", list[str]()
    with app.app_context():
        tenant_id = load_data.generate(engines.settings(), slug, size, None, words.append)
        enter(tenant_id)
        first = db.session.scalars(select(Workspace.id).order_by(Workspace.id)).first()
        held = db.session.scalars(select(Asset.id).where(Asset.state == AssetState.QUARANTINED)).first()
    assert first is not None
    return Made(slug, tenant_id, first, held, words)


@pytest.fixture(scope="session")
def made(app: Flask, engines: TestEngines) -> Made:
    """The crowd."""
    return make_crowd(app, engines, SIZE)


@pytest.fixture
def inside(made: Made, app: Flask) -> Iterator[Made]:
    """The crowd, entered."""
    with app.app_context():
        enter(made.tenant_id)
        yield made
