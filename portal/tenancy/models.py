"""Tables of tenancy: plans, tenants, workspaces and who belongs to them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Identified, choice

SLUG = "[a-z0-9][a-z0-9-]{0,62}"


class TenantRole(StrEnum):
    """What a person is in a tenant."""

    ADMIN = "admin"
    MEMBER = "member"


class WorkspaceRole(StrEnum):
    """What a person is in a workspace."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"


class Plan(Base):
    """A named limit in bytes; null is unlimited. Global, written by migrations."""

    __tablename__ = "plans"

    code: Mapped[str] = mapped_column(String(20), primary_key=True)
    limit_bytes: Mapped[int | None] = mapped_column(BigInteger)


class Tenant(Identified, Base):
    """A company."""

    __tablename__ = "tenants"
    __table_args__ = (CheckConstraint(f"slug ~ '^{SLUG}$'", name="slug"),)

    slug: Mapped[str] = mapped_column(String(63), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    plan: Mapped[str] = mapped_column(ForeignKey("plans.code"))


class TenantMembership(Identified, Base):
    """A person in a tenant."""

    __tablename__ = "tenant_memberships"
    __table_args__ = (UniqueConstraint("tenant_id", "user_id"),)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    role: Mapped[TenantRole] = mapped_column(choice(TenantRole, "role"))
    # A disabled membership opens nothing here; the account and other tenants are not concerned.
    disabled_at: Mapped[datetime | None]
    disabled_by: Mapped[UUID | None]
    uploads_blocked_at: Mapped[datetime | None]
    uploads_blocked_by: Mapped[UUID | None]
    uploads_blocked_reason: Mapped[str | None] = mapped_column(Text)


class Workspace(Identified, Base):
    """A place for files inside a tenant; its slug is unique there."""

    __tablename__ = "workspaces"
    __table_args__ = (
        UniqueConstraint("tenant_id", "slug"),
        UniqueConstraint("tenant_id", "id"),
        CheckConstraint(f"slug ~ '^{SLUG}$'", name="slug"),
    )

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    slug: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(String(200))


class WorkspaceMembership(Identified, Base):
    """A person in a workspace; must be a member of the tenant, too."""

    __tablename__ = "workspace_memberships"
    __table_args__ = (
        UniqueConstraint("workspace_id", "user_id"),
        ForeignKeyConstraint(["tenant_id", "workspace_id"], ["workspaces.tenant_id", "workspaces.id"]),
        ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["tenant_memberships.tenant_id", "tenant_memberships.user_id"],
            ondelete="CASCADE",
        ),
    )

    tenant_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    role: Mapped[WorkspaceRole] = mapped_column(choice(WorkspaceRole, "role"))


class Switch(Base):
    """An operator's switch that is thrown, with the reason that members read; no row: it is not thrown.

    ``scope`` is the tenant that it holds for, the nil UUID for all. Global, like tenants.
    """

    __tablename__ = "switches"

    name: Mapped[str] = mapped_column(String(30), primary_key=True)
    scope: Mapped[UUID] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(String(500))
    set_at: Mapped[datetime]
    set_by: Mapped[UUID | None]


def in_workspace() -> ForeignKeyConstraint:
    """The composite key of every table whose rows belong to a workspace (columns tenant_id, workspace_id)."""
    return ForeignKeyConstraint(["tenant_id", "workspace_id"], ["workspaces.tenant_id", "workspaces.id"])
