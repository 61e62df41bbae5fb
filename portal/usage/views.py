"""The pages of quotas: every workspace, one of them, limits, and requests for more space."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from htmx_flask import make_response

from portal import sizes
from portal.errors import Conflict, Invalid, NotFound
from portal.quotas import limits, requests
from portal.quotas import service as quotas
from portal.quotas.limits import ChangeResult, NewLimit
from portal.tenancy.access import current_places, member, tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member, WorkspacePlace
from portal.usage import chart_data, presenters, snapshots, workspace_detail, workspaces
from portal.usage.workspaces import View
from portal.web.pages import wants_next_rows
from portal.web.paging import Paging, read_paging

blueprint = Blueprint("usage", __name__)
PAGES = "/t/<tenant_slug>/quotas"
HERE = "/t/<tenant_slug>/w/<workspace_slug>"


@blueprint.get(PAGES)
@tenant(Permission.SET_QUOTA)
def index(member: Member) -> ResponseReturnValue:
    """The list; to htmx, which asks with a cursor, the next rows alone."""
    paging, view = read_paging(), View.of(*(request.args.get(name, "") for name in ("sort", "level", "q")))
    if wants_next_rows(paging):
        return render_template("quotas/_rows.html", **_list(member, view, paging))
    return _page(member, view, paging)


@blueprint.get(f"{PAGES}/<uuid:wid>")
@tenant(Permission.SET_QUOTA)
def show(member: Member, wid: UUID) -> ResponseReturnValue:
    """One workspace: what takes its space, and what frees some."""
    found = workspace_detail.of_workspace(member, wid, _place(member, wid))
    spec = chart_data.of_days(found.days, found.line.quota.limit_bytes, snapshots.today())
    return render_template(
        "quotas/show.html",
        found=found,
        member=member,
        chart_spec=spec,
        outlook_text=presenters.outlook_text(found.outlook, found.line.quota.limit_bytes),
        part_names=presenters.PART_NAMES,
    )


@blueprint.get(f"{PAGES}/<uuid:wid>/row")
@tenant(Permission.SET_QUOTA)
def row(member: Member, wid: UUID) -> ResponseReturnValue:
    """One row of the list, to look at or (``?edit=1``) to change its limit."""
    return _row(member, wid, editing=request.args.get("edit") == "1")


@blueprint.post(f"{PAGES}/<uuid:wid>/limit")
@tenant(Permission.SET_QUOTA)
def set_limit(member: Member, wid: UUID) -> ResponseReturnValue:
    """One limit. What can't be saved comes back as it was written, with the reason."""
    written, seen = request.form.get("limit", ""), request.form.get("seen", "")
    try:
        result = limits.change_one(member, NewLimit(wid, _seen(seen), sizes.parse(written)))
    except (Invalid, Conflict) as refusal:
        return _row(member, wid, editing=True, written=written, refusal=refusal.detail), refusal.http_status
    words = gettext("The limit was changed.")
    line = _line(member, wid)
    if line.quota.limit_bytes is not None and line.held_bytes > line.quota.limit_bytes:
        words = gettext(
            "The limit is lower than what is used. Nothing is deleted, but new uploads are refused until there is "
            "space."
        )
    return _with_toast(_row(member, wid, editing=False), member, words, result)


@blueprint.post(f"{PAGES}/limits")
@tenant(Permission.SET_QUOTA)
def set_limits(member: Member) -> ResponseReturnValue:
    """One limit for many: each ticked workspace carries the limit that was seen."""
    view = View.of(*(request.form.get(name, "") for name in ("sort", "level", "q")))
    ticked = [value.partition(":") for value in request.form.getlist("workspace")[: limits.MOST]]
    if not ticked:
        raise Invalid(gettext("Choose the workspaces first."), field="workspace")
    wanted = sizes.parse(request.form.get("limit", ""))
    result = limits.change_many(member, [NewLimit(_uuid(wid), _seen(seen), wanted) for wid, _, seen in ticked])
    return _with_toast(_page(member, view, Paging()), member, _summary(result), result)


@blueprint.post(f"{PAGES}/changes/<uuid:change_id>/undo")
@tenant(Permission.SET_QUOTA)
def undo(member: Member, change_id: UUID) -> ResponseReturnValue:
    """Put back what a change set."""
    result = limits.undo(member, change_id)
    count = len(result.changed)
    words = ngettext("%(num)s limit was restored.", "%(num)s limits were restored.", count)
    if result.missed:
        words = f"{words} {_missed(result)}"
    flash(words, "success")
    return redirect(url_for(".index", tenant_slug=member.tenant_slug), 303)


@blueprint.post(f"{PAGES}/requests/<uuid:request_id>/grant")
@tenant(Permission.SET_QUOTA)
def grant(member: Member, request_id: UUID) -> ResponseReturnValue:
    """Grant the request."""
    granted = requests.grant(member, request_id)
    more = sizes.format_size(granted.requested_bytes)
    flash(gettext("%(name)s got %(more)s more.", name=granted.workspace_name, more=more), "success")
    return redirect(url_for(".index", tenant_slug=member.tenant_slug), 303)


