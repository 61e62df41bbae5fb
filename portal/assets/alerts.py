"""The e-mail to the administrators of a tenant about a virus: written in the transaction that records the verdict."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from portal.assets.models import Asset
from portal.database import db
from portal.identity.models import User
from portal.mail import service as mail
from portal.tenancy import people
from portal.tenancy.models import Tenant, Workspace


def infected(asset: Asset, signature: str | None, at: datetime, deadline: datetime) -> None:
    """Write it, once a file, with the open transaction of the tenant."""
    place, tenant_name, slug, name, email = db.session.execute(
        select(Workspace.name, Tenant.name, Tenant.slug, User.name, User.email)
        .join(Tenant, Tenant.id == Workspace.tenant_id)
        .outerjoin(User, User.id == asset.created_by)
        .where(Workspace.id == asset.workspace_id)
    ).one()
    mail.enqueue(
        "infected",
        people.admins_of(asset.tenant_id),
        asset.tenant_id,
        deduplication_key=f"infected:{asset.id}",
        file_name=asset.file_name,
        size_bytes=asset.size_bytes,
        place=place,
        tenant_name=tenant_name,
        person=name or email or "",
        signature=signature or "",
        at=at,
        deadline=deadline,
        path=quarantine_path(slug),
    )


def quarantine_path(tenant_slug: str) -> str:
    """The path of a tenant's quarantine page."""
    return f"/t/{tenant_slug}/quarantine"
