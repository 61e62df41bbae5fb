"""Compare rows and objects in both directions and in constant memory, by merging two streams in the same order.

A store lists keys in the order of their bytes, and that is the order of ids in Postgres; so the objects below
``workspaces/{w}/assets/`` and the rows of ``assets`` come side by side. The quarantine has few
files: there each row is compared with its object, and each object with its row. Work goes on while both are read, so
each difference is checked once more before it is reported.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy import Select, exists, or_, select

from portal import database
from portal.assets.models import Asset, AssetState, Variant
from portal.database import db
from portal.errors import Unavailable
from portal.migration.progress import keeps
from portal.objectstore import keys
from portal.objectstore.bucket import Bucket
from portal.objectstore.listing import ListedObject
from portal.storage import service as storage
from portal.storage.models import ProfileMode, StorageProfile
from portal.tasks import Task
from portal.uploads.models import Upload

log = logging.getLogger(__name__)

BATCH = 500
# An object is written before its asset's row names it: a young one may belong to work that is going on. The row of an
# asset exists before any object of it, so an object below an id that no row has belongs to nobody, however young.
YOUNG = timedelta(hours=1)

Area = Callable[[UUID, UUID], str]  # where the objects of an asset lie: ``keys.asset_prefix`` or ``quarantine_prefix``


@dataclass(frozen=True)
class Expected:
    """What a row says must lie below its asset's prefix: key → size in bytes.

    Beside it nothing may lie there, once the row is ``settled``: until then what attempts left is still cleared away.
    """

    asset_id: str
    sizes: dict[str, int] = field(default_factory=dict)
    settled: bool = True


@dataclass(frozen=True)
class Found:
    """What lies below one asset's prefix: key → (size in bytes, last modified). ``asset_id``: as the key has it."""

    asset_id: str
    objects: dict[str, tuple[int, datetime]] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """Where a row and the store disagree about one key; a size of None: it is not there.

    ``young``: it is right after all when there is a row of this id, of which the list of rows did not know.
    """

    asset_id: str
    key: str
    expected: int | None
    found: int | None
    young: bool = False

    def __str__(self) -> str:
        if self.found is None:
            return f"Asset {self.asset_id} says that bytes of its lie at {self.key}, and nothing is there."
        if self.expected is None:
            return f"The object {self.key} belongs to no asset."
        return f"The object {self.key} has {self.found} bytes, its asset says {self.expected}."


def compare(tenant_id: UUID, workspace_id: UUID) -> Iterator[str]:
    """Sentences about what is missing, differs, or belongs to no row in one workspace.

    A customer's bucket that does not work is left out: its owners know, and it breaks no promise of ours.
    """
    database.enter(tenant_id)
    statement = select(StorageProfile).where(StorageProfile.workspace_id == workspace_id)
    for profile in db.session.scalars(statement.where(StorageProfile.retired_at.is_(None))).all():
        try:
            yield from _compare_profile(profile)
        except Unavailable as problem:
            if profile.mode is ProfileMode.MANAGED:
                raise
            log.warning("the own bucket of profile %s can't be compared: %s", profile.id, problem.detail)


def _compare_profile(profile: StorageProfile) -> Iterator[str]:
    bucket = storage.bucket_for(profile)
    listing = bucket.list(f"{keys.workspace_prefix(profile.workspace_id)}assets/")
    for difference in merge(_rows(profile), _by_asset(listing), database.now() - YOUNG):
        if _is_so(difference, profile, bucket):
            yield str(difference)
    yield from _quarantined(profile, bucket)
    yield from _quarantined_without_row(profile, bucket)
    yield from _left_behind(profile, bucket)


def merge(rows: Iterator[Expected], listing: Iterator[Found], young: datetime) -> Iterator[Difference]:
    """Both streams in the order of ids. An object that its row does not name counts when it is older than ``young``."""
    row, group = next(rows, None), next(listing, None)
    while row or group:
        if group is None or (row and row.asset_id < group.asset_id):
            assert row is not None
            yield from _differences(row, Found(row.asset_id), young)
            row = next(rows, None)
        elif row is None or group.asset_id < row.asset_id:
            for key, (size, modified) in group.objects.items():
                yield Difference(group.asset_id, key, None, size, young=modified >= young)
            group = next(listing, None)
        else:
            yield from _differences(row, group, young)
            row, group = next(rows, None), next(listing, None)


def _differences(row: Expected, group: Found, young: datetime) -> Iterator[Difference]:
    for key, size in row.sizes.items():
        found = group.objects[key][0] if key in group.objects else None
        if found != size:
            yield Difference(row.asset_id, key, size, found)
    for key, (size, modified) in group.objects.items():
        if row.settled and key not in row.sizes and modified < young:
            yield Difference(row.asset_id, key, None, size)


def _is_so(difference: Difference, profile: StorageProfile, bucket: Bucket, area: Area = keys.asset_prefix) -> bool:
    """Whether row and store still disagree about this key when both are read again."""
    asset_id = _id_of(difference.asset_id)
    if asset_id is None:
        return True  # nothing of ours is ever named so
    known = next(_expectations(profile, [asset_id], area), None)
    if known and difference.young:
        return False
    expected = known or Expected(difference.asset_id)
    facts = bucket.head(difference.key)
    if difference.expected is None and (not expected.settled or keeps(profile, asset_id)):
        return False
    return expected.sizes.get(difference.key) != (facts.size if facts else None)


