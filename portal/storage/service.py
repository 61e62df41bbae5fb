"""Storage profiles: which bucket holds a workspace's bytes, and how browsers may write to it."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from portal import database
from portal.database import db
from portal.errors import NotFound, Unavailable
from portal.network.egress import Egress
from portal.objectstore import capabilities, keys, ownership_marker
from portal.objectstore.bucket import Bucket, bucket_at
from portal.objectstore.location import Location
from portal.settings import Settings, SettingsError
from portal.storage.models import Health, ManagedStore, ProfileMode, StorageProfile
from portal.texts import Text
from portal.vault import Owner, SealedSecrets, vault_of
from portal.web.headers import origin_of

log = logging.getLogger(__name__)

CACHE_SECONDS = 15  # how long a process caches the managed store's capabilities
PROBE_EVERY = timedelta(days=7)
MANAGED_NAME = "Managed storage"
SECRETS = SealedSecrets(StorageProfile, lambda profile: Owner(profile.tenant_id, profile.workspace_id, profile.id))

_FIND = select(StorageProfile).where(
    StorageProfile.workspace_id == bindparam("workspace"), StorageProfile.id == bindparam("profile")
)


class UploadMethods(NamedTuple):
    """How a store takes uploads. ``single``: ``POST`` or ``PUT``, None where it enforces neither's signature."""

    single: str | None
    multipart: bool


def open_managed_profile(tenant_id: UUID, workspace_id: UUID) -> StorageProfile:
    """The first profile of a new workspace, active. Inside the caller's transaction."""
    profile = StorageProfile(
        tenant_id=tenant_id, workspace_id=workspace_id, mode=ProfileMode.MANAGED, name=MANAGED_NAME, active=True
    )
    db.session.add(profile)
    return profile


def find_profile(workspace_id: UUID, profile_id: UUID) -> StorageProfile:
    """The profile that an object remembers. Raises ``NotFound``."""
    profile = db.session.scalar(_FIND, {"workspace": workspace_id, "profile": profile_id})
    if profile is None:
        raise no_profile()
    return profile


def find_unretired(workspace_id: UUID, profile_id: UUID) -> StorageProfile:
    """A profile that can be shown and worked with. Raises ``NotFound``."""
    profile = find_profile(workspace_id, profile_id)
    if profile.retired_at is not None:
        raise no_profile()
    return profile


def health_of(profile: StorageProfile) -> tuple[Health, Text | None]:
    """Health and the reason when it is not healthy; of a managed profile those of the deployment's own store."""
    if profile.mode is ProfileMode.BYOS:
        return profile.health, profile.reason
    settings: Settings = current_app.extensions["portal.settings"]
    store = db.session.get(ManagedStore, (settings.s3_endpoint, settings.s3_bucket))
    if store is None or (store.probed_at is None and store.reason is None):
        return Health.UNKNOWN, None
    return (Health.UNHEALTHY if store.reason else Health.HEALTHY), store.reason


def no_profile() -> NotFound:
    """The error for an id that is none of the workspace's."""
    return NotFound(_("There is no such storage profile."))


def marker_owner_of(profile: StorageProfile) -> ownership_marker.Owner:
    """Whom the marker in a profile's bucket has to name."""
    installation: UUID = db.session.execute(select(func.installation_id())).scalar_one()
    return ownership_marker.Owner(installation, profile.tenant_id, profile.workspace_id, profile.id)


def no_storage() -> Unavailable:
    """The error where no profile is active."""
    return Unavailable(Text("This workspace has no storage that takes new files."), code="storage_unavailable")


def bucket_for(profile: StorageProfile) -> Bucket:
    """The bucket of a profile. No network. Raises ``Unavailable`` when its secret can't be decrypted.

    After the profile's keys have changed, this is another ``Bucket`` with other clients.
    """
    if profile.mode is ProfileMode.MANAGED:
        return managed_bucket()
    return bucket_at(_own_location(profile, current_app.extensions["portal.settings"]))


def managed_bucket() -> Bucket:
    """The deployment's own store."""
    return bucket_at(_location(current_app.extensions["portal.settings"]))


def check_managed_store() -> None:
    """Raises ``Unavailable`` when the store does not answer or refuses our key. The object need not exist."""
    managed_bucket().head(keys.probe(UUID(int=0), "ready"))


def takes_cors_rules() -> bool:
    """Whether the deployment's own store took our CORS rule. Else its operator has to allow browsers there."""
    with database.transaction():
        return _capabilities().get("cors", True)


def counted(profile: StorageProfile, size: int) -> int:
    """How many of ``size`` bytes count against limits: none of those in a customer's own bucket."""
    return size if profile.mode is ProfileMode.MANAGED else 0


