"""Rows against objects, in both directions and in constant memory: two streams in the same order, merged.

A store lists keys in the order of their bytes, and that is the order of ids in Postgres; so the objects below
``workspaces/{w}/assets/`` and the rows of ``assets`` come side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy import Select, select

from portal import db as database
from portal.assets.models import Asset, AssetState, Variant
from portal.db import db
from portal.storage import keys
from portal.storage import service as storage
from portal.storage.models import StorageProfile

BATCH = 500
# An object is written before the row that names it: a young one may belong to work that goes on.
YOUNG = timedelta(hours=1)
Objects = dict[str, tuple[int, datetime]]


@dataclass(frozen=True)
class Expected:
    """What a row says must lie below its asset's prefix: key → size in bytes (None: any)."""

    asset_id: UUID
    sizes: dict[str, int | None]


def compare(tenant_id: UUID, workspace_id: UUID) -> Iterator[str]:
    """What is missing, differs, or belongs to nobody in one workspace, in words."""
    database.enter(tenant_id)
    statement = select(StorageProfile).where(StorageProfile.workspace_id == workspace_id)
    for profile in db.session.scalars(statement).all():
        listing = storage.bucket_for(profile).list(f"{keys.workspace_prefix(workspace_id)}assets/")
        yield from _merge(_rows(workspace_id, profile.id), _by_asset(listing))
        yield from _held(profile)


def _merge(rows: Iterator[Expected], found: Iterator[tuple[UUID, Objects]]) -> Iterator[str]:
    row, group = next(rows, None), next(found, None)
    while row or group:
        if group is None or (row and row.asset_id < group[0]):
            assert row is not None
            yield from _differences(row, {})
            row = next(rows, None)
        elif row is None or group[0] < row.asset_id:
            yield from _strays(group[1])
            group = next(found, None)
        else:
            yield from _differences(row, group[1])
            row, group = next(rows, None), next(found, None)


def _differences(row: Expected, found: Objects) -> Iterator[str]:
    for key, size in row.sizes.items():
        if key not in found:
            yield f"Asset {row.asset_id} says that its bytes lie at {key}, and nothing is there."
        elif size is not None and found[key][0] != size:
            yield f"The object {key} has {found[key][0]} bytes, its asset says {size}."


def _strays(found: Objects) -> Iterator[str]:
    for key, (_size, modified) in found.items():
        if modified < database.now() - YOUNG:
            yield f"The object {key} belongs to no asset."


def _by_asset(listing: Iterator[tuple[str, int, datetime]]) -> Iterator[tuple[UUID, Objects]]:
    for asset_id, entries in groupby(listing, key=lambda entry: entry[0].split("/")[3]):
        yield UUID(asset_id), {key: (size, modified) for key, size, modified in entries}


def _rows(workspace_id: UUID, profile_id: UUID) -> Iterator[Expected]:
    after = UUID(int=0)
    while True:
        statement = select(Asset.id, Asset.purge_after, Asset.object_key, Asset.size_bytes).where(
            Asset.workspace_id == workspace_id, Asset.profile_id == profile_id, Asset.id > after
        )
        assets = db.session.execute(statement.order_by(Asset.id).limit(BATCH)).all()
        if not assets:
            return
        after = assets[-1].id
        sizes: dict[UUID, dict[str, int | None]] = {asset.id: {} for asset in assets}
        for asset in assets:
            own = keys.asset_prefix(workspace_id, asset.id)
            leaving = asset.purge_after is not None and asset.purge_after < database.now()
            if asset.object_key and asset.object_key.startswith(own) and not leaving:
                sizes[asset.id][asset.object_key] = asset.size_bytes
        for variant in db.session.execute(_variants(list(sizes))):
            if sizes[variant.asset_id]:
                sizes[variant.asset_id][variant.object_key] = variant.size_bytes
        for asset_id, expected in sizes.items():
            yield Expected(asset_id, expected)


def _variants(asset_ids: list[UUID]) -> Select[UUID, str, int]:
    return select(Variant.asset_id, Variant.object_key, Variant.size_bytes).where(Variant.asset_id.in_(asset_ids))


def _held(profile: StorageProfile) -> Iterator[str]:
    statement = select(Asset.id, Asset.object_key).where(
        Asset.workspace_id == profile.workspace_id,
        Asset.profile_id == profile.id,
        Asset.state == AssetState.QUARANTINED,
    )
    bucket = storage.bucket_for(profile)
    for asset in db.session.execute(statement).all():
        if not asset.object_key or not asset.object_key.startswith(
            keys.quarantine_prefix(profile.workspace_id, asset.id)
        ):
            yield f"Asset {asset.id} is held, but its bytes do not lie in the quarantine."
        elif bucket.head(asset.object_key) is None:
            yield f"Asset {asset.id} is held, and nothing lies at {asset.object_key}."
