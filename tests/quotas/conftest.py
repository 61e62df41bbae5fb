"""A bare application around the database: quotas need no pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from portal.db import db


@pytest.fixture(scope="session")
def bare_app(engines: Any) -> Iterator[Flask]:
    """An application with nothing but the database, as the role that owns no table."""
    settings = engines.settings()
    app = Flask("quotas")
    app.config.update(SQLALCHEMY_DATABASE_URI=settings.database_url, SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 20})
    app.extensions["portal.settings"] = settings
    db.init_app(app)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def in_app(bare_app: Flask) -> Iterator[Flask]:
    """Inside that application."""
    with bare_app.app_context():
        yield bare_app
