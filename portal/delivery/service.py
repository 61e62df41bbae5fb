"""Links to a file and to its derived files."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import BigInteger, cast, func, select

from portal.assets import preview_urls
from portal.assets import service as assets
from portal.assets.models import Asset, AssetState, Variant
from portal.database import db, now, transaction
from portal.delivery.models import IssuedLink
from portal.errors import Conflict, NotFound
from portal.objectstore import disposition
from portal.objectstore.bucket import Bucket
from portal.storage import service as storage
from portal.tenancy.service import Member
from portal.usage.measurement import IssuedLinks

# A link works for whoever has it and can't be taken back: so long can somebody still use one who lost their rights.
ORIGINAL_LIFE = timedelta(minutes=5)


def original_link(member: Member, asset_id: UUID) -> str:
    """A link that saves the original, valid for five minutes. It is recorded, and the file counts as opened.

    Raises ``NotFound``; ``Conflict`` for a file that is not available (code ``held`` when it is quarantined).
    """
    with transaction(member.tenant_id):
        asset = _available(member.workspace, asset_id)
        _record(member, asset, None, asset.size_bytes, now() + ORIGINAL_LIFE)
        assets.note_opened(member.workspace, asset_id)
        return _attachment(_bucket_of(asset), asset.object_key or "", asset.file_name)


def variant_link(member: Member, asset_id: UUID, name: str, *, saving: bool = False) -> str:
    """A link to the derived file ``name``, shown inline and the same for a while; with ``saving`` one that saves it.

    Recorded like others. Raises as ``original_link`` does, and ``NotFound`` when there is no such derived file.
    """
    with transaction(member.tenant_id):
        asset = _available(member.workspace, asset_id)
        found = db.session.scalar(
            select(Variant).filter_by(workspace_id=member.workspace, asset_id=asset_id, name=name)
        )
        if found is None:
            raise NotFound(_("There is no such version of this file."))
        bucket = _bucket_of(asset)
        if saving:
            _record(member, asset, name, found.size_bytes, now() + ORIGINAL_LIFE)
            return _attachment(
                bucket, found.object_key, preview_urls.shown_name(asset.file_name, name, found.object_key)
            )
        # Shown in a page the same address is given out for a while, so that browsers find the picture in their cache.
        _record(member, asset, name, found.size_bytes, preview_urls.good_until())
        return preview_urls.url(bucket, found.object_key, asset.file_name, name)


def count_links(workspace_id: UUID, span: timedelta) -> IssuedLinks:
    """The links that were issued within this time, with the bytes of their files. Registered in ``app`` for usage."""
    size = cast(func.coalesce(func.sum(IssuedLink.size_bytes), 0), BigInteger)
    recent = IssuedLink.workspace_id == workspace_id, IssuedLink.created_at >= func.now() - span
    links, total = db.session.execute(select(func.count(), size).where(*recent)).one()
    return IssuedLinks(links, total)


def _available(workspace_id: UUID, asset_id: UUID) -> Asset:
    statement = select(Asset).filter_by(workspace_id=workspace_id, id=asset_id)
    # Read anew: an object that the session has from before may say "available" of a file that was quarantined since.
    asset = db.session.scalar(statement.execution_options(populate_existing=True))
    if asset is None:
        raise NotFound(_("There is no such file in this workspace."))
    if asset.state is not AssetState.AVAILABLE:
        raise _refusal(asset)
    return asset


def _refusal(asset: Asset) -> Conflict:
    """Why a file in this state can't be downloaded, and what to do."""
    if asset.state is AssetState.QUARANTINED:
        return Conflict(_("This file is in quarantine: an administrator decides what happens to it."), code="held")
    if asset.state is AssetState.PROCESSING:
        return Conflict(_("This file is still being checked. You can download it in a moment."))
    if asset.state is AssetState.DELETED:
        return Conflict(_("This file is in the trash. Restore it, then download it."))
    why = asset.reason_detail or _("Upload it again.")
    return Conflict(_("This file was rejected, and its content was not kept. %(reason)s", reason=why))


def _bucket_of(asset: Asset) -> Bucket:
    return storage.bucket_for(storage.find_profile(asset.workspace_id, asset.profile_id))


def _attachment(bucket: Bucket, object_key: str, file_name: str) -> str:
    # Presigning is local arithmetic, so it may happen inside the transaction.
    seconds = int(ORIGINAL_LIFE.total_seconds())
    return bucket.presign_get(object_key, disposition=disposition.attachment(file_name), expires_in=seconds)


def _record(member: Member, asset: Asset, variant: str | None, size_bytes: int, until: datetime) -> None:
    db.session.add(
        IssuedLink(
            tenant_id=member.tenant_id,
            workspace_id=member.workspace,
            asset_id=asset.id,
            user_id=member.user_id,
            variant=variant,
            size_bytes=size_bytes,
            expires_at=until,
        )
    )
