"""The recount: no difference when every byte is explained, and each kind of difference is reported."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.assets.models import Asset
from portal.database import db, enter, new_id, now, transaction
from portal.folders.models import Library
from portal.lifecycle.recount import recount
from portal.quotas import service as quotas
from portal.storage.models import ProfileMode, StorageProfile
from portal.uploads.models import Upload, UploadState
from tests.support.quotas import Place, open_place

pytestmark = pytest.mark.usefixtures("in_app")


@pytest.fixture
def place() -> Place:
    """A tenant with two workspaces; in the first lie one file of 300 bytes and one open upload of 50."""
    place = open_place(1000, None, tenant_limit=2000)
    with transaction(place.tenant) as session:
        own = {"tenant_id": place.tenant, "workspace_id": place.workspace}
        library, profile = Library(id=new_id(), name="Files", **own), new_id()
        session.add_all(
            [library, StorageProfile(id=profile, mode=ProfileMode.MANAGED, name="Managed", active=True, **own)]
        )
        session.flush()
        where = {**own, "library_id": library.id, "profile_id": profile, "file_name": "a.txt", "kind": "document"}
        session.add_all([_asset(where, 300), _upload(where, 300, 0), _upload(where, 50, 50)])
    place.hold(300)
    place.reserve(50)
    return place


def _asset(where: dict[str, object], charged: int) -> Asset:
    own = {"upload_id": new_id(), "created_by": new_id(), "mime_type": "text/plain", "staged_etag": "e"}
    return Asset(**where, **own, size_bytes=charged, charged_bytes=charged)


def _upload(where: dict[str, object], size: int, reserved: int) -> Upload:
    until = now() + timedelta(hours=1)
    own = {"user_id": new_id(), "declared_type": "text/plain", "signed_type": "text/plain", "method": "POST"}
    state = UploadState.CREATED if reserved else UploadState.COMMITTED
    size_and_state = {"size_bytes": size, "reserved_bytes": reserved, "state": state}
    return Upload(**where, **own, **size_and_state, expires_at=until, form_expires_at=until)


def _found(place: Place) -> list[str]:
    enter(place.tenant)
    found = recount(place.tenant)
    db.session.commit()
    return found


def test_correct_counters_have_no_differences(place: Place) -> None:
    assert _found(place) == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE assets SET charged_bytes = 299", "used_bytes says 300; by its assets it is 299 (+1)"),
        ("UPDATE uploads SET reserved_bytes = 0", "reserved_bytes says 50; by its uploads it is 0 (+50)"),
        (
            "UPDATE workspace_quotas SET used_bytes = 301 WHERE workspace_id = :workspace",
            "used_bytes says 301; by the ledger it is 300 (+1)",
        ),
        (
            "UPDATE tenant_quotas SET reserved_bytes = 49",
            "the tenant: reserved_bytes says 49; by its workspaces it is 50 (-1)",
        ),
        ("DELETE FROM workspace_quotas WHERE workspace_id = :workspace", "has no counters"),
        ("DELETE FROM tenant_quotas", "the tenant has no counters"),
    ],
)
def test_each_kind_of_difference_is_reported(place: Place, damage: str, words: str) -> None:
    place.change(damage)
    assert any(words in line for line in _found(place)), _found(place)


def test_another_tenants_counters_are_not_read(place: Place) -> None:
    other = open_place(1000)
    place.change("UPDATE tenant_quotas SET used_bytes = 1")
    assert _found(other) == []
    assert len(_found(place)) == 1


def test_a_tenant_without_workspaces_can_be_recounted(place: Place) -> None:
    other = open_place()
    other.change("DELETE FROM workspace_quotas")
    other.change("DELETE FROM workspaces")
    assert _found(other) == []
    with transaction(place.tenant):
        quotas.release(place.tenant, place.workspace, new_id(), 50)
    assert len(_found(place)) == 1
