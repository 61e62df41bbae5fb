"""Previews of an available asset: fetch the original, render in a child process, store, write the rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from portal import database, queue
from portal.assets import leases
from portal.assets.leases import Lease
from portal.assets.models import Asset, AssetState, PreviewState, Variant
from portal.database import db, new_id, transaction
from portal.inspection.spool import closing_spool, spool_errors
from portal.objectstore import keys
from portal.objectstore.bucket import Bucket
from portal.previews.renderer import render
from portal.previews.types import PreviewFailed, Rendered, RenderedVariant
from portal.storage import service as storage

CHUNK = 1024 * 1024
# The key carries the content's hash, so what lies there never changes (RFC 8246).
FOREVER = "private, max-age=31536000, immutable"


def render_previews(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Make the derived files of one asset. A failed preview leaves an available asset with the reason."""
    wanted = (Asset.state == AssetState.AVAILABLE, Asset.previews == PreviewState.PENDING)
    with leases.hold(tenant_id, asset_id, Asset.workspace_id == workspace_id, *wanted) as lease:
        if lease is None:
            return
        asset = db.session.scalars(select(Asset).where(*lease.mine)).one()
        bucket = storage.bucket_for(storage.find_profile(workspace_id, asset.profile_id))
        if leases.exhausted(asset):
            _fail(lease, "processing_failed", "The preview could not be made after several attempts.")
            return
        with _own_folder() as folder:
            try:
                rendered = _render(bucket, asset, folder)
            except PreviewFailed as failure:
                _fail(lease, failure.code, failure.detail)
                return
            rows = [_store(bucket, asset, variant) for variant in rendered.variants]
        if not _finish(lease, rendered, rows):
            _remove_unwanted(lease, asset, bucket)


def render_again(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> bool:
    """Try failed previews once more; were they failed?"""
    again = leases.settle(previews=PreviewState.PENDING, previews_code=None, previews_detail=None)
    return _leave_failed(tenant_id, workspace_id, asset_id, again | {"due_at": database.now()}, ring=True)


def give_up(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> bool:
    """Leave a file whose previews failed without any, for good; were they failed?"""
    return _leave_failed(tenant_id, workspace_id, asset_id, {"previews": PreviewState.NONE}, ring=False)


def _leave_failed(tenant_id: UUID, workspace_id: UUID, asset_id: UUID, values: dict[str, Any], *, ring: bool) -> bool:
    failed = Asset.state == AssetState.AVAILABLE, Asset.previews == PreviewState.FAILED
    with transaction(tenant_id):
        statement = update(Asset).where(Asset.workspace_id == workspace_id, Asset.id == asset_id, *failed)
        moved = db.session.execute(statement.values(values).returning(Asset.id)).one_or_none() is not None
    if moved and ring:
        queue.ring("render_previews", tenant_id, workspace_id, asset_id)
    return moved


@contextmanager
def _own_folder() -> Iterator[Path]:
    """A temporary folder, gone afterwards. Raises Unavailable."""
    with spool_errors():
        folder = tempfile.TemporaryDirectory(prefix="stowage-preview-", ignore_cleanup_errors=True)
    with folder as name:
        yield Path(name)


def _render(bucket: Bucket, asset: Asset, folder: Path) -> Rendered:
    """Raises PreviewFailed; Unavailable when the server is short of disk space."""
    source, out = folder / "original", folder / "derived"
    with spool_errors():
        out.mkdir()
    _fetch(bucket, asset, source)
    return render(source, asset.mime_type, out)


def _fetch(bucket: Bucket, asset: Asset, target: Path) -> None:
    with bucket.get(asset.object_key or "") as stream:
        with spool_errors():
            file = target.open("wb")
        with closing_spool(file):
            while chunk := stream.read(CHUNK):
                with spool_errors():
                    file.write(chunk)


def _store(bucket: Bucket, asset: Asset, variant: RenderedVariant) -> dict[str, Any]:
    suffix = variant.path.suffix.removeprefix(".")
    key = keys.derived(asset.workspace_id, asset.id, variant.name, variant.content_hash, suffix)
    with variant.path.open("rb") as body:
        bucket.put(key, body, content_type=variant.mime_type, size=variant.size_bytes, cache_control=FOREVER)
    return {
        "id": new_id(),
        "tenant_id": asset.tenant_id,
        "workspace_id": asset.workspace_id,
        "asset_id": asset.id,
        "name": variant.name,
        "object_key": key,
        "mime_type": variant.mime_type,
        "size_bytes": variant.size_bytes,
        "width": variant.width,
        "height": variant.height,
    }


def _finish(lease: Lease, rendered: Rendered, rows: list[dict[str, Any]]) -> bool:
    """Write what was made; was the row still ours?"""
    facts = rendered.metadata
    values = leases.settle(
        previews=PreviewState.READY,
        placeholder=rendered.placeholder,
        width=facts.get("width"),
        height=facts.get("height"),
        facts=facts,
    )
    with transaction(lease.tenant_id):
        if not _write(lease, values):
            return False
        db.session.execute(delete(Variant).where(Variant.asset_id == lease.asset_id))
        db.session.execute(insert(Variant), rows)
    return True


def _remove_unwanted(lease: Lease, asset: Asset, bucket: Bucket) -> None:
    """A renderer that stalled may wake after the file was purged or held: then nobody else removes what it stored.

    Otherwise another one was faster, and has stored the same under the same keys.
    """
    database.enter(lease.tenant_id)
    state = db.session.scalar(select(Asset.state).where(Asset.id == lease.asset_id))
    if state not in (AssetState.AVAILABLE, AssetState.DELETED):
        bucket.delete_prefix(keys.derived_prefix(asset.workspace_id, asset.id))


def _fail(lease: Lease, code: str, detail: str) -> None:
    with transaction(lease.tenant_id):
        _write(lease, leases.settle(previews=PreviewState.FAILED, previews_code=code, previews_detail=detail))


def _write(lease: Lease, values: dict[str, Any]) -> bool:
    statement = update(Asset).where(*lease.mine, Asset.previews == PreviewState.PENDING).returning(Asset.id)
    return db.session.execute(statement.values(values)).one_or_none() is not None
