"""A small generated tenant, made once."""

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
class GeneratedTenant:
    """A generated tenant, one of its workspaces, a quarantined file, and the messages of the command."""

    slug: str
    tenant_id: UUID
    workspace_id: UUID
    quarantined_id: UUID | None
    messages: list[str]


def generate(app: Flask, engines: TestEngines, size: load_data.Size) -> GeneratedTenant:
    """A tenant of this size."""
    slug, messages = f"load-{uuid4().hex[:8]}", list[str]()
    with app.app_context():
        tenant_id = load_data.generate(engines.settings(), slug, size, None, messages.append)
        enter(tenant_id)
        first = db.session.scalars(select(Workspace.id).order_by(Workspace.id)).first()
        quarantined = db.session.scalars(select(Asset.id).where(Asset.state == AssetState.QUARANTINED)).first()
    assert first is not None
    return GeneratedTenant(slug, tenant_id, first, quarantined, messages)


@pytest.fixture(scope="session")
def made(app: Flask, engines: TestEngines) -> GeneratedTenant:
    """The tenant of these tests."""
    return generate(app, engines, SIZE)


@pytest.fixture
def inside(made: GeneratedTenant, app: Flask) -> Iterator[GeneratedTenant]:
    """The tenant, entered in the session."""
    with app.app_context():
        enter(made.tenant_id)
        yield made
