"""The page of the audit trail, and the same as CSV."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from flask import Blueprint, Response, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import Field

from portal.admin.audit_log import service
from portal.admin.audit_log.service import Act, Narrowing
from portal.errors import Invalid
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Query, read_query
from portal.web.csv_export import count_sheet, sheet
from portal.web.pages import wants_next_rows
from portal.web.paging import read_paging

blueprint = Blueprint("trail", __name__)

HEAD = ("time", "person", "email", "action", "workspace", "file_name", "target_id", "facts", "id")


class Asked(Query):
    """The form above the list, as it is written."""

    person: str = Field(default="", max_length=254)
    action: str = Field(default="", max_length=60)
    since: str = Field(default="", max_length=10)
    until: str = Field(default="", max_length=10)


@blueprint.get("/t/<tenant_slug>/audit")
@tenant(Permission.READ_AUDIT)
def index(member: Member) -> ResponseReturnValue:
    """Who did what; to htmx, which asks with a cursor, the next rows alone. What can't be read is said in the form."""
    asked, paging = read_query(Asked), read_paging()
    try:
        acts, cursor, wrong = *service.list_acts(member.tenant_id, _narrowing(member, asked), paging), None
    except Invalid as refusal:
        acts, cursor, wrong = [], None, refusal
    given = {name: value for name, value in asked.model_dump().items() if value}
    here = url_for(".index", tenant_slug=member.tenant_slug, cursor=cursor, **given) if cursor else None
    context: dict[str, Any] = {"acts": acts, "next_url": here, "given": given, "wrong": wrong}
    if wants_next_rows(paging):
        return render_template("audit_log/_items.html", **context)
    place = {"id": member.tenant_id, "slug": member.tenant_slug, "name": member.tenant_name}
    actions = service.actions_of(member.tenant_id)
    page = render_template("audit_log/index.html", tenant=place, actions=actions, **context)
    return (page, 422) if wrong else page


@blueprint.get("/t/<tenant_slug>/audit.csv")
@tenant(Permission.READ_AUDIT)
def download(member: Member) -> Response:
    """The same list for a spreadsheet, at most 50,000 lines, the newest first."""
    count_sheet(member.user_id)
    acts = service.every_act(member.tenant_id, _narrowing(member, read_query(Asked)))
    return sheet(f"audit-{member.tenant_slug}.csv", HEAD, (_line(act) for act in acts))


def _line(act: Act) -> tuple[Any, ...]:
    who = act.actor_name, act.actor_email
    facts = json.dumps(act.facts, ensure_ascii=False)
    return act.time, *who, act.action, act.workspace_name, act.file_name, act.target_id, facts, act.id


def _narrowing(member: Member, asked: Asked) -> Narrowing:
    """Raises ``Invalid``."""
    actor_id = service.person_of(member.tenant_id, asked.person) if asked.person.strip() else None
    return Narrowing(actor_id, asked.action or None, _day(asked.since, "since"), _day(asked.until, "until"))


def _day(words: str, field: str) -> date | None:
    try:
        return date.fromisoformat(words) if words else None
    except ValueError:
        raise Invalid(_("Enter the day as in 2026-11-23."), field=field) from None
