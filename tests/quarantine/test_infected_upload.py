"""An infected upload: quarantined, counted, listed, out of reach, and removed after a week."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import urllib3

from portal.assets import jobs
from portal.database import now
from portal.objectstore import keys
from portal.storage import service as storage
from portal.uploads import jobs as upload_jobs
from tests.support.engines import EICAR, SIGNATURE, TestEngines
from tests.support.factories import change_asset, find_asset, read_asset
from tests.support.people import Cast


@pytest.fixture(scope="module")
def web() -> Iterator[urllib3.PoolManager]:
    """A client without credentials for the store."""
    with urllib3.PoolManager(timeout=30, retries=False) as http:
        yield http


@pytest.fixture
def infected(cast: Cast, engines: TestEngines, web: urllib3.PoolManager) -> UUID:
    """An upload of bob in which the scanner found a virus."""
    assert engines.clamd is not None, "the tests need ClamAV: apt-get install clamav-daemon"
    promise = {"file_name": "invoice.txt", "mime_type": "text/plain", "size_bytes": len(EICAR)}
    begun = cast.bob.api.post(cast.url("uploads"), json=promise).get_json()
    assert _send(web, begun, EICAR) in (200, 201, 204)
    committed = cast.bob.api.post(cast.url(f"uploads/{begun['upload_id']}/commit"), json={})
    assert committed.status_code == 200, committed.text
    asset_id = UUID(committed.get_json()["asset_id"])
    with cast.app.app_context():
        upload_jobs.take_in(str(cast.acme.id), str(cast.press.id), str(asset_id))
    return asset_id


def _send(web: urllib3.PoolManager, begun: dict[str, Any], content: bytes) -> int:
    if begun["method"] == "PUT":
        return web.request("PUT", begun["upload_url"], body=content, headers=begun["headers"]).status
    fields = {**begun["fields"], "file": ("file", content, "text/plain")}
    return web.request("POST", begun["upload_url"], fields=fields).status


def _purge(cast: Cast, asset_id: UUID) -> None:
    with cast.app.app_context():
        jobs.purge(str(cast.acme.id), str(cast.press.id), str(asset_id))


def _stored(cast: Cast) -> list[str]:
    with cast.app.app_context():
        return [key for key, *_ in storage.managed_bucket().list(keys.workspace_prefix(cast.press.id))]


def test_it_is_listed_with_what_was_found_and_a_deadline(cast: Cast, infected: UUID) -> None:
    (item,) = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/quarantine").get_json()["items"]
    assert (item["asset_id"], item["uploaded_by"]) == (str(infected), str(cast.bob.id))
    assert SIGNATURE in item["signature"]
    assert "ClamAV" in item["engine"]
    asset = read_asset(cast, infected)
    assert asset.purge_after is not None and asset.quarantined_at is not None
    assert timedelta(days=6, hours=23) < asset.purge_after - asset.quarantined_at < timedelta(days=7, hours=1)


def test_its_bytes_are_only_in_the_quarantine_and_use_space(cast: Cast, infected: UUID) -> None:
    assert _stored(cast) == [keys.quarantine(cast.press.id, infected, "invoice.txt")]
    quota = cast.vera.api.get(cast.url("quota")).get_json()
    assert (quota["used_bytes"], quota["reserved_bytes"]) == (len(EICAR), 0)


def test_nobody_can_download_or_delete_it(cast: Cast, infected: UUID) -> None:
    for actor in (cast.alice, cast.bob, cast.vera):
        refused = actor.api.get(cast.url(f"assets/{infected}/download"))
        assert (refused.status_code, refused.get_json()["code"]) == (409, "held")
    refused = cast.alice.api.delete(cast.url(f"assets/{infected}?permanent=true"))
    assert (refused.status_code, refused.get_json()["code"]) == (409, "held")


def test_no_purge_removes_it_before_its_deadline(cast: Cast, infected: UUID) -> None:
    _purge(cast, infected)
    assert find_asset(cast, infected) is not None
    assert len(_stored(cast)) == 1


def test_after_its_deadline_bytes_row_and_used_space_are_gone(cast: Cast, infected: UUID) -> None:
    change_asset(cast, infected, purge_after=now() - timedelta(seconds=1))
    _purge(cast, infected)
    assert find_asset(cast, infected) is None
    assert _stored(cast) == []
    assert cast.vera.api.get(cast.url("quota")).get_json()["used_bytes"] == 0
    assert cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/quarantine").get_json()["items"] == []
