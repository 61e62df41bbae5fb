"""The quarantine over JSON."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint
from pydantic import Field

from portal.quarantine import service
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Listing, Time
from portal.web.openapi import operation
from portal.web.paging import Paging

blueprint = Blueprint("quarantine_api", __name__)


class HeldFileView(Answer):
    """A held file; never its content."""

    asset_id: UUID
    workspace_id: UUID
    file_name: str
    size_bytes: int
    sha256: str | None
    declared_type: str
    found_type: str | None
    reason: str = Field(description="in words")
    signature: str | None = Field(description="null: held because it could not be scanned")
    engine: str | None
    database: str | None
    uploaded_by: UUID
    quarantined_at: Time
    deadline: Time = Field(description="when it is removed")

    @classmethod
    def of(cls, held: service.HeldFile) -> HeldFileView:
        """As the list shows it."""
        names = cls.model_fields.keys() - {"uploaded_by"}
        return cls(**{name: getattr(held, name) for name in names}, uploaded_by=held.uploaded_by.id)


@blueprint.get("/v1/tenants/<uuid:t>/quarantine")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(paged=True, returns=Listing[HeldFileView])
def index(member: Member, paging: Paging) -> Listing[HeldFileView]:
    """List what is held in the tenant, the newest upload first."""
    held, cursor = service.list_items(member.tenant_id, paging)
    return Listing[HeldFileView](items=[HeldFileView.of(each) for each in held], next_cursor=cursor)