def upload_methods_of(profile: StorageProfile) -> UploadMethods:
    """How browsers upload to a store: by form where that was seen to work, else by ``PUT``; in parts where that was."""
    seen = _capabilities() if profile.mode is ProfileMode.MANAGED else profile.capabilities
    # Every S3-compatible store takes a PUT: only one that was seen not to enforce what is signed gets none.
    single = "POST" if seen.get("post") else "PUT" if seen.get("put", True) else None
    # A part is a signed PUT: where a PUT can be sent to another key than it was signed for, a part could, too.
    return UploadMethods(single=single, multipart=bool(seen.get("multipart") and seen.get("put", True)))


@lru_cache(maxsize=4)
def _parse_egress(allowed: tuple[str, ...]) -> Egress:
    try:
        return Egress.parse(allowed)
    except ValueError as error:
        raise SettingsError([f"PORTAL_EGRESS_ALLOW: {error}"]) from None


def egress_of(settings: Settings) -> Egress:
    """The egress rules for customers' endpoints, from PORTAL_EGRESS_ALLOW. Raises ``SettingsError``."""
    return _parse_egress(settings.egress_allow)


def prepare_managed_store(settings: Settings) -> None:
    """Create the bucket and its CORS rule for the portal's origin, and find out what the store can do. Repeatable.

    Raises ``Unavailable`` when the store can't be reached.
    """
    bucket = bucket_at(_location(settings))
    cors = bucket.ensure_exists([settings.base_url])
    post = capabilities.supports_post(bucket)
    found = {"post": post, "multipart": capabilities.supports_multipart(bucket), "cors": cors}
    _save_managed_store(settings, found, database.now(), None)
    log.info("store at %s: %s uploads", settings.s3_endpoint, "POST" if post else "PUT")


def refresh_managed_store(settings: Settings) -> None:
    """Prepare the store again when that was never done, failed, or is a week ago. A failure is saved, not raised."""
    with database.transaction():
        store = db.session.get(ManagedStore, (settings.s3_endpoint, settings.s3_bucket))
    complete = store is not None and "multipart" in store.capabilities  # earlier releases did not test it
    if complete and store and not store.reason and store.probed_at and store.probed_at > database.now() - PROBE_EVERY:
        return
    try:
        prepare_managed_store(settings)
    except Unavailable as problem:
        log.warning("the store can't be prepared: %s", problem.text.english)
        _save_managed_store(settings, store.capabilities if store else {}, None, problem.text)


def _save_managed_store(settings: Settings, found: dict[str, bool], at: datetime | None, reason: Text | None) -> None:
    values = {"capabilities": found, "probed_at": at, "reason": reason}
    key = {"endpoint": settings.s3_endpoint, "bucket": settings.s3_bucket}
    with database.transaction():
        statement = insert(ManagedStore).values(**key, **values)
        db.session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))
    _cached.clear()


_cached: dict[tuple[str, str], tuple[float, dict[str, bool]]] = {}


def _capabilities() -> dict[str, bool]:
    settings: Settings = current_app.extensions["portal.settings"]
    key = (settings.s3_endpoint, settings.s3_bucket)
    read_at, found = _cached.get(key, (0.0, {}))
    if time.monotonic() - read_at > CACHE_SECONDS:
        store = db.session.get(ManagedStore, key)
        found = dict(store.capabilities) if store else {}
        _cached[key] = (time.monotonic(), found)
    return found


@lru_cache(maxsize=512)
def origin_at(endpoint: str | None, region: str, bucket: str, style: str) -> str:
    """Where browsers reach such a bucket: scheme, host and port."""
    address = Location(endpoint, None, region, bucket, "", "", addressing_style=style).address(public=True)
    return origin_of(address)


def _own_location(profile: StorageProfile, settings: Settings) -> Location:
    return Location(
        endpoint=profile.endpoint,
        public_endpoint=None,
        region=profile.region or "",
        bucket=profile.bucket or "",
        access_key_id=profile.access_key_id or "",
        secret_access_key=SECRETS.open(profile, vault_of(settings.vault_keys)),
        key_prefix=profile.key_prefix,
        addressing_style=profile.addressing_style.value,
        encryption=profile.encryption.value,
        kms_key_id=profile.kms_key_id,
        egress=egress_of(settings),
    )


def _location(settings: Settings) -> Location:
    return Location(
        endpoint=settings.s3_endpoint,
        public_endpoint=settings.s3_public_endpoint,
        region=settings.s3_region,
        bucket=settings.s3_bucket,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
    )
