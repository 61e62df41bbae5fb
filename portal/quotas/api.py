"""Quotas over JSON: how a workspace stands, and its limit."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint
from pydantic import Field

from portal.quotas import service
from portal.tenancy.access import member, tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Body
from portal.web.openapi import operation

blueprint = Blueprint("quotas_api", __name__)


class QuotaView(Answer):
    """How a workspace stands; sizes in bytes."""

    limit_bytes: int | None = Field(description="null: no limit of its own inside the tenant's")
    used_bytes: int
    reserved_bytes: int
    remaining_bytes: int | None = Field(description="the smaller of workspace and tenant; null: unlimited")
    percent: float = Field(description="held and reserved, of the limit of the level with less room")
    level: service.Level


class SetQuota(Body):
    """A workspace's limit."""

    limit_bytes: Annotated[int, Field(ge=0, le=service.LARGEST)] | None = Field(description="null: no limit of its own")


@blueprint.get("/v1/workspaces/<uuid:w>/quota")
@member(Permission.SEE_QUOTA)
@operation(returns=QuotaView)
def show(member: Member) -> QuotaView:
    """Show how a workspace stands."""
    return QuotaView.model_validate(service.standing(member.tenant_id, member.workspace))


@blueprint.put("/v1/workspaces/<uuid:w>/quota")
@tenant(Permission.SET_QUOTA)
@operation(body=SetQuota, returns=QuotaView)
def set_limit(member: Member, body: SetQuota) -> QuotaView:
    """Limit a workspace, or lift its limit.

    A limit below what is held takes nothing away; nothing more fits until it does.
    """
    service.set_limit(member.tenant_id, member.workspace, member.user_id, body.limit_bytes)
    return QuotaView.model_validate(service.standing(member.tenant_id, member.workspace))
