"""An operator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.admin import service as admin
from tests.support.people import Actor, Cast


@pytest.fixture
def olga(cast: Cast) -> Actor:
    """Vera as an operator of the installation."""
    with cast.app.app_context():
        admin.make_operator(cast.vera.email)
    return cast.vera


@pytest.fixture(autouse=True)
def switches_off(cast: Cast) -> Iterator[None]:
    """No switch outlives its test."""
    yield
    with cast.app.app_context():
        from sqlalchemy import delete

        from portal.database import transaction
        from portal.tenancy.models import Switch

        with transaction() as session:
            session.execute(delete(Switch))
        cast.app.extensions.pop("portal.switches", None)
