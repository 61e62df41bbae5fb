"""The report of a tenant as a page, as CSV and as JSON; and what both reports show in their templates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.usage import chart_data, presenters, snapshots, tenant_report
from portal.usage.api import ReportView
from portal.usage.tenant_report import Report
from portal.web.body import answer
from portal.web.csv_export import count_sheet, sheet

blueprint = Blueprint("usage_reports", __name__)
REPORT = "/t/<tenant_slug>/quotas/report"
HEAD = ("section", "name", "e-mail or id", "bytes", "files", "limit_bytes", "percent")


@blueprint.get(REPORT)
@tenant(Permission.SET_QUOTA)
def show(member: Member) -> ResponseReturnValue:
    """With charts."""
    downloads = tenant_report.downloads_of_tenant(member.tenant_id)
    seen = context(tenant_report.of_tenant(member))
    return render_template("quotas/report.html", member=member, downloads=downloads, **seen)


@blueprint.get(f"{REPORT}.csv")
@tenant(Permission.SET_QUOTA)
def as_csv(member: Member) -> ResponseReturnValue:
    """For a spreadsheet."""
    count_sheet(member.user_id)
    return spreadsheet(tenant_report.of_tenant(member), f"stowage-{member.tenant_slug}")


@blueprint.get(f"{REPORT}.json")
@tenant(Permission.SET_QUOTA)
def as_json(member: Member) -> ResponseReturnValue:
    """As the API gives it."""
    return download(tenant_report.of_tenant(member), f"stowage-{member.tenant_slug}")


def context(report: Report) -> dict[str, Any]:
    """What the templates of both reports see."""
    parts = {part: str(name) for part, name in presenters.PART_NAMES.items()}
    kinds = {
        "photo": gettext("Photos"),
        "vector": gettext("Vector drawings"),
        "video": gettext("Videos"),
        "document": gettext("Documents"),
        "archive": gettext("Archives"),
    }
    stored: dict[tuple[str, str, bool, bool], tuple[int, int]] = {}
    for line in report.parts:
        key = (parts[line.part], line.storage_class, line.is_managed, line.counted)
        size, files = stored.get(key, (0, 0))
        stored[key] = (size + line.bytes, files + line.files)
    people = [(each.name or each.email or gettext("Somebody who left"), each.bytes) for each in report.top_users]
    return {
        "report": report,
        "outlook_text": presenters.outlook_text(report.outlook, report.limit_bytes),
        "stored": stored,
        "days_chart": chart_data.of_days(report.days, report.limit_bytes, snapshots.today()),
        "kinds_chart": chart_data.of_kinds(report.parts, kinds),
        "parts_chart": chart_data.of_parts(report.parts, parts),
        "plans_chart": chart_data.of_plans(report.by_plan),
        "people_chart": chart_data.of_names(people),
        "workspaces_chart": chart_data.of_names([(each.name, each.used_bytes) for each in report.top_workspaces]),
    }


def spreadsheet(report: Report, name: str) -> Response:
    """Every number of a report, one line each."""
    return sheet(f"{name}-quota-{snapshots.today().isoformat()}.csv", HEAD, _lines(report))


def download(report: Report, name: str) -> Response:
    """The JSON of a report, to be saved."""
    headers = {"Content-Disposition": f'attachment; filename="{name}-quota-{snapshots.today().isoformat()}.json"'}
    return answer(ReportView.of(report), headers=headers)


def _lines(report: Report) -> Iterator[tuple[Any, ...]]:
    yield "total", "", "", report.total_bytes, report.total_files, report.limit_bytes, None
    yield "average file", "", "", report.average_bytes, 1 if report.total_files else 0, None, None
    for plan in report.by_plan:
        yield "plan", plan.plan, f"{plan.tenants} tenants", plan.bytes, plan.files, plan.limit_bytes, None
    for section, places in (("near the limit", report.near_limit), ("top workspace", report.top_workspaces)):
        for each in places:
            place = each.workspace_id or each.tenant_id
            yield section, each.name, place, each.used_bytes, each.files, each.limit_bytes, each.percent
    for person in report.top_users:
        yield "top person", person.name, person.email, person.bytes, person.files, None, None
    for part in report.parts:
        where = f"{part.storage_class} {part.mode}{'' if part.counted else ' (not counted)'}"
        yield part.part, part.kind, where, part.bytes, part.files, None, None
