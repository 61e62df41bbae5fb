"""Quotas over JSON: how a workspace stands, and its limit."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint
from pydantic import BeforeValidator, Field

from portal import sizes
from portal.quotas import limits, service
from portal.quotas.levels import Level
from portal.tenancy.access import member, tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Body
from portal.web.openapi import operation

blueprint = Blueprint("quotas_api", __name__)

Amount = Annotated[
    int | None,
    BeforeValidator(sizes.from_json, json_schema_input_type=int | str | None),
]


class QuotaView(Answer):
    """How a workspace stands; sizes in bytes."""

    limit_bytes: int | None = Field(description="null: no limit of its own inside the tenant's")
    used_bytes: int
    reserved_bytes: int
    remaining_bytes: int | None = Field(description="the smaller of workspace and tenant; null: unlimited")
    percent: float = Field(description="used and reserved, of the limit of the level with less room")
    level: Level


class SetQuota(Body):
    """A workspace's limit."""

    limit_bytes: Amount = Field(description='bytes, a text with a unit ("10 GB", binary), or null: no limit of its own')
    seen_limit_bytes: Amount = Field(
        default=None, description="the limit that you saw; 409 where another one holds by now. Left out: not compared"
    )


@blueprint.get("/v1/workspaces/<uuid:w>/quota")
@member(Permission.SEE_QUOTA)
@operation(returns=QuotaView)
def show(member: Member) -> QuotaView:
    """Show how a workspace stands."""
    return QuotaView.model_validate(service.workspace_status(member.tenant_id, member.workspace))


@blueprint.put("/v1/workspaces/<uuid:w>/quota")
@tenant(Permission.SET_QUOTA)
@operation(body=SetQuota, returns=QuotaView)
def set_limit(member: Member, body: SetQuota) -> QuotaView:
    """Limit a workspace, or lift its limit.

    A limit below the use removes nothing; nothing more fits until it does.
    """
    seen = body.seen_limit_bytes if "seen_limit_bytes" in body.model_fields_set else limits.UNSEEN
    limits.set_limit(member.tenant_id, member.workspace, member.user_id, body.limit_bytes, seen)
    return QuotaView.model_validate(service.workspace_status(member.tenant_id, member.workspace))
