"""Rows made directly, for tests of what comes after an upload: assets in any state, charged as on the road."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from portal import tasks
from portal.assets.models import Asset, AssetState, PreviewState, ScanResult, Variant
from portal.database import db, enter, new_id, now, transaction
from portal.folders import libraries
from portal.objectstore import keys
from portal.quotas import service as quotas
from portal.storage import service as storage
from portal.storage.models import StorageProfile
from portal.tasks import Target, Task
from portal.tenancy.models import Workspace
from tests.support.people import Cast

PIXEL = b"not really a picture, but bytes that are stored"
SIZES = {"thumb": 150, "small": 300, "medium": 600, "large": 1200, "web": 1920}


def make_asset(cast: Cast, file_name: str = "sea.jpg", *, workspace: Workspace | None = None, **values: Any) -> UUID:
    """An asset of alice's in ``press``: available, scanned, with previews, unless ``values`` differ."""
    place = workspace or cast.press
    asset_id = values.pop("id", None) or new_id()
    waiting_for = values.pop("waiting_for", None)
    with cast.app.app_context(), transaction(place.tenant_id) as session:
        session.add(Asset(**_values(cast, place, asset_id, file_name) | values))
        session.flush()
        if values.get("previews", PreviewState.READY) is PreviewState.READY:
            session.add_all(_variants(place, asset_id))
        if values.get("purge_after"):
            _schedule("purge", place, asset_id, values["purge_after"])
        if waiting_for:
            tasks.schedule_waiting("take_in", Target(asset_id, place.tenant_id, place.id), waiting_for)
        size = values.get("size_bytes", len(PIXEL))
        if values.get("charged_bytes", size):
            session.flush()
            quotas.reserve(place.tenant_id, place.id, asset_id, size)
            quotas.settle(place.tenant_id, place.id, asset_id, size)
    return asset_id


def make_assets(cast: Cast, count: int, **values: Any) -> list[UUID]:
    """Several, the oldest first: ``file-000.jpg``, ``file-001.jpg``, …"""
    return [make_asset(cast, f"file-{number:03}.jpg", **values) for number in range(count)]


def store_objects(cast: Cast, asset_id: UUID) -> list[str]:
    """Put what an asset's row names into the store, and a stray copy of a lost attempt; the keys."""
    with cast.app.app_context():
        asset = read_asset(cast, asset_id)
        bucket = storage.managed_bucket()
        stray = keys.original(asset.workspace_id, asset_id, "0badc0de", asset.file_name)
        staged = keys.staging(asset.workspace_id, asset.upload_id, asset.file_name)
        derived = [variant.object_key for variant in read_variants(cast, asset_id)]
        stored = [asset.object_key or "", stray, staged, *derived]
        for key in stored:
            bucket.put(key, PIXEL, content_type="image/jpeg")
    return stored


def read_asset(cast: Cast, asset_id: UUID) -> Asset:
    """The row as it is now. Raises when it is gone."""
    asset = find_asset(cast, asset_id)
    assert asset is not None
    return asset


def find_asset(cast: Cast, asset_id: UUID) -> Asset | None:
    """The row as it is now, or None."""
    with cast.app.app_context():
        enter(cast.press.tenant_id)
        asset = db.session.scalar(select(Asset).where(Asset.id == asset_id))
        db.session.expunge_all()
        return asset


def read_variants(cast: Cast, asset_id: UUID) -> list[Variant]:
    """The rows of its derived files."""
    with cast.app.app_context():
        enter(cast.press.tenant_id)
        rows = list(db.session.scalars(select(Variant).where(Variant.asset_id == asset_id)))
        db.session.expunge_all()
        return rows


def change_asset(cast: Cast, asset_id: UUID, **values: Any) -> None:
    """Write columns of a row behind the services' back; what its check waits for is its task's."""
    waiting_for = values.pop("waiting_for", None)
    with cast.app.app_context(), transaction(cast.press.tenant_id) as session:
        if values:
            session.execute(update(Asset).where(Asset.id == asset_id).values(values))
        if waiting_for:
            tasks.schedule_waiting("take_in", Target(asset_id, cast.acme.id, cast.press.id), waiting_for)
        if values.get("purge_after"):
            _schedule("purge", cast.press, asset_id, values["purge_after"])


def schedule(cast: Cast, kind: str, asset_id: UUID) -> None:
    """Make some work on an asset due now."""
    with cast.app.app_context(), transaction(cast.press.tenant_id):
        _schedule(kind, cast.press, asset_id, None)


def find_task(cast: Cast, kind: str, target_id: UUID) -> Task | None:
    """The task as it is now, or None."""
    with cast.app.app_context():
        task = db.session.scalar(select(Task).where(Task.kind == kind, Task.target_id == target_id))
        db.session.expunge_all()
        return task


def change_task(cast: Cast, kind: str, target_id: UUID, **values: Any) -> None:
    """Write columns of a task."""
    with cast.app.app_context(), transaction() as session:
        session.execute(update(Task).where(Task.kind == kind, Task.target_id == target_id).values(values))


def _schedule(kind: str, place: Workspace, asset_id: UUID, due_at: datetime | None) -> None:
    tasks.schedule(kind, asset_id, tenant_id=place.tenant_id, workspace_id=place.id, due_at=due_at)


def _values(cast: Cast, place: Workspace, asset_id: UUID, file_name: str) -> dict[str, Any]:
    enter(place.tenant_id)
    size = len(PIXEL)
    return {
        "id": asset_id,
        "tenant_id": place.tenant_id,
        "workspace_id": place.id,
        "library_id": libraries.default_library(place.id).id,
        "profile_id": db.session.scalars(select(StorageProfile.id).filter_by(workspace_id=place.id, active=True)).one(),
        "upload_id": new_id(),
        "created_by": cast.alice.id,
        "created_at": now(),
        "file_name": file_name,
        "kind": "photo",
        "mime_type": "image/jpeg",
        "size_bytes": size,
        "charged_bytes": size,
        "sha256": "ab" * 32,
        "staged_etag": "etag",
        "object_key": keys.original(place.id, asset_id, "5eed", file_name),
        "state": AssetState.AVAILABLE,
        "scan_result": ScanResult.CLEAN,
        "previews": PreviewState.READY,
        "placeholder": "#336699",
        "width": 4000,
        "height": 3000,
        "facts": {"format": "JPEG", "mode": "RGB", "width": 4000, "height": 3000, "aspect_ratio": 1.3333, "exif": {}},
    }


def _variants(place: Workspace, asset_id: UUID) -> list[Variant]:
    return [
        Variant(
            tenant_id=place.tenant_id,
            workspace_id=place.id,
            asset_id=asset_id,
            name=name,
            object_key=keys.derived(place.id, asset_id, name, f"{longest:032x}", "webp"),
            mime_type="image/webp",
            size_bytes=longest * 10,
            width=longest,
            height=longest * 3 // 4,
        )
        for name, longest in SIZES.items()
    ]
