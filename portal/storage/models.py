"""Tables of storage: profiles of workspaces, and the capabilities of the deployment's own store."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Identified, choice
from portal.tenancy.models import in_workspace
from portal.texts import Text, TextColumn


class ProfileMode(StrEnum):
    """``managed_r2`` is the deployment's own store, whichever that is."""

    MANAGED = "managed_r2"
    BYOS = "byos_s3"


class AddressingStyle(StrEnum):
    """Where the bucket's name is: in the path, or in front of the host. ``auto``: virtual on AWS, else path."""

    AUTO = "auto"
    PATH = "path"
    VIRTUAL = "virtual"


class Encryption(StrEnum):
    """What new objects are encrypted with: the bucket's default, the store's own key, or a key of its key service."""

    NONE = "none"
    SSE_S3 = "sse_s3"
    SSE_KMS = "sse_kms"


class Health(StrEnum):
    """Healthy: reach, credentials, write, read, delete and at least one way of uploading were seen to work."""

    UNKNOWN = "unknown"
    PROBING = "probing"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


_OWN = "mode = 'byos_s3'"
_WHOLE = "store IS NOT NULL AND bucket IS NOT NULL AND region IS NOT NULL AND access_key_id IS NOT NULL"
_SEALED = "num_nonnulls(sealed_secret, wrapped_key, vault_key_id)"


class StorageProfile(Identified, Base):
    """A bucket that files are kept in. One of a workspace's profiles is active; each object remembers its own.

    A managed profile takes bucket and credentials from the deployment's settings; everything from ``store`` to
    ``keys_changed_at`` belongs to a customer's own bucket. ``store`` identifies the store in one spelling, ``endpoint``
    is null on AWS. The secret access key is sealed (see ``vault``) and deleted when the profile is retired.

    ``probe``: {at, steps[{name, result, ms, detail, fix}]}, texts in their stored form, null before the first test;
    ``reason`` says why it is not healthy. ``proven_at``: since when the place is claimed, because its keys were seen to
    write, read and delete there; null: nobody else is kept away, and nobody learns that it is named here.
    ``unhealthy_since``: when people were notified; null once it is healthy again.
    """

    __tablename__ = "storage_profiles"
    __table_args__ = (
        in_workspace(),
        UniqueConstraint("workspace_id", "id"),
        Index("uq_storage_profiles_active", "workspace_id", unique=True, postgresql_where=text("active")),
        Index(
            "uq_storage_profiles_location",
            "store",
            "bucket",
            "key_prefix",
            unique=True,
            postgresql_where=text(f"{_OWN} AND retired_at IS NULL AND proven_at IS NOT NULL"),
        ),
        CheckConstraint(f"mode = 'managed_r2' OR ({_WHOLE})", name="own"),
        CheckConstraint(f"{_SEALED} = CASE WHEN {_OWN} AND retired_at IS NULL THEN 3 ELSE 0 END", name="sealed"),
        CheckConstraint("retired_at IS NULL OR NOT active", name="retired"),
    )

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    mode: Mapped[ProfileMode] = mapped_column(choice(ProfileMode, "mode"))
    active: Mapped[bool]
    name: Mapped[str] = mapped_column(String(100))

    store: Mapped[str | None] = mapped_column(String(300))
    bucket: Mapped[str | None] = mapped_column(String(63))
    endpoint: Mapped[str | None] = mapped_column(String(300))
    region: Mapped[str | None] = mapped_column(String(64))
    addressing_style: Mapped[AddressingStyle] = mapped_column(
        choice(AddressingStyle, "addressing_style"), default=AddressingStyle.AUTO
    )
    key_prefix: Mapped[str] = mapped_column(String(512), default="")
    encryption: Mapped[Encryption] = mapped_column(choice(Encryption, "encryption"), default=Encryption.NONE)
    kms_key_id: Mapped[str | None] = mapped_column(String(2048))
    access_key_id: Mapped[str | None] = mapped_column(String(128))
    sealed_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    vault_key_id: Mapped[str | None] = mapped_column(String(16))
    keys_changed_at: Mapped[datetime | None]

    health: Mapped[Health] = mapped_column(choice(Health, "health"), default=Health.UNKNOWN)
    reason: Mapped[Text | None] = mapped_column(TextColumn)
    capabilities: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    probe: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    probed_at: Mapped[datetime | None]
    proven_at: Mapped[datetime | None]
    unhealthy_since: Mapped[datetime | None]
    deactivated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]


class ManagedStore(Base):
    """What the deployment's own store was found to do: one row for each endpoint and bucket, of no tenant."""

    __tablename__ = "managed_stores"

    endpoint: Mapped[str] = mapped_column(String(500), primary_key=True)
    bucket: Mapped[str] = mapped_column(String(63), primary_key=True)
    capabilities: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    probed_at: Mapped[datetime | None]
    reason: Mapped[Text | None] = mapped_column(TextColumn)
