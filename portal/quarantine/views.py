"""The quarantine pages: what is held, why, by whom; and what is to become of it. Never the content.

A decision takes two steps that work without script: ``review`` shows what it would do, in real numbers, and asks for
the reason; ``decide`` does it and says for each file what came of it.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any, cast, get_args
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.errors import Invalid, NotFound
from portal.identity import service as identity
from portal.identity.access import person, recently_proved
from portal.identity.forms import PROOFS
from portal.inspection import scan_policy
from portal.inspection.scan_policy import ScanRules
from portal.objectstore import disposition
from portal.quarantine import context as dossier
from portal.quarantine import decisions, download_tokens, encrypted_zip, service
from portal.quarantine.decisions import MOST_AT_ONCE, Deed, Outcome
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
HELD = f"{HERE}/<uuid:asset_id>"
RULES = "/t/<tenant_slug>/scan-policy"
NAMED = 10  # files that the question names
DOWNLOADS = Rate("quarantine-download", "20 per hour")
CHOICES = ("too_large", "encrypted", "macros", "unscannable")
SWITCHES = ("scanner_required", "two_persons", "release_infected")


@blueprint.get(HERE)
@tenant(Permission.REVIEW_QUARANTINE)
def index(member: Member) -> ResponseReturnValue:
    """The list; to htmx, which asks with a cursor, the next rows alone."""
    paging, query = read_paging(), read_query(QuarantineQuery)
    items, cursor = service.list_items(member.tenant_id, paging, query.narrowing())
    given = query.model_dump(exclude_none=True)
    next_url = url_for(".index", tenant_slug=member.tenant_slug, cursor=cursor, **given) if cursor else None
    if wants_next_rows(paging):
        return render_template("quarantine/_items.html", items=items, next_url=next_url, tenant=_place(member))
    context = {"items": items, "next_url": next_url, "given": given, "summary": service.summary(member.tenant_id)}
    return render_template("quarantine/index.html", tenant=_place(member), **context)


@blueprint.get(HELD)
@tenant(Permission.REVIEW_QUARANTINE)
def show(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """Everything about one quarantined file; of one that has left, what was decided."""
    decided = dossier.decisions_about(asset_id)
    found = service.find_items(member.tenant_id, [asset_id])
    if not found:
        if not decided:
            raise NotFound(_("There is no such file in quarantine."))
        return render_template("quarantine/gone.html", tenant=_place(member), decided=decided)
    (item,) = found
    return render_template(
        "quarantine/show.html",
        tenant=_place(member),
        item=item,
        decided=decided,
        elsewhere=dossier.same_content(member.tenant_id, item),
        record=dossier.record_of(member.tenant_id, item.uploaded_by.id),
    )


@blueprint.get(f"{HELD}/row")
@tenant(Permission.REVIEW_QUARANTINE)
def row(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """One row of the list, which asks for itself while a worker has it; nothing once it has left."""
    items = service.find_items(member.tenant_id, [asset_id])
    return render_template("quarantine/_items.html", items=items, next_url=None, tenant=_place(member))


@blueprint.post(f"{HERE}/review")
@tenant(Permission.REVIEW_QUARANTINE)
def review(member: Member) -> ResponseReturnValue:
    """The question before a decision, with real numbers."""
    deed, asset_ids = _sent()
    if not asset_ids:
        flash(_("Choose at least one file first."), "warning")
        return redirect(url_for(".index", tenant_slug=member.tenant_slug), 303)
    return _question(member, deed, asset_ids)


@blueprint.post(f"{HERE}/decide")
@tenant(Permission.REVIEW_QUARANTINE)
@partial(recently_proved, when=lambda: request.form.get("deed") == "release")
def decide(member: Member) -> ResponseReturnValue:
    """Do it, and say what came of it; without a good reason ask once more, with what was typed."""
    deed, asset_ids = _sent()
    infected_too = request.form.get("infected_too") == "yes"
    try:
        done = decisions.decide_all(member, deed, asset_ids, request.form.get("reason", ""), infected_too=infected_too)
    except Invalid as problem:
        return _question(member, deed, asset_ids, problem=problem.detail), 422
    _tell(done)
    return redirect(url_for(".index", tenant_slug=member.tenant_slug), 303)


@blueprint.get(f"{HELD}/download")
@tenant(Permission.REVIEW_QUARANTINE)
def ask(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """The form that asks for password and reason."""
    return _form(member, asset_id)


@blueprint.post(f"{HELD}/unlock")
@tenant(Permission.REVIEW_QUARANTINE)
def unlock(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """Who has proved who they are sees the zip's password, this once, and may fetch it for ten minutes."""
    rates().count(PROOFS, str(member.user_id))
    service.find_item(member.tenant_id, asset_id)
    if not identity.proves(member.user_id, request.form.get("password", "")):
        return _form(member, asset_id, {"password": _("This is not your password.")}), 422
    rates().forget(PROOFS, str(member.user_id))
    try:
        ticket = encrypted_zip.issue(member, person().session_id, asset_id, request.form.get("reason", ""))
    except Invalid as problem:
        return _form(member, asset_id, {"reason": problem.detail}), 422
    return _form(member, asset_id, ticket=ticket)


