"""Storage profiles: which bucket holds a workspace's bytes, and how browsers may write to it."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from flask import current_app
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from portal import database
from portal.database import db
from portal.errors import NotFound, Unavailable
from portal.network.egress import Egress
from portal.objectstore import capabilities, keys
from portal.objectstore.bucket import Bucket, bucket_at
from portal.objectstore.location import Location
from portal.objectstore.ownership_marker import Owner as Mark
from portal.settings import Settings, SettingsError
from portal.storage.models import Health, ManagedStore, ProfileMode, StorageProfile
from portal.vault import Owner, SealedSecrets, vault_of
from portal.web.headers import origin_of

log = logging.getLogger(__name__)

REMEMBER_SECONDS = 15  # how long a process believes what it read of the store's capabilities
PROBE_EVERY = timedelta(days=7)
MANAGED_NAME = "Managed storage"
SECRETS = SealedSecrets(StorageProfile, lambda profile: Owner(profile.tenant_id, profile.workspace_id, profile.id))

_FIND = select(StorageProfile).where(
    StorageProfile.workspace_id == bindparam("workspace"), StorageProfile.id == bindparam("profile")
)


class Ways(NamedTuple):
    """``single`` is ``POST`` or ``PUT``, None where the store holds to neither; ``in_parts``: multipart works there."""

    single: str | None
    in_parts: bool


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
        raise no_profile()
    return profile


def find_unretired(workspace_id: UUID, profile_id: UUID) -> StorageProfile:
    """A profile that can be shown and worked with. Raises ``NotFound``."""
    profile = find_profile(workspace_id, profile_id)
    if profile.retired_at is not None:
        raise no_profile()
    return profile


def health_of(profile: StorageProfile) -> tuple[Health, str | None]:
    """How a profile is, and why it is not well; a managed one is as the deployment's own store was last seen."""
    if profile.mode is ProfileMode.BYOS:
        return profile.health, profile.reason
    settings: Settings = current_app.extensions["portal.settings"]
    store = db.session.get(ManagedStore, (settings.s3_endpoint, settings.s3_bucket))
    if store is None or (store.probed_at is None and store.reason is None):
        return Health.UNKNOWN, None
    return (Health.UNHEALTHY if store.reason else Health.HEALTHY), store.reason


def no_profile() -> NotFound:
    """The refusal for an id that is none of the workspace's."""
    return NotFound("There is no such storage profile.")


def mark_of(profile: StorageProfile) -> Mark:
    """What the marker in a profile's bucket says: whose it is."""
    installation: UUID = db.session.execute(select(func.installation_id())).scalar_one()
    return Mark(installation, profile.tenant_id, profile.workspace_id, profile.id)


def no_storage() -> Unavailable:
    """The refusal where no profile is active."""
    return Unavailable("This workspace has no storage that takes new files.", code="storage_unavailable")


def bucket_for(profile: StorageProfile) -> Bucket:
    """The bucket of a profile; local, no network. Raises ``Unavailable`` when its keys can't be opened.

    What the profile says now is used: after its keys have changed, this is another ``Bucket`` with other clients.
    """
    if profile.mode is ProfileMode.MANAGED:
        return managed_bucket()
    return bucket_at(_own_location(profile, current_app.extensions["portal.settings"]))


def managed_bucket() -> Bucket:
    """The deployment's own store."""
    return bucket_at(_location(current_app.extensions["portal.settings"]))


def check_managed_store() -> None:
    """Raises ``Unavailable`` when the store does not answer, or refuses our key. No object has to be there."""
    managed_bucket().head(keys.probe(UUID(int=0), "ready"))


def takes_cors_rules() -> bool:
    """Did the deployment's own store take our rule? Else only its operator can let browsers in."""
    with database.transaction():
        return _capabilities().get("cors", True)


def counted(profile: StorageProfile, size: int) -> int:
    """How much of ``size`` bytes counts against limits: nothing of what lies in a customer's own bucket."""
    return size if profile.mode is ProfileMode.MANAGED else 0


def ways_of(profile: StorageProfile) -> Ways:
    """How a store takes uploads: by form where it was seen to, else by ``PUT``; in parts where it was seen to."""
    seen = _capabilities() if profile.mode is ProfileMode.MANAGED else profile.capabilities
    # Every S3-compatible store takes a PUT: only one that was seen not to hold to what is signed gets none.
    single = "POST" if seen.get("post") else "PUT" if seen.get("put", True) else None
    # A part is a signed PUT: where one writes to another key than it was signed for, a part would, too.
    return Ways(single, bool(seen.get("multipart") and seen.get("put", True)))


@lru_cache(maxsize=4)
def _rules(allowed: tuple[str, ...]) -> Egress:
    try:
        return Egress.parse(allowed)
    except ValueError as error:
        raise SettingsError([f"PORTAL_EGRESS_ALLOW: {error}"]) from None


def egress_of(settings: Settings) -> Egress:
    """What the operator lets customers' endpoints lead to. Raises ``SettingsError``."""
    return _rules(settings.egress_allow)


def prepare_managed_store(settings: Settings) -> None:
    """Bucket and CORS for the portal's origin, then what the store can do; safe to repeat.

    Raises ``Unavailable`` when the store can't be reached.
    """
    bucket = bucket_at(_location(settings))
    ruled = bucket.ensure_exists([settings.base_url])
    post = capabilities.supports_post(bucket)
    found = {"post": post, "multipart": capabilities.supports_multipart(bucket), "cors": ruled}
    _remember(settings, found, database.now(), None)
    log.info("store at %s: %s uploads", settings.s3_endpoint, "POST" if post else "PUT")


def refresh_managed_store(settings: Settings) -> None:
    """Ask the store again when that was never done, failed, or is a week ago; a failure is noted, not raised."""
    with database.transaction():
        store = db.session.get(ManagedStore, (settings.s3_endpoint, settings.s3_bucket))
    asked = store is not None and "multipart" in store.capabilities  # earlier releases did not
    if asked and store and not store.reason and store.probed_at and store.probed_at > database.now() - PROBE_EVERY:
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