def _id_of(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None


def _by_asset(listing: Iterator[ListedObject]) -> Iterator[Found]:
    for asset_id, entries in groupby(listing, key=lambda entry: entry.key.split("/")[3]):
        yield Found(asset_id, {key: (size, modified) for key, size, modified in entries})


def _rows(profile: StorageProfile) -> Iterator[Expected]:
    after = UUID(int=0)
    while True:
        here = Asset.workspace_id == profile.workspace_id, Asset.profile_id == profile.id, Asset.id > after
        batch = db.session.scalars(select(Asset.id).where(*here).order_by(Asset.id).limit(BATCH)).all()
        if not batch:
            return
        after = batch[-1]
        yield from _expectations(profile, list(batch))


def _expectations(profile: StorageProfile, asset_ids: list[UUID], area: Area = keys.asset_prefix) -> Iterator[Expected]:
    """For each of these assets what must lie below its prefix: nothing while it is moving, leaving or elsewhere."""
    at_work = exists().where(Task.target_id == Asset.id, Task.kind != "purge", Task.due_at.is_not(None))
    leased = exists().where(Task.target_id == Asset.id, Task.lease_token.is_not(None))
    settled = (Upload.cleared_at.is_not(None) & ~at_work & ~leased).label("settled")
    statement = (
        select(Asset.id, Asset.purge_after, Asset.object_key, Asset.size_bytes, settled)
        .outerjoin(Upload, Upload.id == Asset.upload_id)
        .where(Asset.workspace_id == profile.workspace_id, Asset.id.in_(asset_ids))
    )
    expected = {}
    for asset in db.session.execute(statement.order_by(Asset.id)):
        own = area(profile.workspace_id, asset.id)
        leaving = asset.purge_after is not None and asset.purge_after < database.now()
        stays = asset.object_key is not None and asset.object_key.startswith(own) and not leaving
        sizes = {asset.object_key: asset.size_bytes} if stays else {}
        expected[asset.id] = Expected(str(asset.id), sizes, settled=bool(asset.settled) and not leaving)
    for variant in db.session.execute(_variants(asset_ids)) if area is keys.asset_prefix else ():
        if variant.asset_id in expected and expected[variant.asset_id].sizes:
            expected[variant.asset_id].sizes[variant.object_key] = variant.size_bytes
    yield from expected.values()


def _variants(asset_ids: list[UUID]) -> Select[UUID, str, int]:
    return select(Variant.asset_id, Variant.object_key, Variant.size_bytes).where(Variant.asset_id.in_(asset_ids))


def _quarantined(profile: StorageProfile, bucket: Bucket) -> Iterator[str]:
    statement = select(Asset.id, Asset.object_key).where(
        Asset.workspace_id == profile.workspace_id,
        Asset.profile_id == profile.id,
        Asset.state == AssetState.QUARANTINED,
        or_(Asset.purge_after.is_(None), Asset.purge_after > database.now()),
    )
    for asset in db.session.execute(statement).all():
        own = keys.quarantine_prefix(profile.workspace_id, asset.id)
        if not asset.object_key or not asset.object_key.startswith(own):
            yield f"Asset {asset.id} is quarantined, but its key is not below the quarantine prefix."
        elif bucket.head(asset.object_key) is None:
            yield f"Asset {asset.id} is quarantined, but there is no object at {asset.object_key}."


def _quarantined_without_row(profile: StorageProfile, bucket: Bucket) -> Iterator[str]:
    """Objects in the quarantine that no row names: copies of attempts that lost a race, and of purged files."""
    listing = bucket.list(f"{keys.workspace_prefix(profile.workspace_id)}quarantine/")
    for group in _by_asset(listing):
        asset_id = _id_of(group.asset_id)
        rows = _expectations(profile, [asset_id] if asset_id else [], keys.quarantine_prefix)
        for difference in merge(rows, iter([group]), database.now() - YOUNG):
            missing = difference.found is None  # what a row names and is not there: ``_quarantined`` reports it
            if not missing and _is_so(difference, profile, bucket, keys.quarantine_prefix):
                yield str(difference)


def _left_behind(profile: StorageProfile, bucket: Bucket) -> Iterator[str]:
    """Objects at staging keys whose upload is unknown, or was cleaned up after its form had expired."""
    listing = bucket.list(f"{keys.workspace_prefix(profile.workspace_id)}uploads/")
    old = (entry for entry in listing if entry.modified < database.now() - YOUNG)
    for upload_id, group in groupby(old, key=lambda entry: entry.key.split("/")[3]):
        if not _is_expected(upload_id, profile.workspace_id):
            yield from (f"The object {key} was left behind by an upload that has ended." for key, _, _ in group)
    if profile.mode is ProfileMode.MANAGED or profile.capabilities.get("list_parts"):
        yield from _parts_left_behind(profile, bucket)


def _parts_left_behind(profile: StorageProfile, bucket: Bucket) -> Iterator[str]:
    for key, begun_at in bucket.list_uploads(f"{keys.workspace_prefix(profile.workspace_id)}uploads/"):
        if begun_at < database.now() - YOUNG and not _is_expected(key.split("/")[3], profile.workspace_id):
            yield f"Parts for {key} were left behind by an upload that has ended."


def _is_expected(upload_id: str, workspace_id: UUID) -> bool:
    known = _id_of(upload_id)
    if known is None:
        return False
    wanted = Upload.workspace_id == workspace_id, Upload.id == known, Upload.cleared_at.is_(None)
    return db.session.scalar(select(Upload.id).where(*wanted)) is not None
