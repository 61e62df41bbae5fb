"""The generated tenant has rows as the pipeline writes them."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from portal.admin import load_data
from portal.assets.models import Asset, AssetState
from portal.database import db
from portal.errors import Conflict
from portal.lifecycle.recount import recount
from portal.tenancy.models import TenantMembership, TenantRole, Workspace
from tests.admin.conftest import SIZE, GeneratedTenant
from tests.support.engines import TestEngines


def test_it_has_the_size_that_was_requested(inside: GeneratedTenant) -> None:
    for model, number in ((Workspace, 7), (Asset, 3_000)):
        assert db.session.scalar(select(func.count()).select_from(model)) == number
    members = select(func.count()).where(TenantMembership.role == TenantRole.MEMBER)
    assert db.session.scalar(members) == 37, "the first three are admins"
    assert inside.messages[:2] == ["40 people in 7 workspaces.", "3,000 files."]


def test_its_counters_and_ledger_explain_every_byte(inside: GeneratedTenant) -> None:
    assert recount(inside.tenant_id) == []


def test_it_has_files_of_every_kind_and_state(inside: GeneratedTenant) -> None:
    states = dict(db.session.execute(select(Asset.state, func.count()).group_by(Asset.state)).all())
    assert set(states) == set(AssetState) - {AssetState.PROCESSING}
    assert states[AssetState.AVAILABLE] > 2_800
    assert len(set(db.session.scalars(select(Asset.kind).distinct()))) == 5
    duplicates = select(Asset.sha256).group_by(Asset.workspace_id, Asset.sha256).having(func.count() > 1)
    assert len(db.session.scalars(duplicates).all()) > 5


def test_nothing_of_it_is_due_to_be_purged(inside: GeneratedTenant) -> None:
    due = select(func.count()).select_from(Asset).where(Asset.purge_after < func.now())
    assert db.session.scalar(due) == 0


def test_a_second_tenant_with_the_same_slug_is_refused(inside: GeneratedTenant, engines: TestEngines) -> None:
    with pytest.raises(Conflict):
        load_data.generate(engines.settings(), inside.slug, SIZE, None, print)
