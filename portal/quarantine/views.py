"""The quarantine pages: which files are quarantined, why, by whom, and the decisions about them. Never the content.

A decision takes two steps that work without script: ``review`` shows what it would do, in real numbers, and asks for
the reason; ``decide`` carries it out and says for each file what came of it.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, cast, get_args
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.errors import Invalid, NotFound
from portal.identity import service as identity
from portal.identity.access import person, recently_proved
from portal.identity.forms import PROOFS
from portal.inspection import scan_policy
from portal.inspection.scan_policy import ScanRules
from portal.objectstore import disposition
from portal.quarantine import context, decisions, download_tokens, encrypted_zip, presenters, rule_presenters, service
from portal.quarantine.decisions import MOST_AT_ONCE, Action
from portal.quarantine.forms import QuarantineQuery
from portal.tenancy import people
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import read_query
from portal.web.pages import wants_next_rows
from portal.web.paging import read_paging
from portal.web.rate_limits import Rate, rates

blueprint = Blueprint("quarantine", __name__)
HERE = "/t/<tenant_slug>/quarantine"
FILE = f"{HERE}/<uuid:asset_id>"
RULES = "/t/<tenant_slug>/scan-policy"
DOWNLOADS = Rate("quarantine-download", "20 per hour")
CHOICES = ("too_large", "encrypted", "macros", "unscannable")
SWITCHES = ("scanner_required", "two_persons", "release_infected")


@blueprint.get(HERE)
@tenant(Permission.REVIEW_QUARANTINE)
def index(member: Member) -> ResponseReturnValue:
    """The list; to htmx, which asks with a cursor, the next rows alone."""
    paging, query = read_paging(), read_query(QuarantineQuery)
    items, cursor = service.list_items(member.tenant_id, paging, query.filter())
    given = query.model_dump(exclude_none=True)
    next_url = url_for(".index", tenant_slug=member.tenant_slug, cursor=cursor, **given) if cursor else None
    rows = [presenters.row(item) for item in items]
    if wants_next_rows(paging):
        return render_template("quarantine/_rows.html", rows=rows, next_url=next_url, tenant=_tenant(member))
    return _list(member, query, rows=rows, next_url=next_url)


@blueprint.get(FILE)
@tenant(Permission.REVIEW_QUARANTINE)
def show(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """Everything about one quarantined file; of one that is not in quarantine any more, the decisions."""
    past = context.decisions_about(asset_id)
    found = service.find_items(member.tenant_id, [asset_id])
    if found:
        return _file(member, found[0], past)
    if past:
        name = past[0].facts["file_name"]
        history = presenters.history(past)
        return render_template("quarantine/gone.html", tenant=_tenant(member), file_name=name, history=history)
    raise NotFound(_("There is no such file in quarantine."))


@blueprint.get(f"{FILE}/row")
@tenant(Permission.REVIEW_QUARANTINE)
def row(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """One row of the list, which asks for itself while a worker has the file; nothing once it has left."""
    rows = [presenters.row(item) for item in service.find_items(member.tenant_id, [asset_id])]
    return render_template("quarantine/_rows.html", rows=rows, next_url=None, tenant=_tenant(member))


@blueprint.post(f"{HERE}/review")
@tenant(Permission.REVIEW_QUARANTINE)
def review(member: Member) -> ResponseReturnValue:
    """The question before a decision, with real numbers."""
    action, asset_ids = _sent()
    if not asset_ids:
        flash(_("Choose at least one file first."), "warning")
        return redirect(url_for(".index", tenant_slug=member.tenant_slug), 303)
    return _question(member, action, asset_ids)


@blueprint.post(f"{HERE}/decide")
@tenant(Permission.REVIEW_QUARANTINE)
@partial(recently_proved, when=lambda: request.form.get("decision") == "release")
def decide(member: Member) -> ResponseReturnValue:
    """Carry out the decision; without a valid reason the question is asked again, with what was typed."""
    action, asset_ids = _sent()
    reason, infected_too = request.form.get("reason", ""), request.form.get("infected_too") == "yes"
    try:
        results = decisions.decide_all(member, action, asset_ids, reason, infected_too=infected_too)
    except Invalid as problem:
        return _question(member, action, asset_ids, problem=problem.detail), 422
    for message, category in presenters.result_messages(results):
        flash(message, category)
    return redirect(url_for(".index", tenant_slug=member.tenant_slug), 303)


@blueprint.get(f"{FILE}/download")
@tenant(Permission.REVIEW_QUARANTINE)
def ask(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """The form that asks for password and reason."""
    return _download_form(member, asset_id)


@blueprint.post(f"{FILE}/unlock")
@tenant(Permission.REVIEW_QUARANTINE)
def unlock(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """With the right password and a reason, show the zip's password once and allow one download for ten minutes."""
    rates().count(PROOFS, str(member.user_id))
    service.find_item(member.tenant_id, asset_id)
    if not identity.proves(member.user_id, request.form.get("password", "")):
        return _download_form(member, asset_id, {"password": _("This is not your password.")}), 422
    rates().forget(PROOFS, str(member.user_id))
    try:
        grant = encrypted_zip.issue(member, person().session_id, asset_id, request.form.get("reason", ""))
    except Invalid as problem:
        return _download_form(member, asset_id, {"reason": problem.detail}), 422
    return _download_form(member, asset_id, grant=grant)


