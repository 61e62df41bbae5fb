"""Workspaces by JSON: create and rename."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from portal.admin import service
from portal.tenancy import service as tenancy
from portal.tenancy.access import member, tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Body, Time
from portal.web.openapi import operation

blueprint = Blueprint("workspaces_api", __name__)
Name = Annotated[str, Field(max_length=1000)]


class CreateWorkspace(Body):
    """A new workspace; its owner is a member of the tenant. Without ``quota_bytes`` no limit of its own."""

    slug: Annotated[str, Field(max_length=63)]
    name: Name
    owner_email: Annotated[str, Field(max_length=254)]
    quota_bytes: Annotated[int, Field(ge=0)] | None = None


class ChangeWorkspace(Body):
    """What is to change; what is left out stays."""

    name: Name | None = None


class WorkspaceView(Answer):
    """A workspace."""

    id: UUID
    tenant_id: UUID
    slug: str
    name: str
    created_at: Time


@blueprint.post("/v1/tenants/<uuid:t>/workspaces")
@tenant(Permission.CREATE_WORKSPACE)
@operation(body=CreateWorkspace, returns=WorkspaceView, status=201, errors=("conflict",))
def create(member: Member, body: CreateWorkspace) -> WorkspaceView:
    """Create a workspace. 409 for a slug that is taken, and for an owner who is no member of the tenant."""
    tenancy.checked_slug(body.slug)
    made = service.open_workspace(
        member.tenant_slug,
        body.slug,
        body.name,
        body.owner_email,
        limit_bytes=body.quota_bytes,
        actor_id=member.user_id,
    )
    return WorkspaceView.model_validate(made)


@blueprint.patch("/v1/workspaces/<uuid:w>")
@member(Permission.CONFIGURE_WORKSPACE)
@operation(body=ChangeWorkspace, returns=WorkspaceView)
def change(member: Member, body: ChangeWorkspace) -> WorkspaceView:
    """Change a workspace's name; its slug, which is in addresses, stays."""
    if body.name is not None:
        return WorkspaceView.model_validate(tenancy.rename_workspace(member, body.name))
    return WorkspaceView.model_validate(tenancy.workspace(member.workspace))
