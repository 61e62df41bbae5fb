"""Quotas of all tenants over JSON, for operators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from portal.identity.access import operator
from portal.identity.service import Person
from portal.quotas import limits
from portal.quotas.api import Amount
from portal.usage import operator_report
from portal.usage.api import ReportView
from portal.web.body import Body
from portal.web.openapi import operation

blueprint = Blueprint("quota_operator_api", __name__)


class Override(Body):
    """Another limit than the plan's."""

    limit_bytes: Amount = Field(description='bytes, a text with a unit ("20 GB", binary), or null: no limit')
    until: Annotated[datetime, Field(strict=False, description="with a time zone; then the plan's limit holds at once")]


@blueprint.get("/v1/operator/quota/report")
@operator
@operation(returns=ReportView)
def report(user: Person) -> ReportView:  # noqa: ARG001
    """Report on all tenants together; ``near_limit`` are tenants."""
    return ReportView.of(operator_report.report(operator_report.list_tenants()))


@blueprint.put("/v1/operator/tenants/<uuid:tenant_id>/quota-override")
@operator
@operation(body=Override)
def override(user: Person, tenant_id: UUID, body: Override) -> None:
    """Let another limit hold for a tenant until a moment."""
    limits.override(tenant_id, body.limit_bytes, body.until, user.id)


@blueprint.delete("/v1/operator/tenants/<uuid:tenant_id>/quota-override")
@operator
@operation()
def end_override(user: Person, tenant_id: UUID) -> None:
    """Let the plan's limit hold again, now."""
    limits.end_override(tenant_id, user.id)