@blueprint.post(f"{FILE}/download")
@tenant(Permission.REVIEW_QUARANTINE)
def download(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """The encrypted zip, made while it is sent."""
    rates().count(DOWNLOADS, str(member.user_id))
    packed = encrypted_zip.open_zip(member, person().session_id, asset_id, request.form.get("token", ""))
    response = Response(packed.chunks, mimetype="application/zip")
    response.headers["Content-Disposition"] = disposition.attachment(packed.name)
    response.headers["Cache-Control"] = "no-store"
    response.call_on_close(packed.close)
    return response


@blueprint.get(RULES)
@tenant(Permission.REVIEW_QUARANTINE)
def rules(member: Member) -> ResponseReturnValue:
    """The tenant's rules, and looser ones that wait for a second administrator."""
    admins = len(people.admins_of(member.tenant_id))
    fields = rule_presenters.rule_fields(scan_policy.rules_of(member.tenant_id), admins)
    proposal = rule_presenters.proposal(scan_policy.proposal_of(member.tenant_id), fields, member.user_id)
    return render_template("quarantine/policy.html", tenant=_tenant(member), fields=fields, proposal=proposal)


@blueprint.post(RULES)
@tenant(Permission.SET_SCAN_POLICY)
def set_rules(member: Member) -> ResponseReturnValue:
    """Change the rules."""
    if scan_policy.set_rules(member, _sent_rules()):
        flash(_("Saved. The rules apply to files that are checked from now on."), "success")
    else:
        flash(_("Nothing has changed yet. Another administrator must confirm it, and was notified by e-mail."), "info")
    return redirect(url_for(".rules", tenant_slug=member.tenant_slug), 303)


@blueprint.post(f"{RULES}/answer")
@tenant(Permission.SET_SCAN_POLICY)
def answer_rules(member: Member) -> ResponseReturnValue:
    """Confirm, reject or withdraw what an administrator proposed."""
    try:
        at = datetime.fromisoformat(request.form.get("at", ""))
    except ValueError:
        raise Invalid(_("The time of the proposed change is missing or wrong."), field="at") from None
    if request.form.get("answer") == "confirm":
        scan_policy.confirm(member, at)
        flash(_("Confirmed. The rules apply to files that are checked from now on."), "success")
    else:
        scan_policy.withdraw(member, at)
        flash(_("Rejected. The rules stay as they are."), "success")
    return redirect(url_for(".rules", tenant_slug=member.tenant_slug), 303)


def _sent() -> tuple[Action, list[UUID]]:
    """The decision and the files of a form. Raises ``Invalid``."""
    action, ids = request.form.get("decision", ""), request.form.getlist("id")
    if action not in get_args(Action):
        raise Invalid(_("There is no such decision."), field="decision")
    if len(ids) > MOST_AT_ONCE:
        raise Invalid(_("Choose %(most)s files or fewer.", most=MOST_AT_ONCE), field="id")
    try:
        return cast(Action, action), [UUID(each) for each in ids]
    except ValueError:
        raise Invalid(_("The id of a file is missing or wrong."), field="id") from None


def _sent_rules() -> ScanRules:
    """The rules of a form. Raises ``Invalid``."""
    sent = request.form
    if any(sent.get(name) not in ("hold", "release") for name in CHOICES):
        raise Invalid(_("Choose for each kind of file whether it is quarantined or released."), field="too_large")
    choices: dict[str, Any] = {name: sent[name] for name in CHOICES}
    switches: dict[str, Any] = {name: sent.get(name) == "yes" for name in SWITCHES}
    return ScanRules(**choices, **switches)


def _list(member: Member, query: QuarantineQuery, *, rows: list[presenters.Row], next_url: str | None) -> str:
    summary = service.summary(member.tenant_id, query.filter())
    return render_template(
        "quarantine/index.html",
        tenant=_tenant(member),
        rows=rows,
        next_url=next_url,
        summary=summary,
        search=query.q or "",
        reasons=presenters.filter_choices(summary.reasons, query.reason, are_reasons=True),
        workspaces=presenters.filter_choices(summary.workspaces, query.workspace_id),
        people=presenters.filter_choices(summary.people, query.person_id),
    )


def _file(member: Member, item: service.QuarantinedFile, past: list[context.PastDecision]) -> str:
    return render_template(
        "quarantine/show.html",
        tenant=_tenant(member),
        row=presenters.row(item),
        buttons=presenters.buttons(item),
        poll_seconds=presenters.page_poll_seconds(item),
        same_content=presenters.same_content(context.same_content(member.tenant_id, item)),
        upload_history=presenters.upload_history(context.upload_history(member.tenant_id, item.uploaded_by.id)),
        history=presenters.history(past),
    )


def _question(member: Member, action: Action, asset_ids: list[UUID], problem: str | None = None) -> str:
    question = presenters.question(
        action,
        service.find_items(member.tenant_id, asset_ids),
        chosen=len(set(asset_ids)),
        me=member.user_id,
        tenant_name=member.tenant_name,
        rules=scan_policy.rules_of(member.tenant_id),
    )
    reason = request.form.get("reason", "")
    return render_template(
        "quarantine/decide.html", tenant=_tenant(member), question=question, reason=reason, problem=problem
    )


def _download_form(
    member: Member,
    asset_id: UUID,
    errors: dict[str, str] | None = None,
    grant: encrypted_zip.DownloadGrant | None = None,
) -> str:
    return render_template(
        "quarantine/download.html",
        tenant=_tenant(member),
        item=service.find_item(member.tenant_id, asset_id),
        errors=errors or {},
        reason=request.form.get("reason", ""),
        grant=grant,
        minutes=download_tokens.SECONDS // 60,
    )


def _tenant(member: Member) -> dict[str, Any]:
    """The tenant, as the templates name it."""
    return {"id": member.tenant_id, "slug": member.tenant_slug, "name": member.tenant_name}