@blueprint.post(f"{PAGES}/requests/<uuid:request_id>/decline")
@tenant(Permission.SET_QUOTA)
def decline(member: Member, request_id: UUID) -> ResponseReturnValue:
    """Say no."""
    declined = requests.decline(member, request_id)
    flash(gettext("%(person)s was notified that there is no more space for now.", person=declined.user_name), "success")
    return redirect(url_for(".index", tenant_slug=member.tenant_slug), 303)


@blueprint.get(f"{HERE}/more-space")
@member(Permission.UPLOAD)
def ask_form(member: Member) -> ResponseReturnValue:
    """Ask for more space; to who has asked already, that it waits."""
    return _ask_form(member)


@blueprint.post(f"{HERE}/more-space")
@member(Permission.UPLOAD)
def ask(member: Member) -> ResponseReturnValue:
    """Send the request to the tenant's admins."""
    try:
        wanted = sizes.parse(request.form.get("wanted", ""), field="wanted")
        requests.create(member, wanted, request.form.get("note", ""))
    except Invalid as problem:
        return _ask_form(member, problem.detail), 422
    flash(gettext("Your administrators were notified. You get an e-mail with the answer."), "success")
    return redirect(url_for("library.index", workspace_id=member.workspace), 303)


def _ask_form(member: Member, problem: str | None = None) -> str:
    return render_template(
        "quotas/ask.html",
        member=member,
        waiting=requests.open_of(member.tenant_id, member.workspace),
        offered=requests.OFFERED,
        chosen=request.form.get("wanted") or str(requests.OFFERED[1]),
        note=request.form.get("note", ""),
        problem=problem,
    )


@blueprint.get(f"{HERE}/quota")
@member(Permission.SEE_QUOTA)
def space(member: Member) -> ResponseReturnValue:  # noqa: ARG001
    """How full it is, as the sidebar shows it: asked for again when files came or went (static/js/usage_meter.js)."""
    return render_template("quotas/_space.html")


@blueprint.post(f"{HERE}/quota/hide")
@member(Permission.SEE_QUOTA)
def hide(member: Member) -> ResponseReturnValue:
    """Show the warning no more in this browser, until the level rises."""
    status = quotas.workspace_status(member.tenant_id, member.workspace)
    session["hidden_warning"] = f"{member.workspace}:{status.scope}:{status.level}"
    return redirect(url_for("library.index", workspace_id=member.workspace), 303)


def _page(member: Member, view: View, paging: Paging) -> str:
    return render_template(
        "quotas/index.html",
        requests=[presenters.request_row(each) for each in requests.list_open(member.tenant_id)],
        columns=presenters.columns(member, view),
        filters=presenters.filters(),
        over_note=presenters.over_note(workspaces.summary(member.tenant_id)),
        **_list(member, view, paging),
    )


def _list(member: Member, view: View, paging: Paging) -> dict[str, Any]:
    whole = workspaces.summary(member.tenant_id)
    total = whole.quota.used_bytes + whole.quota.reserved_bytes
    found, cursor = workspaces.list_lines(member.tenant_id, total, view, paging)
    place: dict[str, Any] = {
        "tenant_slug": member.tenant_slug,
        "sort": view.key,
        "level": view.level or None,
        "q": view.q or None,
    }
    next_url = url_for(".index", **place, cursor=cursor) if cursor else None
    return {"member": member, "whole": whole, "lines": found, "view": view, "next_url": next_url, "written": None}


def _line(member: Member, wid: UUID) -> workspaces.Line:
    whole = workspaces.summary(member.tenant_id)
    line = workspaces.find_line(member.tenant_id, wid, whole.quota.used_bytes + whole.quota.reserved_bytes)
    if line is None:
        raise NotFound(gettext("There is no such workspace."))
    return line


def _row(member: Member, wid: UUID, *, editing: bool, written: str | None = None, refusal: str | None = None) -> str:
    line = _line(member, wid)
    shown = sizes.to_edit(line.quota.limit_bytes) if written is None else written
    context: dict[str, Any] = {"line": line, "member": member, "editing": editing, "written": shown, "refusal": refusal}
    return str(render_template("quotas/_row.html", **context))


def _with_toast(page: str, member: Member, message: str, result: ChangeResult) -> Response:
    """The page, and the event that shows a message with "Undo" (static/js/toasts.js)."""
    toast = {"text": message, "tone": "calm"}
    if result.change_id is not None:
        toast["undo_url"] = url_for(".undo", tenant_slug=member.tenant_slug, change_id=result.change_id)
    response: Response = make_response(page, trigger={"toast": toast})
    return response


def _summary(result: ChangeResult) -> str:
    words = ngettext("%(num)s limit was changed.", "%(num)s limits were changed.", len(result.changed))
    return f"{words} {_missed(result)}" if result.missed else words


def _missed(result: ChangeResult) -> str:
    one = "%(num)s was not: somebody else had set it meanwhile."
    words: str = ngettext(one, "%(num)s were not: somebody else had set them meanwhile.", len(result.missed))
    return words


def _place(member: Member, wid: UUID) -> WorkspacePlace | None:
    tenants = (each for each in current_places() if each.id == member.tenant_id)
    return next((place for each in tenants for place in each.workspaces if place.id == wid), None)


def _seen(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise Invalid(gettext("This is not a workspace."), field="workspace") from None
