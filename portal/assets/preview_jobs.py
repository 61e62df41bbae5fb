"""Previews of an available asset: fetch the original, render in a child process, store, write the rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from portal import database, tasks
from portal.assets import leases
from portal.assets.models import Asset, AssetState, PreviewState, Variant
from portal.database import db, new_id, transaction
from portal.inspection.spool import closing_spool, spool_errors
from portal.objectstore import keys
from portal.objectstore.bucket import Bucket
from portal.previews.failures import PreviewFailed
from portal.previews.renderer import render
from portal.previews.types import Rendered, RenderedVariant
from portal.storage import service as storage
from portal.tasks import Lease, LeaseLost
from portal.texts import Text

CHUNK = 1024 * 1024
# The key carries the content's hash, so its object never changes (RFC 8246: immutable).
FOREVER = "private, max-age=31536000, immutable"


def schedule(asset: Asset) -> None:
    """Have its derived files made; in the transaction that makes them pending."""
    tasks.schedule("render_previews", asset.id, tenant_id=asset.tenant_id, workspace_id=asset.workspace_id)


def render_previews(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> None:
    """Make the derived files of one asset. A failed preview leaves an available asset with the reason."""
    with leases.acquire("render_previews", tenant_id, workspace_id, asset_id) as leased:
        if leased is None or not _is_pending(leased.asset):
            return
        lease, asset = leased.lease, leased.asset
        bucket = storage.bucket_for(storage.find_profile(workspace_id, asset.profile_id))
        if lease.exhausted:
            _fail(lease, "processing_failed", Text("The preview could not be made after several attempts."))
            return
        with _own_folder() as folder:
            try:
                rendered = _render(bucket, asset, folder)
            except PreviewFailed as failure:
                _fail(lease, failure.code, failure.text)
                return
            rows = [_store(bucket, asset, variant) for variant in rendered.variants]
        try:
            written = _finish(lease, rendered, rows)
        except LeaseLost:
            written = False
        if not written:
            _remove_unwanted(lease, asset, bucket)


def render_again(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> bool:
    """Try failed previews once more; were they failed?"""
    again = {"previews": PreviewState.PENDING, "previews_code": None, "previews_detail": None}
    with transaction(tenant_id):
        asset = _leave_failed(workspace_id, asset_id, again)
        if asset is not None:
            schedule(asset)
    return asset is not None


def give_up(tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> bool:
    """Leave a file whose previews failed without any, for good; were they failed?"""
    with transaction(tenant_id):
        return _leave_failed(workspace_id, asset_id, {"previews": PreviewState.NONE}) is not None


def _leave_failed(workspace_id: UUID, asset_id: UUID, values: dict[str, Any]) -> Asset | None:
    failed = Asset.state == AssetState.AVAILABLE, Asset.previews == PreviewState.FAILED
    statement = update(Asset).where(Asset.workspace_id == workspace_id, Asset.id == asset_id, *failed)
    return db.session.scalar(statement.values(values).returning(Asset))


def _is_pending(asset: Asset) -> bool:
    return asset.state is AssetState.AVAILABLE and asset.previews is PreviewState.PENDING


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
    """Save the derived files; False when the asset no longer needs them. Raises ``LeaseLost``, and writes nothing."""
    facts = rendered.metadata
    with transaction(lease.tenant_id):
        made = _write(
            lease,
            previews=PreviewState.READY,
            placeholder=rendered.placeholder,
            width=facts.get("width"),
            height=facts.get("height"),
            facts=facts,
        )
        if made:
            db.session.execute(delete(Variant).where(Variant.asset_id == lease.target_id))
            db.session.execute(insert(Variant), rows)
    return made


def _remove_unwanted(lease: Lease, asset: Asset, bucket: Bucket) -> None:
    """A renderer that stalled may wake after the file was purged or quarantined: nobody else removes what it stored.

    Otherwise another one was faster, and has stored the same under the same keys.
    """
    database.enter(lease.tenant_id)
    state = db.session.scalar(select(Asset.state).where(Asset.id == lease.target_id))
    if state not in (AssetState.AVAILABLE, AssetState.DELETED):
        bucket.delete_prefix(keys.derived_prefix(asset.workspace_id, asset.id))


def _fail(lease: Lease, code: str, detail: Text) -> None:
    with transaction(lease.tenant_id):
        _write(lease, previews=PreviewState.FAILED, previews_code=code, previews_detail=detail)


def _write(lease: Lease, **values: Any) -> bool:
    """Also of a file that went to the trash meanwhile: what is stored for it is there when it is restored."""
    pending = Asset.id == lease.target_id, Asset.previews == PreviewState.PENDING
    here = Asset.state.in_((AssetState.AVAILABLE, AssetState.DELETED))
    statement = update(Asset).where(*pending, here).values(values).returning(Asset.id)
    written = db.session.execute(statement.execution_options(synchronize_session=False)).one_or_none() is not None
    tasks.complete(lease)
    return written
