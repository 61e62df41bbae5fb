"""Storage profiles: which bucket holds a workspace's bytes, and how browsers may write to it."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import current_app
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from portal import db as database
from portal.db import db
from portal.errors import NotFound, Unavailable
from portal.settings import Settings
from portal.storage import keys
from portal.storage.bucket import Bucket, bucket_at
from portal.storage.location import Location
from portal.storage.models import AddressingStyle, Encryption, Health, ManagedStore, ProfileMode, StorageProfile

log = logging.getLogger(__name__)

REMEMBER_SECONDS = 15  # how long a process believes what it read of the store's capabilities
PROBE_EVERY = timedelta(days=7)
MANAGED_NAME = "Managed storage"

# Made once: putting a statement together costs as much as running it. ``ACTIVE`` is a workspace's active profile.
_FIND = select(StorageProfile).where(
    StorageProfile.workspace_id == bindparam("workspace"), StorageProfile.id == bindparam("profile")
)
ACTIVE = select(StorageProfile).where(StorageProfile.workspace_id == bindparam("workspace"), StorageProfile.active)

_COLUMNS = tuple(StorageProfile.__table__.columns.keys())
_KINDS = {"mode": ProfileMode, "addressing_style": AddressingStyle, "encryption": Encryption, "health": Health}


def open_managed_profile(tenant_id: UUID, workspace_id: UUID) -> StorageProfile:
    """The first profile of a new workspace, active. Inside the caller's transaction."""
    place = {"tenant_id": tenant_id, "workspace_id": workspace_id}
    profile = StorageProfile(**place, mode=ProfileMode.MANAGED, name=MANAGED_NAME, active=True)
    db.session.add(profile)
    return profile


def find_profile(workspace_id: UUID, profile_id: UUID) -> StorageProfile:
    """The profile that an object remembers. Raises ``NotFound``."""
    profile = db.session.scalar(_FIND, {"workspace": workspace_id, "profile": profile_id})
    if profile is None:
        raise NotFound("There is no such storage profile.")
    return profile


def profile_of(row: Any) -> StorageProfile:
    """A profile from a row with its columns, outside of the session: to be read, not changed."""
    values = {name: getattr(row, name) for name in _COLUMNS}
    return StorageProfile(**values | {name: kind(values[name]) for name, kind in _KINDS.items()})


def no_storage() -> Unavailable:
    """The refusal where no profile is active."""
    return Unavailable("This workspace has no storage that takes new files.", code="storage_unavailable")


def bucket_for(profile: StorageProfile) -> Bucket:
    """The bucket of a profile; local, no network. Raises ``Unavailable`` for a kind that this release can't open."""
    if profile.mode is not ProfileMode.MANAGED:
        raise Unavailable("This release opens the managed store only.", code="storage_unavailable")
    return managed_bucket()


def managed_bucket() -> Bucket:
    """The deployment's own store."""
    return bucket_at(_location(current_app.extensions["portal.settings"]))


def check_managed_store() -> None:
    """Raises ``Unavailable`` when the store does not answer, or refuses our key."""
    managed_bucket().head(keys.probe(UUID(int=0), "ready"))


def upload_method() -> str:
    """``POST`` where the managed store was seen to take forms, else ``PUT``, which every S3-compatible store takes."""
    return "POST" if _capabilities().get("post") else "PUT"


def prepare_managed_store(settings: Settings) -> None:
    """Bucket and CORS for the portal's origin, then what the store can do; safe to repeat.

    Raises ``Unavailable`` when the store can't be reached.
    """
    bucket = bucket_at(_location(settings))
    bucket.ensure([settings.base_url])
    post = bucket.accepts_post()
    _remember(settings, {"post": post}, database.now(), None)
    log.info("store at %s: %s uploads", settings.s3_endpoint, "POST" if post else "PUT")


def refresh_managed_store(settings: Settings) -> None:
    """Ask the store again when that was never done, failed, or is a week ago; a failure is noted, not raised."""
    with database.transaction():
        store = db.session.get(ManagedStore, (settings.s3_endpoint, settings.s3_bucket))
    if store and store.reason is None and store.probed_at and store.probed_at > database.now() - PROBE_EVERY:
        return
    try:
        prepare_managed_store(settings)
    except Unavailable as problem:
        log.warning("the store can't be prepared: %s", problem.detail)
        _remember(settings, store.capabilities if store else {}, None, problem.detail)


def _remember(settings: Settings, capabilities: dict[str, bool], at: datetime | None, reason: str | None) -> None:
    values = {"capabilities": capabilities, "probed_at": at, "reason": reason}
    key = {"endpoint": settings.s3_endpoint, "bucket": settings.s3_bucket}
    with database.transaction():
        statement = insert(ManagedStore).values(**key, **values)
        db.session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))
    _known.clear()


_known: dict[tuple[str, str], tuple[float, dict[str, bool]]] = {}


def _capabilities() -> dict[str, bool]:
    settings: Settings = current_app.extensions["portal.settings"]
    key = (settings.s3_endpoint, settings.s3_bucket)
    read_at, capabilities = _known.get(key, (0.0, {}))
    if time.monotonic() - read_at > REMEMBER_SECONDS:
        store = db.session.get(ManagedStore, key)
        capabilities = dict(store.capabilities) if store else {}
        _known[key] = (time.monotonic(), capabilities)
    return capabilities


def _location(settings: Settings) -> Location:
    return Location(
        endpoint=settings.s3_endpoint,
        public_endpoint=settings.s3_public_endpoint,
        region=settings.s3_region,
        bucket=settings.s3_bucket,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
    )
