"""Storage profiles over JSON. The secret access key is write-only."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Blueprint, current_app
from pydantic import Field, SecretStr

from portal.identity.access import recently_proved
from portal.settings import Settings
from portal.storage import profiles
from portal.storage.connection import Connection
from portal.storage.models import AddressingStyle, Encryption, Health, ProfileMode, StorageProfile
from portal.storage.presenters import readable
from portal.storage.service import find_unretired, health_of
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Body, Listing, Time
from portal.web.openapi import operation
from portal.web.paging import Paging, page_of

blueprint = Blueprint("storage_api", __name__)

HERE = "/v1/workspaces/<uuid:w>/storage-profiles"
Text = Annotated[str, Field(max_length=2048)]


class ProfileFields(Body):
    """The fields that adding and editing share. Spaces around a value are removed."""

    mode: Literal["byos_s3"] = Field("byos_s3", description="the managed storage can't be added")
    name: Text | None = Field(None, description="null: the bucket's name")
    endpoint: Text | None = Field(None, description="https://host[:port]; null or empty: AWS")
    region: Text | None = Field(None, description="may be left out where the endpoint is not AWS")
    addressing_style: AddressingStyle | None = Field(None, strict=False, description="auto: virtual on AWS, else path")
    key_prefix: Text | None = Field(None, description="in front of every key; without a slash at its beginning")
    encryption: Encryption | None = Field(None, strict=False, description="null: sse_s3 on AWS, else none")
    kms_key_id: Text | None = Field(None, description="with sse_kms; null: the store's default key")

    def given(self) -> dict[str, Any]:
        """What the client has sent, as the service takes it, but for the secret."""
        empty = {"name": "", "region": "", "key_prefix": "", "addressing_style": AddressingStyle.AUTO}
        sent = self.model_dump(include=self.model_fields_set - {"mode", "secret_access_key"})
        return {name: empty.get(name) if value is None else value for name, value in sent.items()}


class AddProfile(ProfileFields):
    """A bucket to connect, and the key that opens it."""

    bucket: Text
    access_key_id: Text
    secret_access_key: Annotated[SecretStr, Field(max_length=2048)]


class EditProfile(ProfileFields):
    """What is to change; what is left out stays. Another access key needs its secret with it."""

    bucket: Text | None = None
    access_key_id: Text | None = None
    secret_access_key: Annotated[SecretStr, Field(max_length=2048)] | None = None


class ProbeView(Answer):
    """What the last test found: steps with name, result (pass, warn, fail, skipped), detail and fix."""

    at: str | None
    steps: list[dict[str, Any]]

    @classmethod
    def of(cls, profile: StorageProfile) -> ProbeView | None:
        """None before the first test."""
        if profile.probe is None:
            return None
        return cls(at=profile.probe.get("at"), steps=[readable(step) for step in profile.probe.get("steps", [])])


class ProfileView(Answer):
    """A storage profile. Of a managed one bucket and region are shown, which every link says, and nothing else."""

    id: UUID
    name: str
    mode: ProfileMode
    bucket: str
    endpoint: str | None = Field(description="null: AWS, or the managed store")
    region: str
    addressing_style: AddressingStyle
    key_prefix: str
    encryption: Encryption
    kms_key_id: str | None
    access_key_id: str | None = Field(description="masked")
    active: bool
    health: Health
    reason: str | None
    capabilities: dict[str, Any]
    probe: ProbeView | None
    created_at: Time
    keys_changed_at: Time | None

    @classmethod
    def of(cls, profile: StorageProfile) -> ProfileView:
        """As the contract shows it."""
        health, reason = health_of(profile)
        settings: Settings = current_app.extensions["portal.settings"]
        managed = profile.mode is ProfileMode.MANAGED
        return cls(
            id=profile.id,
            name=profile.name,
            mode=profile.mode,
            bucket=settings.s3_bucket if managed else profile.bucket or "",
            endpoint=profile.endpoint,
            region=settings.s3_region if managed else profile.region or "",
            addressing_style=profile.addressing_style,
            key_prefix=profile.key_prefix,
            encryption=profile.encryption,
            kms_key_id=profile.kms_key_id,
            access_key_id=profiles.masked(profile.access_key_id),
            active=profile.active,
            health=health,
            reason=None if reason is None else str(reason),
            capabilities=profile.capabilities,
            probe=ProbeView.of(profile),
            created_at=profile.created_at,
            keys_changed_at=profile.keys_changed_at,
        )


@blueprint.get(HERE)
@member(Permission.MANAGE_STORAGE)
@operation(paged=True, returns=Listing[ProfileView])
def index(member: Member, paging: Paging) -> Listing[ProfileView]:
    """List a workspace's storage profiles, the active one first."""
    page, cursor = page_of(profiles.list_profiles(member.workspace), paging, key=lambda profile: profile.id)
    return Listing[ProfileView](items=[ProfileView.of(each) for each in page], next_cursor=cursor)


@blueprint.post(HERE)
@member(Permission.MANAGE_STORAGE)
@recently_proved
@operation(body=AddProfile, returns=ProfileView, status=201, errors=("conflict",))
def add(member: Member, body: AddProfile) -> ProfileView:
    """Connect a bucket of your own.

    It takes no files before it has been tested and activated.
    """
    given = body.given()
    wanted = Connection(
        name=given.get("name", ""),
        bucket=body.bucket,
        endpoint=given.get("endpoint"),
        region=given.get("region", ""),
        addressing_style=given.get("addressing_style", AddressingStyle.AUTO),
        key_prefix=given.get("key_prefix", ""),
        encryption=given.get("encryption"),
        kms_key_id=given.get("kms_key_id"),
        access_key_id=body.access_key_id,
    )
    return ProfileView.of(profiles.add(member, wanted, body.secret_access_key.get_secret_value()))


@blueprint.get(f"{HERE}/<uuid:p>")
@member(Permission.MANAGE_STORAGE)
@operation(returns=ProfileView)
def show(member: Member, p: UUID) -> ProfileView:
    """Show one storage profile."""
    return ProfileView.of(find_unretired(member.workspace, p))


@blueprint.patch(f"{HERE}/<uuid:p>")
@member(Permission.MANAGE_STORAGE)
@recently_proved
@operation(body=EditProfile, returns=ProfileView, errors=("conflict",))
def edit(member: Member, body: EditProfile, p: UUID) -> ProfileView:
    """Change a storage profile, or its keys.

    Bucket, endpoint and prefix can change while no files are there. New keys are used at once, for uploads that are
    under way, too.
    """
    changes = {name: value for name, value in body.given().items() if name not in REQUIRED or value is not None}
    secret = body.secret_access_key.get_secret_value() if body.secret_access_key else None
    return ProfileView.of(profiles.edit(member, p, changes, secret))


@blueprint.post(f"{HERE}/<uuid:p>/activate")
@member(Permission.MANAGE_STORAGE)
@operation(returns=ProfileView, errors=("conflict",))
def activate(member: Member, p: UUID) -> ProfileView:
    """Let new files go there; those that are elsewhere stay where they are."""
    return ProfileView.of(profiles.activate(member, p))


@blueprint.delete(f"{HERE}/<uuid:p>")
@member(Permission.MANAGE_STORAGE)
@operation(errors=("conflict",))
def retire(member: Member, p: UUID) -> None:
    """Disconnect a bucket that holds no files any more; its keys are deleted, nothing in it is changed."""
    profiles.retire(member, p)


REQUIRED = ("bucket", "access_key_id")
