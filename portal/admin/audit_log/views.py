"""The page of the audit log, and the same as CSV."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from flask import Blueprint, Response, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import Field

from portal.admin.audit_log import presenters, service
from portal.admin.audit_log.service import AuditEntry, AuditFilter
from portal.errors import Invalid
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Query, read_query
from portal.web.csv_export import count_sheet, sheet
from portal.web.pages import wants_next_rows
from portal.web.paging import read_paging

blueprint = Blueprint("audit_log", __name__)

HEAD = ("time", "person", "email", "action", "workspace", "file_name", "target_id", "facts", "id")


class FilterForm(Query):
    """The form above the list, as it was typed: what can't be read is shown in the form, not refused."""

    person: str = Field(default="", max_length=254)
    action: str = Field(default="", max_length=60)
    since: str = Field(default="", max_length=10)
    until: str = Field(default="", max_length=10)


@blueprint.get("/t/<tenant_slug>/audit")
@tenant(Permission.READ_AUDIT)
def index(member: Member) -> ResponseReturnValue:
    """The list; to htmx, which asks with a cursor, the next rows alone. A wrong filter is reported in the form."""
    form, paging = read_query(FilterForm), read_paging()
    try:
        entries, cursor, wrong = *service.list_entries(member.tenant_id, _filter(member, form), paging), None
    except Invalid as refusal:
        entries, cursor, wrong = [], None, refusal
    given = {name: value for name, value in form.model_dump().items() if value}
    next_url = url_for(".index", tenant_slug=member.tenant_slug, cursor=cursor, **given) if cursor else None
    rows = [presenters.row(entry) for entry in entries]
    if wants_next_rows(paging):
        return render_template("audit_log/_rows.html", rows=rows, next_url=next_url)
    return _page(member, rows=rows, next_url=next_url, given=given, wrong=wrong)


def _page(
    member: Member, *, rows: list[presenters.Row], next_url: str | None, given: dict[str, str], wrong: Invalid | None
) -> ResponseReturnValue:
    page = render_template(
        "audit_log/index.html",
        tenant={"id": member.tenant_id, "slug": member.tenant_slug, "name": member.tenant_name},
        rows=rows,
        next_url=next_url,
        choices=presenters.choices(service.actions_of(member.tenant_id)),
        given=given,
        wrong=wrong,
    )
    return (page, 422) if wrong else page


@blueprint.get("/t/<tenant_slug>/audit.csv")
@tenant(Permission.READ_AUDIT)
def download(member: Member) -> Response:
    """The same list for a spreadsheet, at most 50,000 entries, the newest first."""
    count_sheet(member.user_id)
    entries = service.all_entries(member.tenant_id, _filter(member, read_query(FilterForm)))
    return sheet(f"audit-{member.tenant_slug}.csv", HEAD, (_csv_row(entry) for entry in entries))


def _csv_row(entry: AuditEntry) -> tuple[Any, ...]:
    return (
        entry.time,
        entry.actor_name,
        entry.actor_email,
        entry.action,
        entry.workspace_name,
        entry.file_name,
        entry.target_id,
        json.dumps(entry.facts, ensure_ascii=False),
        entry.id,
    )


def _filter(member: Member, form: FilterForm) -> AuditFilter:
    """Raises ``Invalid``."""
    actor_id = service.person_of(member.tenant_id, form.person) if form.person.strip() else None
    return AuditFilter(actor_id, form.action or None, _day(form.since, "since"), _day(form.until, "until"))


def _day(typed: str, field: str) -> date | None:
    try:
        return date.fromisoformat(typed) if typed else None
    except ValueError:
        raise Invalid(_("Enter the day as in 2026-11-23."), field=field) from None