@blueprint.post(f"{HELD}/download")
@tenant(Permission.REVIEW_QUARANTINE)
def download(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """The encrypted zip, made while it is read."""
    rates().count(DOWNLOADS, str(member.user_id))
    packed = encrypted_zip.pack(member, person().session_id, asset_id, request.form.get("ticket", ""))
    response = Response(packed.chunks, mimetype="application/zip")
    response.headers["Content-Disposition"] = disposition.attachment(packed.name)
    response.headers["Cache-Control"] = "no-store"
    response.call_on_close(packed.close)
    return response


@blueprint.get(RULES)
@tenant(Permission.REVIEW_QUARANTINE)
def rules(member: Member) -> ResponseReturnValue:
    """The tenant's rules."""
    return _rules(member, scan_policy.rules_of(member.tenant_id))


@blueprint.post(RULES)
@tenant(Permission.SET_SCAN_POLICY)
def set_rules(member: Member) -> ResponseReturnValue:
    """Change them."""
    sent = request.form
    if any(sent.get(name) not in ("hold", "release") for name in CHOICES):
        raise Invalid(_("Choose for each kind of file whether it is quarantined or released."), field="too_large")
    chosen: dict[str, Any] = {name: sent[name] for name in CHOICES}
    switched: dict[str, Any] = {name: sent.get(name) == "yes" for name in SWITCHES}
    if scan_policy.set_rules(member, ScanRules(**chosen, **switched)):
        flash(_("Saved. The rules apply to files that are checked from now on."), "success")
    else:
        flash(_("Nothing has changed yet. Another administrator must confirm it, and was notified by e-mail."), "info")
    return redirect(url_for(".rules", tenant_slug=member.tenant_slug), 303)


@blueprint.post(f"{RULES}/answer")
@tenant(Permission.SET_SCAN_POLICY)
def answer_rules(member: Member) -> ResponseReturnValue:
    """Confirm or drop what another administrator proposed."""
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


def _sent() -> tuple[Deed, list[UUID]]:
    """What is to be done, and with which files. Raises ``Invalid``."""
    deed, ids = request.form.get("deed", ""), request.form.getlist("id")
    if deed not in get_args(Deed):
        raise Invalid(_("There is no such decision."), field="deed")
    if len(ids) > MOST_AT_ONCE:
        raise Invalid(_("Choose %(most)s files or fewer.", most=MOST_AT_ONCE), field="id")
    try:
        return cast(Deed, deed), [UUID(each) for each in ids]
    except ValueError:
        raise Invalid(_("The id of a file is missing or wrong."), field="id") from None


def _question(member: Member, deed: Deed, asset_ids: list[UUID], problem: str | None = None) -> str:
    items = service.find_items(member.tenant_id, asset_ids)
    own = [item for item in items if item.uploaded_by.id == member.user_id]
    infected = [item for item in items if item.code == "infected"]
    rules = scan_policy.rules_of(member.tenant_id)
    refused = {item.asset_id for item in (own if rules.release_infected else own + infected)}
    return render_template(
        "quarantine/decide.html",
        tenant=_place(member),
        deed=deed,
        items=items,
        named=items[:NAMED],
        gone=len(set(asset_ids)) - len(items),
        bytes=sum(item.size_bytes for item in items),
        people=sorted({item.uploaded_by.shown_name for item in items}),
        own=own,
        infected=infected,
        possible=deed != "release" or len(refused) < len(items),
        rules=rules,
        reason=request.form.get("reason", ""),
        problem=problem,
    )


def _tell(outcomes: list[Outcome]) -> None:
    """One line for what was done, one for each kind of refusal."""
    done = [each for each in outcomes if each.done]
    if len(done) == 1:
        flash(done[0].words, "success")
    elif done:
        flash(ngettext("Done for %(num)s file.", "Done for %(num)s files.", len(done)) + f" {done[0].words}", "success")
    refused = [each.words for each in outcomes if not each.done]
    for words in dict.fromkeys(refused):
        count = refused.count(words)
        flash(
            words
            if len(outcomes) == 1
            else ngettext("%(num)s file: %(reason)s", "%(num)s files: %(reason)s", count, reason=words),
            "warning",
        )


def _form(
    member: Member, asset_id: UUID, errors: dict[str, str] | None = None, ticket: encrypted_zip.Ticket | None = None
) -> str:
    return render_template(
        "quarantine/download.html",
        tenant=_place(member),
        item=service.find_item(member.tenant_id, asset_id),
        errors=errors or {},
        reason=request.form.get("reason", ""),
        ticket=ticket,
        minutes=download_tokens.SECONDS // 60,
    )


def _rules(member: Member, present: ScanRules) -> str:
    return render_template(
        "quarantine/policy.html",
        tenant=_place(member),
        rules=asdict(present),
        admins=len(people.admins_of(member.tenant_id)),
        wish=scan_policy.proposal_of(member.tenant_id),
        me=member.user_id,
    )


def _place(member: Member) -> dict[str, Any]:
    """The tenant, as the templates name it."""
    return {"id": member.tenant_id, "slug": member.tenant_slug, "name": member.tenant_name}
