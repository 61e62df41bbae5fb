"""Pages of quotas for operators."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal import sizes
from portal.errors import Invalid, NotFound
from portal.identity.access import operator
from portal.identity.service import Person
from portal.quotas import limits
from portal.tenancy.labels import plan_name
from portal.usage import operator_report, report_views, snapshots
from portal.web.csv_export import count_sheet

blueprint = Blueprint("usage_operator", __name__, url_prefix="/operator/quotas")


@blueprint.get("")
@operator
def index(user: Person) -> ResponseReturnValue:  # noqa: ARG001
    """Every tenant, and the report over all of them."""
    tenants = operator_report.list_tenants()
    report = operator_report.report(tenants)
    return render_template(
        "quotas/operator.html",
        tenants=tenants,
        plan_name=plan_name,
        today=snapshots.today(),
        **report_views.context(report),
    )


@blueprint.get("/report.csv")
@operator
def as_csv(user: Person) -> ResponseReturnValue:
    """For a spreadsheet."""
    count_sheet(user.id)
    return report_views.spreadsheet(operator_report.report(operator_report.list_tenants()), "stowage-all")


@blueprint.get("/report.json")
@operator
def as_json(user: Person) -> ResponseReturnValue:  # noqa: ARG001
    """As the API gives a tenant's."""
    return report_views.download(operator_report.report(operator_report.list_tenants()), "stowage-all")


@blueprint.post("/<uuid:tenant_id>/override")
@operator
def override(user: Person, tenant_id: UUID) -> ResponseReturnValue:
    """Another limit than the plan's, until a day (UTC) is over."""
    tenant = operator_report.find_tenant(tenant_id)
    if tenant is None:
        raise NotFound(gettext("There is no such tenant."))
    limit, day = sizes.parse(request.form.get("limit", "")), _day(request.form.get("until", ""))
    limits.override(tenant_id, limit, datetime.combine(day + timedelta(days=1), time(), UTC), user.id)
    flash(
        gettext("The temporary limit of %(name)s applies until the end of %(day)s.", name=tenant.name, day=day),
        "success",
    )
    return redirect(url_for(".index"), 303)


@blueprint.post("/<uuid:tenant_id>/override/end")
@operator
def end_override(user: Person, tenant_id: UUID) -> ResponseReturnValue:
    """Let the plan's limit hold again."""
    limits.end_override(tenant_id, user.id)
    flash(gettext("The limit of the plan applies again."), "success")
    return redirect(url_for(".index"), 303)


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise Invalid(gettext("Enter the last day, for example 2027-01-31."), field="until") from None
