"""Buckets of customers, on the test store, with keys of their own.

profile = connect_own_bucket(cast)                      # press writes to a bucket of its own from now on
connect_own_bucket(cast, activate=False, seen=False)    # connected, neither tested nor active
connect_over_http(alice, settings)                      # the same by the API, as another program would
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

import boto3
from botocore.config import Config

from portal import tasks
from portal.database import db, enter, now, transaction
from portal.embedded.seaweedfs import Identity
from portal.settings import Settings
from portal.storage import profiles
from portal.storage import service as storage
from portal.storage.connection import Connection
from portal.storage.models import AddressingStyle, Health, StorageProfile
from tests.support.api_client import ApiClient, done
from tests.support.engines import CUSTOMER
from tests.support.people import Cast

SEEN = {"post": True, "put": True, "multipart": True}  # what a test of the store finds


def store_of(settings: Settings) -> str:
    """The test store's own address, whatever proxy stands before the managed one: it is the one that is allowed."""
    return settings.egress_allow[0]


def client_of(settings: Settings, identity: Identity) -> Any:
    """The store as this customer's own tools reach it."""
    return boto3.client(
        "s3",
        endpoint_url=store_of(settings),
        region_name="us-east-1",
        aws_access_key_id=identity.access_key_id,
        aws_secret_access_key=identity.secret_access_key,
        config=Config(signature_version="s3v4", request_checksum_calculation="when_required", proxies={}),
    )


def make_bucket(settings: Settings, identity: Identity = CUSTOMER) -> str:
    """A new bucket of theirs that pages of the portal may upload to; its name."""
    bucket = f"own-{secrets.token_hex(6)}"
    client = client_of(settings, identity)
    client.create_bucket(Bucket=bucket)
    rule = {
        "AllowedOrigins": [settings.base_url],
        "AllowedMethods": ["GET", "HEAD", "PUT", "POST"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag", "Location", "x-amz-checksum-sha256", "x-amz-checksum-crc32"],
    }
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    return bucket


def connection_to(settings: Settings, bucket: str, identity: Identity = CUSTOMER, **changes: Any) -> Connection:
    """What the owner enters."""
    values: dict[str, Any] = {
        "name": "",
        "bucket": bucket,
        "endpoint": store_of(settings),
        "region": "us-east-1",
        "addressing_style": AddressingStyle.AUTO,
        "key_prefix": "team/files",
        "encryption": None,
        "kms_key_id": None,
        "access_key_id": identity.access_key_id,
    }
    return Connection(**values | changes)


def connect_own_bucket(
    cast: Cast,
    *,
    bucket: str | None = None,
    identity: Identity = CUSTOMER,
    seen: bool = True,
    activate: bool = True,
    **changes: Any,
) -> StorageProfile:
    """Connect a (new) bucket to ``press`` as alice would; ``seen``: as if its test had passed."""
    settings: Settings = cast.app.extensions["portal.settings"]
    with cast.app.app_context():
        alice = cast.member(cast.alice)
        place = connection_to(settings, bucket or make_bucket(settings, identity), identity, **changes)
        profile = profiles.add(alice, place, identity.secret_access_key)
        if seen:
            see_it_work(cast, profile.id)
        if activate:
            profiles.activate(alice, profile.id)
        enter(cast.press.tenant_id)
        profile = storage.find_profile(cast.press.id, profile.id)
        db.session.refresh(profile)
        db.session.expunge_all()
    return profile


def connect_over_http(
    alice: ApiClient, settings: Settings, identity: Identity = CUSTOMER, **changes: Any
) -> dict[str, Any]:
    """Connect a new bucket by the API; what it answered. It is neither tested nor active."""
    body = {
        "bucket": make_bucket(settings, identity),
        "endpoint": store_of(settings),
        "region": "us-east-1",
        "key_prefix": "team/files",
        "access_key_id": identity.access_key_id,
        "secret_access_key": identity.secret_access_key,
    }
    return done(alice.call("POST", "storage-profiles", body | changes), 201)


def long_inactive(cast: Cast, profile_id: UUID) -> None:
    """Let it be an hour since the profile was the active one."""
    with cast.app.app_context(), transaction(cast.press.tenant_id) as session:
        session.get_one(StorageProfile, profile_id).deactivated_at = now() - timedelta(hours=1)


def see_it_work(cast: Cast, profile_id: UUID, **capabilities: bool) -> None:
    """Write what a test of the storage that passed would have written."""
    with cast.app.app_context(), transaction(cast.press.tenant_id) as session:
        profile = session.get_one(StorageProfile, profile_id)
        profile.health, profile.reason, profile.probed_at = Health.HEALTHY, None, now()
        profile.capabilities = SEEN | capabilities
        session.flush()
        # The test that connecting has scheduled is not to begin any more.
        week = now() + timedelta(days=7)
        tasks.schedule("probe", profile_id, tenant_id=cast.acme.id, workspace_id=profile.workspace_id, due_at=week)
