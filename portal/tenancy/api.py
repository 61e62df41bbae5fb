"""Tenancy by JSON: who am I, and where."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint

from portal.identity.access import identified
from portal.identity.service import Person
from portal.tenancy.access import current_places
from portal.tenancy.models import TenantRole, WorkspaceRole
from portal.web.body import Answer
from portal.web.openapi import operation

blueprint = Blueprint("tenancy_api", __name__)


class UserView(Answer):
    """A person."""

    id: UUID
    email: str
    name: str


class TenantPlaceView(Answer):
    """A tenant that the person is a member of."""

    id: UUID
    slug: str
    name: str
    role: TenantRole


class WorkspacePlaceView(Answer):
    """A workspace that the person is a member of; its slug is unique within its tenant."""

    id: UUID
    tenant_id: UUID
    slug: str
    name: str
    role: WorkspaceRole


class MeView(Answer):
    """Somebody, and where they belong."""

    user: UserView
    tenants: list[TenantPlaceView]
    workspaces: list[WorkspacePlaceView]


@blueprint.get("/v1/me")
@identified
@operation(returns=MeView)
def me(user: Person) -> MeView:
    """Who the token acts for, and where they are a member, as far as the token goes."""
    places = current_places()
    workspaces = [
        WorkspacePlaceView(id=each.id, tenant_id=tenant.id, slug=each.slug, name=each.name, role=each.role)
        for tenant in places
        for each in tenant.workspaces
    ]
    tenants = [TenantPlaceView.model_validate(tenant) for tenant in places]
    return MeView(user=UserView.model_validate(user), tenants=tenants, workspaces=workspaces)
